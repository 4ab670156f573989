"""The README's tree and command table, written from docstrings and help texts so that they cannot drift.

`python tests/readme_parts.py` writes them; `--check` exits 1 if they differ from the code.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def tree() -> str:
    """One line for each folder of the package, from its docstring."""
    lines = []
    for init in sorted((ROOT / "factory").glob("*/__init__.py")):
        text = ast.get_docstring(ast.parse(init.read_text())) or ""
        lines.append(f"factory/{init.parent.name + '/':<14} {' '.join(text.split())}")
    return "```\n" + "\n".join(lines) + "\n```"


def commands() -> str:
    """One row for each command, from the first sentence of its help."""
    import click

    from factory.cli import group

    context = click.Context(group)
    rows = ["| command | does |", "|---|---|"]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        usage = " ".join(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")
        rows.append(f"| `{f'factory {name} {usage}'.strip()}` | {command.get_short_help_str(160)} |")
    return "\n".join(rows)


def filled(text: str) -> str:
    """The README with its generated parts replaced."""
    for name, part in (("tree", tree()), ("commands", commands())):
        begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}{part}{end}{after}"
    return text


def main() -> None:
    """Write, or check."""
    text = README.read_text(encoding="utf-8")
    wanted = filled(text)
    if "--check" in sys.argv:
        if text != wanted:
            sys.exit("README.md differs from the code; run 'make docs'")
        return
    README.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
