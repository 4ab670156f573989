"""The YAML at the top of a model card, through huggingface_hub's own classes, and `.eval_results/*.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from factory.benchmarks._benchmark import load_benchmark
from factory.core.errors import BadInput
from factory.store.fetch import HUB_ID

TASK_TYPE, TASK_NAME = "text-generation", "Text Generation"
REGISTERED = {"gsm8k": ("openai/gsm8k", "gsm8k")}
"""Benchmarks the Hub keeps leaderboards of, and the task's id in the dataset's `eval.yaml`."""
LICENCES = {
    "apache-2.0": "apache-2.0",
    "mit": "mit",
    "cc by 4.0": "cc-by-4.0",
    "cc by-sa 4.0": "cc-by-sa-4.0",
    "cc by-nc 4.0": "cc-by-nc-4.0",
    "cc0": "cc0-1.0",
    "bsd-3-clause": "bsd-3-clause",
}


def front_matter(about: Mapping[str, Any]) -> Any:
    """`ModelCardData` of what `factory.hub.model_card.describe` gathered.

    Raises:
        BadInput: huggingface_hub refuses it.
    """
    from huggingface_hub import ModelCardData

    fields: dict[str, Any] = {
        "library_name": about["library"],
        "base_model": about["base"]["repo"] if about["base"] else None,
        "base_model_relation": about["relation"],
        "pipeline_tag": TASK_TYPE,
        "license": about["license"],
        "datasets": about["datasets"] or None,
        "language": about["languages"],
        "tags": about["tags"],
    }
    results = eval_results((about["evaluation"] or {}).get("results") or [])
    if results:
        fields |= {"model_name": about["name"], "eval_results": results}
    try:
        return ModelCardData(**{key: value for key, value in fields.items() if value is not None})
    except ValueError as error:
        raise BadInput(f"{about['name']}: the card's front matter is refused: {error}") from error


def eval_results(results: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Every cell as an `EvalResult`: value in %, its interval, n, decoding and harness among the metric's arguments."""
    from huggingface_hub import EvalResult

    found = []
    datasets = {name: dataset_of(name) for name in {result["benchmark"] for result in results}}
    for result in results:
        dataset, config = datasets[result["benchmark"]]
        low, high = 100 * result["low"], 100 * result["high"]
        found.append(
            EvalResult(
                task_type=TASK_TYPE,
                task_name=TASK_NAME,
                dataset_type=dataset,
                dataset_name=result["benchmark"],
                dataset_config=config,
                dataset_split=result["split"],
                dataset_args={"version": result["version"]},
                metric_type="accuracy",
                metric_name=f"accuracy, {result['mode']}",
                metric_value=round(100 * result["value"], 2),
                metric_args={
                    "n": result["items"],
                    "interval_95": [round(low, 2), round(high, 2)],
                    "notes": f"95 % interval {low:.1f} to {high:.1f}, n = {result['items']}",
                    "decoding": result["asked"],
                    "harness": result["harness"],
                },
            )
        )
    return found


def eval_result_files(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """`.eval_results/NAME.yaml` of the benchmarks the Hub knows; the greedy score, else the sampled one, in %."""
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    files = {}
    for name, (dataset, task) in REGISTERED.items():
        mine = {result["mode"]: result for result in results if result["benchmark"] == name}
        result = mine.get("greedy") or mine.get("sampled")
        if result is None:
            continue
        low, high = 100 * result["low"], 100 * result["high"]
        notes = f"n = {result['items']}, 95 % interval {low:.1f} to {high:.1f}; {result['asked']}"
        entry = EvalResultEntry(
            dataset,
            task,
            round(100 * result["value"], 2),
            date=result.get("scored"),
            notes=f"{notes}; {result['harness']}",
        )
        text = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True, width=100)
        files[f".eval_results/{name}.yaml"] = text
    return files


def dataset_of(benchmark: str) -> tuple[str, str]:
    """(dataset id, configuration) of a benchmark: the Hub's where its rows come from there, else this project's."""
    try:
        origin = load_benchmark(benchmark).origin
    except BadInput:  # a user's own, which is not beside this command
        origin = ""
    return (origin if HUB_ID.match(origin) else "lora-factory"), benchmark


def licence_id(text: str | None) -> str | None:
    """The Hub's identifier of a licence (`apache-2.0`); None if it has none that is known here."""
    return LICENCES.get(text.lower()) if text else None
