"""Merge adapters into one adapter, or into a full model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from factory.cli._options import emit, json_option, parse_weights, store_option

WORST = 3


@click.command()
@click.argument("adapters", nargs=-1, metavar="[ADAPTER]...")
@click.option("--recipe", required=True, metavar="NAME_OR_FILE", help="A merge recipe: linear, ties, dare, or a file.")
@click.option("--weights", metavar="W,W,...", help="One weight for each adapter, before those of the recipe.")
@click.option(
    "--to", type=click.Choice(["adapter", "model"]), default="adapter", show_default=True, help="What to make."
)
@click.option(
    "--base", metavar="B", help="Base model: hub id, folder, or one in the store. Default: the adapters' own."
)
@click.option(
    "--rank",
    default="full",
    show_default=True,
    metavar="N|auto|full",
    help="Rank of the result; full loses nothing, auto keeps 99 % of each module's energy and auto:0.9 that share; "
    "q_proj=8,mlp=auto,16 gives some modules their own.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of methods that draw at random."
)
@click.option(
    "--runner",
    type=click.Choice(["factory", "mergekit"]),
    default="factory",
    show_default=True,
    help="Who makes a full model; methods that only mergekit has are always its.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="A new folder, instead of the store.")
@click.option("--print-mergekit", is_flag=True, help="Print the recipe as mergekit would run it, and stop.")
@click.option("--dry-run", is_flag=True, help="Check everything, print the plan, and stop.")
@store_option
@json_option
def command(
    *,
    adapters: tuple[str, ...],
    recipe: str,
    weights: str | None,
    to: str,
    base: str | None,
    rank: str,
    seed: int,
    runner: str,
    out: Path | None,
    print_mergekit: bool,
    dry_run: bool,
    store: Any,
    json: bool,
) -> None:
    """Merge adapters of one base.

    An ADAPTER is a store name, a folder in PEFT's format, or a hub id. The recipe is a mergekit configuration; linear
    merges are exact. The result is read back and compared before it counts as done.

    \b
    Examples:
      factory merge --recipe linear math sql python --weights 0.5,0.5,0.5
      factory merge --recipe ties ./math ./sql --rank auto --out merged
    """
    from factory.core.ranks import parse_ranks
    from factory.engine.plan import Job
    from factory.engine.watch import watching
    from factory.merging.plan import plan_merge
    from factory.merging.run import check_out, check_plan, run_plan, summary
    from factory.store.store import Store

    place = Store(store)
    options: dict[str, Any] = {
        "weights": parse_weights(weights),
        "rank": parse_ranks(rank),
        "seed": seed,
        "base": base,
        "runner": runner,
    }
    plan = plan_merge(place, recipe, adapters, **options)
    if print_mergekit:
        text = plan.mergekit()
        emit({"mergekit": text}, json, text.rstrip())
        return
    check_out(out)
    if dry_run:
        result = {
            "what": to,
            "to": str(out or place.path(plan.ref)),
            "method": plan.recipe.merge_method,
            "settings": plan.resolved.to_json(),
            "rank": plan.spec["rank"],
            "base": plan.spec["base"],
            **check_plan(plan),
        }
        emit(result, json, "\n".join(f"{key}: {value}" for key, value in result.items()))
        return
    job = Job(plan.ref, "merges", "factory.merging.build:build", plan.spec, (), cost=1.0)
    with watching(1) as watcher:
        watcher.started(job)

        def say(text: str, done: float | None = None) -> None:
            watcher.progress(job, text, done)

        folder = run_plan(place, plan, say, model=to == "model", out=out)
        watcher.finished(job)
    result = summary(folder)
    emit(result, json, _text(result))


def _text(result: dict[str, Any]) -> str:
    lines = [f"{result['folder']}"]
    if "runner" in result:
        lines.append(f"{result['method']} of {', '.join(result['inputs'])} by mergekit")
    if "merge" in result:
        kept, lost = result["merge"]["energy_kept"], result["merge"]["relative_error"]
        lines.append(f"{result['method']} of {', '.join(result['inputs'])}")
        lines.append(f"rank {result['merge']['rank']}, energy kept {kept:.1%}, relative error {lost:.2g}")
        lines += _worst(result["merge"]["per_module"])
        lines += [f"note: {note}" for note in result["merge"].get("notes", [])]
    if "rounding" in result:
        rounding = result["rounding"]
        lines.append(f"baked in {rounding['dtype']}: rounding costs {rounding['relative_error']:.2g} of the update")
        if "warning" in rounding:
            click.echo(f"warning: {rounding['warning']}", err=True)
    if "logits_difference" in result:
        lines.append(f"logits differ from base + update by {result['logits_difference']:.1e} of the largest")
    return "\n".join(lines)


def _worst(modules: dict[str, dict[str, Any]]) -> list[str]:
    """The modules that lost most, where any lost something to speak of."""
    lossy = [(told["relative_error"], name, told) for name, told in modules.items() if told["relative_error"] > 1e-3]
    return [
        f"  {name}: rank {told['rank']}, energy kept {told['energy_kept']:.1%}, relative error {error:.2g}"
        for error, name, told in sorted(lossy, reverse=True)[:WORST]
    ]
