"""Merge adapters into one adapter, or into a full model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from factory.cli._options import data_option, emit, json_option, parse_weights, store_option
from factory.core.errors import BadInput

WORST = 3


@click.command()
@click.argument("adapters", nargs=-1, metavar="[ADAPTER]...")
@click.option("--recipe", metavar="NAME_OR_FILE", help="A recipe, a method, or a file.")
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
@click.option("--suggest", is_flag=True, help="Recipe and weights from how the adapters interfere, as compare says.")
@click.option("--search", is_flag=True, help="Choose weights (and density) on development rows first.")
@click.option("--budget", type=click.IntRange(min=1), default=16, show_default=True, help="Of --search: merges tried.")
@click.option("--methods", metavar="M,M,...", help="Of --search: methods to choose from besides the recipe's.")
@click.option("--on", multiple=True, metavar="TASK", help="Of --search: whose development rows. Default: the trained.")
@click.option("--items", type=click.IntRange(min=1), default=60, show_default=True, help="Of --search: rows a task.")
@data_option
@click.option("--print-mergekit", is_flag=True, help="Print the recipe as mergekit would run it, and stop.")
@click.option("--dry-run", is_flag=True, help="Check everything, print the plan, and stop.")
@store_option
@json_option
def command(
    *,
    adapters: tuple[str, ...],
    recipe: str | None,
    weights: str | None,
    to: str,
    base: str | None,
    rank: str,
    seed: int,
    runner: str,
    out: Path | None,
    suggest: bool,
    search: bool,
    budget: int,
    methods: str | None,
    on: tuple[str, ...],
    items: int,
    data: Path | None,
    print_mergekit: bool,
    dry_run: bool,
    store: Any,
    json: bool,
) -> None:
    """Merge adapters of one base.

    An ADAPTER is a store name, a folder in PEFT's format, or a hub id. The recipe is a mergekit configuration (linear,
    ties and dare are there), or a method's name alone: tsv, knots_ties, core_space, della and more, each with its
    defaults. Linear merges are exact. The result is read back and compared before it counts as done.

    \b
    Examples:
      factory merge --recipe linear math sql python --weights 0.5,0.5,0.5
      factory merge --recipe ties ./math ./sql --rank auto --out merged
      factory merge --recipe tsv ./math user/sql --rank 16 --to model
      factory merge --recipe linear math sql --to model --base Qwen/Qwen2.5-1.5B --out merged
      factory merge --suggest math sql python
      factory merge --recipe ties math sql --search --budget 30
    """
    from factory.core.ranks import parse_ranks
    from factory.engine.plan import Job
    from factory.engine.watch import watching
    from factory.merging.plan import plan_merge
    from factory.merging.run import check_out, check_plan, run_plan, summary
    from factory.store.store import Store

    place, own = Store(store), parse_weights(weights)
    if suggest:
        if recipe or weights:
            raise BadInput("--suggest chooses recipe and weights; leave --recipe and --weights out")
        recipe, own = _suggested(place, adapters)
    if recipe is None:
        raise BadInput("no recipe is named; give --recipe NAME_OR_FILE, or --suggest")
    options: dict[str, Any] = {"weights": own, "rank": parse_ranks(rank), "seed": seed, "base": base, "runner": runner}
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
    if search:
        from factory.engine.merge_search import search_and_merge

        if own is not None or out is not None or to == "model":
            raise BadInput(
                "--search chooses the weights and keeps its merge in the store; leave --weights, --out, --to out"
            )
        wanted = {"budget": budget, "methods": methods.split(",") if methods else [], "items": items}
        card = search_and_merge(place, plan, on, wanted, data)
        shown = {
            "folder": card["folder"],
            "key": card["ref"]["key"],
            "method": card["method"],
            "inputs": card["inputs"],
        }
        shown |= {name: card[name] for name in ("weights", "merge", "search")}
        emit(shown, json, _text(shown) + "\n" + _searched(card["search"]))
        return
    job = Job(plan.ref, "merges", "factory.merging.build:build", plan.spec, (), cost=1.0)
    with watching(place, 1) as watcher:
        watcher.started(job)

        def say(text: str, done: float | None = None) -> None:
            watcher.progress(job, text, done)

        folder = run_plan(place, plan, say, model=to == "model", out=out)
        watcher.finished(job)
    result = summary(folder)
    emit(result, json, _text(result))


def _suggested(store: Any, adapters: tuple[str, ...]) -> tuple[str, list[float]]:
    """Recipe and weights to start from; says which on stderr."""
    from factory.analysis.advice import suggest
    from factory.analysis.compare import compare
    from factory.merging.inputs import open_input
    from factory.merging.plan import locate

    found = [locate(store, text)[0] for text in adapters]
    start = suggest(compare([open_input(item["title"], Path(item["folder"]), item["key"]) for item in found]))
    weights = ",".join(f"{weight:g}" for weight in start.weights)
    click.echo(f"suggested: --recipe {start.method} --weights {weights} ({start.reason})", err=True)
    return start.method, start.weights


def _searched(choice: dict[str, Any]) -> str:
    weights = ", ".join(f"{weight:g}" for weight in choice["weights"] or [])
    density = f", density {choice['density']:g}" if choice["density"] is not None else ""
    scores = [", ".join(f"{task} {score:.3f}" for task, score in choice[key].items()) for key in ("scores", "held_out")]
    return (
        f"chosen in {choice['tried']} trials: {choice['method']}, weights {weights}{density}\n"
        f"development rows it was chosen on: {scores[0]}; rows no trial has seen: {scores[1]}"
    )


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
