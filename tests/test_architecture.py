"""The shape of the house: imports point down, one door for each heavy library, a command line that starts at once."""

import ast
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "factory"
COMMANDS = sorted(path.stem for path in (PACKAGE / "cli").glob("*.py") if not path.stem.startswith("_"))
DOORS = {
    "trl": "training/trl_",
    "mergekit": "merging/mergekit_door.py",
    "optuna": "analysis/optimiser.py",
    "lm_eval": "evaluation/lm_eval_door.py",
    "ray": None,
    "vllm": None,
}
NOT_FOR_HELP = {
    "torch",
    "transformers",
    "trl",
    "peft",
    "mergekit",
    "datasets",
    "matplotlib",
    "accelerate",
    "scipy",
    "optuna",
}


def imported(path):
    """Top names of the modules that a file imports anywhere, also inside functions or by name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant):
                found.add(name.value)
    return {name.partition(".")[0] for name in found}


def test_imports_point_down():
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        pytest.skip("import-linter is not installed; it is in the 'dev' extra")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("library", DOORS)
def test_a_heavy_library_has_one_door(library):
    doors = [str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py")) if library in imported(path)]
    expected = DOORS[library]
    if expected is None:
        assert len(doors) <= 1, f"{library} is imported in {doors}"
    else:
        assert doors
        assert all(door.startswith(expected) for door in doors), f"{library} is imported in {doors}"


# Runs the command line in a fresh interpreter and tells, on the last line of stderr, what was imported.
RUN = """
import json, sys
from factory.cli import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def fresh(*arguments, cwd=None):
    """(exit code, stdout, top names of all modules imported)"""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.returncode, done.stdout, set(json.loads(done.stderr.splitlines()[-1]))


def cpu_seconds(*arguments):
    """User and system time of a child, by the kernel's account."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_starts_at_once():
    assert min(cpu_seconds("-m", "factory", "--help") for _ in range(3)) < 0.5


def test_help_lists_every_command_and_loads_nothing_heavy():
    code, out, modules = fresh("--help")
    assert code == 0
    assert "Example" in out
    assert set(COMMANDS) <= set(re.findall(r"^  (\w+)  ", out, re.MULTILINE))
    assert not modules & NOT_FOR_HELP


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_has_an_example_and_loads_nothing_heavy(name, tmp_path):
    code, out, modules = fresh(name, "--help", cwd=tmp_path)
    assert code == 0
    assert "Example" in out
    assert f"factory {name}" in out.partition("Example")[2], "the example shows the command itself"
    assert "--json" in out
    assert "--store" in out
    assert not modules & NOT_FOR_HELP
    assert not list(tmp_path.iterdir())


def test_planning_a_study_loads_no_training_library(tmp_path):
    study = str(ROOT / "studies" / "embedded.yaml")
    code, out, modules = fresh("run", study, "--dry-run", "--store", str(tmp_path / "store"), cwd=tmp_path)
    assert code == 0
    assert "to build" in out
    assert not modules & {"torch", "transformers", "trl", "peft", "mergekit", "datasets", "matplotlib"}
    assert not list(tmp_path.iterdir())
