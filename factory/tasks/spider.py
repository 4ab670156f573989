"""Spider: questions on databases of many domains (Yu et al. 2018, arXiv 1809.08887), judged by execution.

Its databases are not on the Hub: they come from the offline mirror. Rows whose database is not there or whose gold
query fails are refused, and so are training rows whose gold query returns nothing: any query that returns nothing would
answer them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from factory.core.hashing import key_of, unit_from
from factory.core.records import Row, Split, Verdict
from factory.tasks._checked import Checked, Unusable, checked_task
from factory.tasks._dataset import Dataset, Part, of_datasets
from factory.tasks._golds import accepted
from factory.tasks._mirror import mirror_file
from factory.tasks._spider_databases import schemas, unpacked
from factory.tasks._style import Question
from factory.tasks._task import Source, Task
from factory.verifiers import sql

VERSION = 2
TABLES, DATABASES, TRAIN_DATABASES = "spider/tables.json", "spider/database", "spider/database_train144.tar.xz"
DATASET = Dataset(
    "spider",
    "",
    {
        "test": Part("spider/dev.json.gz", {"db_id": str, "question": str, "query": str}),
        "train": Part("spider/train_spider_syn.json.gz", {"db_id": str, "SpiderQuestion": str, "query": str}),
    },
    (TABLES, TRAIN_DATABASES),
)
ASKS = {"plain": "\n\nAnswer with one SQL query.", "tag": "\n\nGive one SQL query as <answer>QUERY</answer>."}
DEV_SHARE = 0.05


def _question(plain: dict[str, Any], part: str, source: Source) -> tuple[Question, Split]:
    """Spider's dev items for `test`; its training rows, some databases set aside whole for `dev`."""
    assert source.data is not None
    name = plain["db_id"]
    folder = source.data / DATABASES if part == "test" else unpacked(mirror_file(source, TRAIN_DATABASES))
    path = folder / name / f"{name}.sqlite"
    tables = schemas(mirror_file(source, TABLES)).get(name)
    if Path(name).name != name or not path.is_file() or tables is None:
        raise Unusable(f"no database {name} in the mirror")
    text = plain["question" if part == "test" else "SpiderQuestion"].strip()
    split: Split = "test" if part == "test" else "dev" if unit_from("spider dev", name) < DEV_SHARE else "train"
    reference = {"query": plain["query"], "databases": [str(path)], "split": split}
    gold = " ".join(plain["query"].split())
    return Question(key_of("spider", name, text, gold), f"{tables}\n\n{text}", gold, reference), split


def _judge(row: Row, verdict: Verdict) -> str | None:
    if row.reference["split"] != "test" and verdict.reason == sql.BOTH_EMPTY:
        return "its gold query returns nothing"
    return accepted(row, verdict)


def verify(completion: str, row: Row) -> Verdict:
    """Execution accuracy on the row's database.

    Raises:
        BadInput: the gold query fails.
    """
    return sql.verify(completion, row.reference)


def _made(dataset: Dataset) -> Task:
    questions = Checked(VERSION, dataset, _question, verify, "plain", _judge)
    return checked_task(
        questions,
        ASKS,
        summary="text-to-SQL on databases of many domains",
        licence="CC BY-SA 4.0",
        origin="Spider 1.0, offline mirror",
        components=("format", "runs"),
    )


task = of_datasets(DATASET, make=_made)
