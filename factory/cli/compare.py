"""How adapters interfere: cosine, sign conflict, shared spaces, retention, without a base."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import click

from factory.cli._options import emit, json_option, parse_weights, store_option


@click.command()
@click.argument("adapters", nargs=-1, metavar="ADAPTER ADAPTER...")
@click.option("--weights", metavar="W,W,...", help="Of the proposed merge, a plain sum; 1 each if left out.")
@click.option(
    "--rows", type=click.IntRange(min=1), default=128, show_default=True, help="Rows on which signs are compared."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draw of those rows.")
@click.option("--layers", is_flag=True, help="Also a table by layer.")
@store_option
@json_option
def command(
    *, adapters: tuple[str, ...], weights: str | None, rows: int, seed: int, layers: bool, store: Any, json: bool
) -> None:
    """Compare adapters of one base; no base is needed.

    An ADAPTER is a store name, a folder in PEFT's format, or a hub id.

    \b
    Examples:
      factory compare math sql python
      factory compare ./math ./sql --weights 0.5,0.5 --layers
    """
    from pathlib import Path

    from factory.analysis.advice import sentences, suggest
    from factory.analysis.compare import compare
    from factory.engine.watch import telling
    from factory.merging.inputs import open_input
    from factory.merging.plan import locate
    from factory.store.store import Store

    found = [locate(Store(store), text)[0] for text in adapters]
    names = [Path(text).name for text in adapters]
    titles = names if len(set(names)) == len(names) else [item["title"] for item in found]
    inputs = [open_input(title, Path(item["folder"]), item["key"]) for title, item in zip(titles, found, strict=True)]
    with telling("compare") as report:
        comparison = compare(inputs, parse_weights(weights), rows=rows, seed=seed, report=report)
    start = suggest(comparison)
    result = {**comparison.to_json(), "means": sentences(comparison), "suggestion": start.to_json()}
    emit(result, json, "" if json else _text(result, layers))


def _text(result: dict[str, Any], layers: bool) -> str:
    names, whole = result["adapters"], result["overall"]
    lines = [f"{'adapter':<28} {'norm':>8} {'stable rank':>12} {'retention':>10}"]
    for i, name in enumerate(names):
        kept = _number(whole["retention"][i], ".0%")
        lines.append(f"{name[-28:]:<28} {whole['norms'][i]:>8.3g} {whole['stable_ranks'][i]:>12.1f} {kept:>10}")
    lines += ["", f"{'pair':<28} {'cosine':>8} {'sign conflict':>20} {'inputs':>8} {'outputs':>8}"]
    for i, j in combinations(range(len(names)), 2):
        pair = whole["pairs"][f"{i}-{j}"]
        conflict = "-"
        if "sign_conflict" in pair:
            conflict = f"{pair['sign_conflict']:.3f} +- {pair['sign_conflict_error']:.3f}"
        spaces = [_number(pair.get(f"{side}_overlap"), ".3f") for side in ("input", "output")]
        title = f"{names[i][-13:]} {names[j][-13:]}"
        lines.append(f"{title:<28} {_number(pair['cosine'], '.3f'):>8} {conflict:>20} {spaces[0]:>8} {spaces[1]:>8}")
    if layers:
        pairs = list(combinations(range(len(names)), 2))
        heads = " ".join(f"{f'cosine {i + 1}-{j + 1}':>12}" for i, j in pairs)
        lines += ["", f"{'layer':<8} {'cancellation':>12} {heads}"]
        for layer, part in result["per_layer"].items():
            cosines = " ".join(f"{_number(part['pairs'][f'{i}-{j}']['cosine'], '.3f'):>12}" for i, j in pairs)
            lines.append(f"{layer:<8} {_number(part['cancellation'], '.2f'):>12} {cosines}")
    start = result["suggestion"]
    weights = ",".join(f"{weight:g}" for weight in start["weights"])
    lines += [
        "",
        *result["means"],
        f"To start from: --recipe {start['method']} --weights {weights} ({start['reason']}).",
    ]
    return "\n".join(lines)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
