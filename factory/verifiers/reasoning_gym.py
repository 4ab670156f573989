"""An answer to an entry of reasoning-gym, scored by the dataset's own scorer in a killable, sandboxed worker.

reference: `{"dataset": "chain_sum", "config": "{}", "seed": 7, "question": text, "answer": text, "style": "tag"}`. The
worker makes the entry again from its seed. A score of 1 is right and anything less is wrong: the scorers' partial
credit (for length, for format) differs from dataset to dataset. Scorers that run the answer as Python get none that
could do more than compute.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput, WorkFailed
from factory.core.records import Verdict
from factory.sandbox import require
from factory.sandbox.kind import Kind
from factory.sandbox.lane import Lane, LaneLate, WorkerDied
from factory.sandbox.pool import LanesDied, pool_of
from factory.verifiers import _extract

SECONDS, MAKING_SECONDS = 5.0, 60.0
LONGEST = 20_000


@lru_cache(maxsize=1)
def _kind() -> Kind:
    libraries = tuple(path for path in sys.path if path and (Path(path) / "reasoning_gym").is_dir())
    here = str(Path(__file__).parent)  # after the library, whose name this file has
    return Kind("reasoning-gym", "_gym_worker", (*libraries, here), ("reasoning_gym",), memory_bytes=2 << 30)


def _asked(request: dict[str, Any], seconds: float) -> dict[str, Any]:
    require()

    def work(lane: Lane) -> dict[str, Any]:
        try:
            return lane.ask(request, seconds)
        except LaneLate:
            return {"failed": f"timed out: more than {seconds:g} s"}
        except WorkerDied:
            return {"failed": "the scorer ended its process"}

    return pool_of(_kind()).use(work)


def entry(dataset: str, config: str, seed: int) -> dict[str, Any]:
    """The `question` and `answer` that a seed makes; the answer is None where a dataset has none of its own.

    Raises:
        WorkFailed: the dataset cannot make it, or not in a minute.
    """
    made = _asked({"dataset": dataset, "config": config, "seed": seed}, MAKING_SECONDS)
    if "failed" in made:
        raise WorkFailed(f"reasoning_gym:{dataset} cannot make the row of seed {seed}: {made['failed']}")
    return made


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the dataset's scorer gives the answer a whole point.

    Raises:
        BadInput: the row is not of this dataset, or its own answer cannot be scored.
        WorkFailed: this machine cannot isolate the scorer.
    """
    start = time.perf_counter()
    try:
        request = {key: reference[key] for key in ("dataset", "config", "seed", "question")}
        gold = reference["answer"]
    except KeyError as error:
        raise BadInput(f"the row has no {error}; a reasoning_gym row has dataset, config, seed, question") from error
    said = _extract.marked(completion, reference.get("style", "tag"))
    if not said or len(said) > LONGEST:
        reason = "the answer is too long" if said else "no answer found"
        return Verdict.of(False, reason, seconds=time.perf_counter() - start, format=0.0)
    # JSON cannot carry lone surrogates to the worker as it would any other text.
    said = said.encode("utf-8", "replace").decode()
    try:
        reply = _asked({**request, "said": said}, SECONDS)
        if "score" not in reply and not _gold_works(tuple(request.items()), gold):
            raise BadInput(f"a row of reasoning_gym:{request['dataset']} is not what its seed {request['seed']} makes")
    except LanesDied as error:
        return Verdict.unscorable(str(error), seconds=time.perf_counter() - start)
    correct = reply.get("score", 0.0) >= 1
    reason = "code in the answer" if "code" in reply else f"score {reply['score']:g}" if "score" in reply else ""
    seconds = time.perf_counter() - start
    return Verdict.of(correct, reason or reply["failed"], seconds=seconds, format=1.0)


@lru_cache(maxsize=4096)
def _gold_works(request: tuple[tuple[str, Any], ...], gold: str) -> bool:
    """Whether a row's own answer can be scored: else it is no fault of the answer given."""
    return "score" in _asked({**dict(request), "said": gold}, MAKING_SECONDS)
