"""GSM8K: grade-school word problems (Cobbe et al. 2021, arXiv 2110.14168), answered after `####`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from factory.core.errors import BadInput
from factory.core.hashing import key_of, unit_from
from factory.core.records import Row, Split, Verdict
from factory.tasks._mirror import checked, fingerprint_of, hub_rows, mirror_file, read_rows
from factory.tasks._task import Source, Task
from factory.verifiers import numeric

HUB = "openai/gsm8k"
FILES = {"train": "gsm8k/train.jsonl.gz", "test": "gsm8k/test.jsonl"}
ASK = "\n\nSolve it step by step and give the answer as a number after ####."
DEV_SHARE = 0.05
_CALCULATOR = re.compile(r"<<[^>]*>>")


@lru_cache(maxsize=4)
def _read(upstream: str, source: Source) -> tuple[Row, ...]:
    where = f"gsm8k {upstream}"
    plain = read_rows(mirror_file(source, FILES[upstream])) if source.data else hub_rows(HUB, "main", upstream)
    rows = tuple(_row(row, f"{where}, row {n}") for n, row in enumerate(checked(plain, ("question", "answer"), where)))
    for number, row in enumerate(rows):
        try:
            accepted = verify(row.gold, row).correct
        except BadInput as error:
            raise BadInput(f"{where}, row {number}: {error}; the file is not GSM8K's") from error
        if not accepted:
            raise BadInput(f"{where}, row {number}: its own answer is not accepted; the file is not GSM8K's")
    return rows


def _row(plain: dict[str, str], where: str) -> Row:
    answer = plain["answer"].rpartition("####")[2].strip()
    if not answer or "####" not in plain["answer"]:
        raise BadInput(f"{where}: the answer has no '#### number'; the file is not GSM8K's")
    prompt = plain["question"] + ASK
    return Row(key_of(prompt), prompt, _CALCULATOR.sub("", plain["answer"]), {"answer": answer, "style": "hashes"})


def rows(split: Split, source: Source) -> Sequence[Row]:
    """Upstream's test split; upstream's train split less a development slice chosen by content."""
    if split == "test":
        return _read("test", source)
    wanted = split == "dev"
    return [row for row in _read("train", source) if (unit_from("gsm8k dev", row.prompt) < DEV_SHARE) == wanted]


def verify(completion: str, row: Row) -> Verdict:
    """Numeric equality of what follows `####`."""
    return numeric.verify(completion, row.reference)


TASK = Task(
    name="gsm8k",
    version=1,
    summary="grade-school word problems",
    licence="MIT",
    origin=HUB,
    rows=rows,
    verify=verify,
    fingerprint=fingerprint_of(tuple(FILES.values()), HUB),
)
