"""The exact folder that a push sends: a stored thing's files, its card, recipe, figures, results and README."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.analysis.curves import load_curves
from factory.core.atomic import clear_os_errors, read_json, write_bytes, write_json, write_text
from factory.core.hashing import file_digest
from factory.hub.bases import TOKENIZER
from factory.hub.evaluation import evaluation_of
from factory.hub.figures import curve_png, results_png
from factory.hub.front_matter import eval_result_files
from factory.hub.lineage import published_card
from factory.hub.model_card import describe, licence_of, render, template_text
from factory.store.checkpoint import Checkpoint, side_files
from factory.store.factors import WEIGHTS
from factory.store.fetch import same_content
from factory.store.peft_config import CONFIG
from factory.store.points import CHECKPOINTS
from factory.store.ref import Ref
from factory.store.store import CARD, ORIGIN, Store
from factory.store.tensors import TensorReader

README, RECIPE = "README.md", "recipe.yaml"
FIGURES, RESULTS = "figures", ".eval_results"
_MADE_HERE = (README, RECIPE, CARD, CONFIG, ORIGIN)
_WANTED = (".safetensors", ".json", ".jsonl", ".txt", ".jinja", ".model", ".py", ".tiktoken", ".yaml", ".md", ".png")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a variant goes and what its card says that is not on its own card.

    Attributes:
        repo: `USER/NAME`.
        base: `repo`, `revision` and `licence` of the base on the Hub; None for a base.
        licence: asked for; None for the base's.
        template: of the README; None for the usual one.
        parents: repositories of parents on the Hub, by key.
        tokenizer: hashes of the base's tokenizer, by file.
    """

    repo: str
    base: Mapping[str, Any] | None
    licence: str | None = None
    template: Path | None = None
    parents: Mapping[str, str] = field(default_factory=dict)
    tokenizer: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assembled:
    """A folder that is ready to be sent.

    Attributes:
        folder: holds every file under its final name.
        warnings: what the publisher should know.
        public: texts of it that are meant to be read by all.
    """

    folder: Path
    warnings: list[str]
    public: list[str]


def assemble(store: Store, ref: Ref, target: Target, out: Path, drawn: Path | None = None) -> Assembled:
    """Fill a new folder; weights are linked where the file system can, else copied.

    The folder is itself one the store can take in: its `card.json` names every other file but the README and figures,
    which are for people, with its hash. The same store gives the same bytes.

    Args:
        drawn: an earlier folder of the same variant, whose figures are taken.

    Raises:
        CorruptFile: a file of the stored thing is not what its card says.
        BadInput: the template or a name cannot be used.
        StoreError: the folder cannot be written.
    """
    source = store.open(ref)
    card = store.card(ref)
    with clear_os_errors(out, "--out"):
        out.mkdir(parents=True)
    left_out = _same_tokenizer(source, card, target.tokenizer) if ref.kind in ("adapter", "merge") else set()
    _copy(source, out, set(card["files"]) - left_out)
    told = {key: target.base[key] for key in ("repo", "revision")} if target.base else None
    if target.base:
        _name_base(source, out, target.base)
    evaluation = evaluation_of(store, ref, card)
    public = published_card(store, card, told)
    figures = _figures(source, out, ref, evaluation, drawn)
    if isinstance(public.get("recipe"), dict):
        write_text(out / RECIPE, _yaml(public["recipe"]))
    results = (evaluation or {}).get("results") or []
    for name, text in eval_result_files(results).items():
        write_text(out / name, text)
    licence, warnings = licence_of(public, (target.base or {}).get("licence"), target.licence)
    if ref.kind == "base" and licence is None and ref.name == "embedded":
        licence, warnings = "apache-2.0", []  # made here, from rows that are made here
    warnings += _about_evaluation(ref, evaluation, told)
    about = describe(
        ref, public, evaluation,
        repo=target.repo, base=told, licence=licence, files=[str(path.relative_to(out)) for path in out.rglob("*")],
        figures=figures, shape=_shape(out), parents=target.parents,
    )  # fmt: skip
    write_text(out / README, render(about, target.template))
    whole = {**public, **({"evaluation": evaluation} if evaluation else {}), "files": _files(out)}
    write_json(out / CARD, whole)
    return Assembled(out, warnings, _meant_for_all(about))


def assemble_base(source: Path, repo: str, licence: str | None, out: Path) -> Assembled:
    """Fill a new folder with a base model that is not in the store: its weights, configuration and tokenizer.

    Raises:
        BadInput, CorruptFile: it is not a whole model in safetensors.
        StoreError: the folder cannot be written.
    """
    with clear_os_errors(out, "--out"):
        out.mkdir(parents=True)
    with Checkpoint(source) as checkpoint:
        weights = {reader.path for reader, _ in checkpoint.tensors.values()}
    for path in sorted([*weights, *source.glob("*.safetensors.index.json"), *side_files(source)]):
        _place(path, out / path.name)
    config = {key: value for key, value in read_json(source / "config.json").items() if key != "_name_or_path"}
    write_json(out / "config.json", config)
    told = f"license: {licence}\n" if licence else ""
    name = repo.rpartition("/")[2]
    write_text(
        out / README,
        f"---\nlibrary_name: transformers\npipeline_tag: text-generation\n{told}tags:\n- lora-factory\n---\n\n"
        f"# {name}\n\nA base model, as adapters that name it were trained on. Where it comes from is not known here.\n",
    )
    return Assembled(out, [] if licence else [f"the licence of base {repo} is not known; give --license ID"], [repo])


def _same_tokenizer(source: Path, card: Mapping[str, Any], of_base: Mapping[str, str]) -> set[str]:
    """An adapter's tokenizer files, if all of them are its base's."""
    own = {name for name in card["files"] if name in TOKENIZER}
    return own if all(same_content(source / name, of_base.get(name)) for name in own) else set()


def _copy(source: Path, out: Path, names: Collection[str]) -> None:
    """Files that the card names; nothing that lies beside them, no pickles, nothing unfinished."""
    for name in sorted(names):
        path = source / name
        left_out = name in _MADE_HERE or name.split("/")[0] in (FIGURES, RESULTS, CHECKPOINTS)
        if left_out or path.suffix not in _WANTED:
            continue
        place = out / name
        with clear_os_errors(out, "--out"):
            place.parent.mkdir(parents=True, exist_ok=True)
            _place(path, place)


def _place(path: Path, place: Path) -> None:
    try:
        os.link(path.resolve(), place)  # in the Hub's cache files are links themselves
    except OSError:  # another file system, or one without links
        shutil.copyfile(path, place)


def _name_base(source: Path, out: Path, base: Mapping[str, Any]) -> None:
    """An adapter's configuration with its base as the Hub knows it, at its commit."""
    path = source / CONFIG
    if path.is_file():
        config = read_json(path)
        write_json(out / CONFIG, {**config, "base_model_name_or_path": base["repo"], "revision": base["revision"]})
    path = out / "config.json"
    if path.is_file() and "_name_or_path" in (config := read_json(path)):
        path.unlink()  # a link to the store's own
        write_json(path, {key: value for key, value in config.items() if key != "_name_or_path"})


def _figures(
    source: Path, out: Path, ref: Ref, evaluation: Mapping[str, Any] | None, drawn: Path | None
) -> dict[str, str]:
    """Draw what there is to draw, and is not drawn; gives alternative texts by file."""
    if drawn is not None and (drawn / FIGURES).is_dir():
        shutil.copytree(drawn / FIGURES, out / FIGURES)
    told = {}
    results = (evaluation or {}).get("results") or []
    if results:
        file = f"{FIGURES}/results.png"
        if not (out / file).is_file():
            write_bytes(out / file, results_png(results, f"{ref.kind}:{ref.name}"))
        told[file] = "Accuracy of the variant and of its base on each benchmark, with 95 % intervals"
    for curve in load_curves(source, f"{ref.kind}:{ref.name}", ref.seed):
        name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in curve.task)
        file = f"{FIGURES}/curve-{name}.png"
        if not (out / file).is_file():
            write_bytes(out / file, curve_png(curve))
        told[file] = f"Reward and its components on {curve.task}, by optimizer step"
    return told


def _files(out: Path) -> dict[str, Any]:
    """Size and hash of what a pull has to bring back as it is; what people read may be edited on the Hub."""
    return {
        str(path.relative_to(out)): {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.relative_to(out).parts[0] not in (CARD, README, FIGURES, RESULTS)
    }


def _shape(out: Path) -> dict[str, Any]:
    """Modules and ranks of an adapter, from its header."""
    path = out / WEIGHTS
    if not path.is_file():
        return {}
    with TensorReader(path) as reader:
        ranks = sorted({entry.shape[0] for name, entry in reader.entries.items() if ".lora_A." in name})
        modules = sum(".lora_A." in name for name in reader.entries)
    if not ranks:
        return {}
    vllm = next((size for size in (8, 16, 32, 64, 128, 256, 320, 512) if size >= ranks[-1]), ranks[-1])
    return {
        "modules": modules,
        "rank": ranks[-1],
        "ranks": str(ranks[0]) if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}",
        "vllm_rank": vllm,
    }


def _about_evaluation(ref: Ref, evaluation: Mapping[str, Any] | None, told: Mapping[str, Any] | None) -> list[str]:
    if evaluation is None:
        return [f"{ref.title} has not been scored; 'factory score {ref.kind}:{ref.name}' does that"]
    stale = [f"the evaluation is out of date: {line}" for line in evaluation.get("stale") or []]
    alone = dict.fromkeys(one["benchmark"] for one in evaluation["results"] if not one["base"]) if told else {}
    lacking = f"the base was not scored as {ref.title} was on {', '.join(alone)}, so the card has no comparison there"
    return [*stale, *([lacking] if alone else [])]


def _meant_for_all(about: Mapping[str, Any]) -> list[str]:
    """Texts that may stand in the folder although a variable of this machine happens to hold the same."""
    results = (about["evaluation"] or {}).get("results") or []
    base = about["base"] or {}
    names = [about["repo"], about["ref"].title, base.get("repo"), base.get("revision"), "lora-factory"]
    words = [template_text(), " ".join(about["card"].get("versions") or {})]
    benchmarks = [result["benchmark"] for result in results]
    return [name for name in [*names, *words, *about["tasks"], *benchmarks] if name]


def _yaml(value: Any) -> str:
    import yaml

    plain = json.loads(json.dumps(value))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
