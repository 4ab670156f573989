"""Spider: questions on databases of many domains (Yu et al. 2018, arXiv 1809.08887), judged by execution.

Its databases are not on the Hub: they come from the offline mirror. Training rows whose gold query fails, returns
nothing, or has no database here are left out, and counted in the cache beside the unpacked databases.
"""

from __future__ import annotations

import sqlite3
import tarfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from factory.core.atomic import clear_os_errors, publish_folder, read_json, write_json
from factory.core.errors import BadInput, CorruptFile
from factory.core.hashing import file_digest, key_of, unit_from
from factory.core.records import Row, Split, Verdict
from factory.tasks._mirror import cache_folder, checked, fingerprint_of, mirror_file, read_rows
from factory.tasks._task import Source, Task
from factory.verifiers import sql

TABLES, DEV, DATABASES = "spider/tables.json", "spider/dev.json.gz", "spider/database"
TRAIN, TRAIN_DATABASES = "spider/train_spider_syn.json.gz", "spider/database_train144.tar.xz"
DEV_SHARE = 0.05
ASK = "\n\nAnswer with one SQL query."
STEPS_LIMIT = 20_000_000


def fingerprint(source: Source) -> str:
    """The hash of the mirror's files.

    Raises:
        BadInput: there is no mirror, or a file of it is missing.
    """
    if source.data is None:
        raise BadInput("task spider: its databases are not on the Hub; give an offline mirror with --data DIR")
    return fingerprint_of((TABLES, DEV, TRAIN, TRAIN_DATABASES), "")(source)


def rows(split: Split, source: Source) -> Sequence[Row]:
    """Spider's dev items for `test`; its training rows, some databases set aside whole for `dev`."""
    if source.data is None:
        fingerprint(source)
    if split == "test":
        return _test_rows(source)
    wanted = split == "dev"
    return [row for row in _train_rows(source) if (unit_from("spider dev", _database_of(row)) < DEV_SHARE) == wanted]


def verify(completion: str, row: Row) -> Verdict:
    """Execution accuracy on the row's database."""
    return sql.verify(completion, row.reference)


def _database_of(row: Row) -> str:
    return Path(row.reference["databases"][0]).stem


@lru_cache(maxsize=2)
def _test_rows(source: Source) -> tuple[Row, ...]:
    plain = checked(read_rows(mirror_file(source, DEV)), ("db_id", "question", "query"), DEV)
    assert source.data is not None
    return _with_databases(plain, "question", source, source.data / DATABASES)


@lru_cache(maxsize=2)
def _train_rows(source: Source) -> tuple[Row, ...]:
    plain = checked(read_rows(mirror_file(source, TRAIN)), ("db_id", "SpiderQuestion", "query"), TRAIN)
    found = _with_databases(plain, "SpiderQuestion", source, _unpacked(mirror_file(source, TRAIN_DATABASES)))
    refused = _refused(found, fingerprint(source), len(plain) - len(found))
    return tuple(row for row in found if row.id not in refused)


def _with_databases(plain: list[dict[str, Any]], question: str, source: Source, folder: Path) -> tuple[Row, ...]:
    """The rows whose database is in a folder, unique by content."""
    schemas = _schemas(source)
    found: dict[str, Row] = {}
    for row in plain:
        name = row["db_id"]
        path = folder / name / f"{name}.sqlite"
        if not path.is_file() or name not in schemas:
            continue
        prompt = f"{schemas[name]}\n\n{row[question].strip()}{ASK}"
        key = key_of(prompt, row["query"])
        reference = {"query": row["query"], "databases": [str(path)], "style": "plain"}
        found.setdefault(key, Row(key, prompt, " ".join(row["query"].split()), reference))
    if not found:
        raise BadInput(f"{folder}: none of the databases that Spider's rows name; expected NAME/NAME.sqlite")
    return tuple(found.values())


@lru_cache(maxsize=2)
def _schemas(source: Source) -> dict[str, str]:
    """Each database's tables as `name(column, column)` lines."""
    found = {}
    for number, schema in enumerate(read_rows(mirror_file(source, TABLES))):
        for field in ("db_id", "table_names_original", "column_names_original"):
            if field not in schema:
                raise BadInput(f"{TABLES}, database {number}: no '{field}'; the file is not Spider's")
        tables = schema["table_names_original"]
        columns: list[list[str]] = [[] for _ in tables]
        for table, column in schema["column_names_original"]:
            if table >= 0:
                columns[table].append(column)
        lines = [f"{table}({', '.join(names)})" for table, names in zip(tables, columns, strict=True)]
        found[schema["db_id"]] = "\n".join(lines)
    return found


def _unpacked(archive: Path) -> Path:
    """The folder of the training databases, unpacked once into the user's cache.

    Raises:
        CorruptFile: the archive is cut off.
    """
    folder = cache_folder(f"spider-{file_digest(archive)[:16]}")
    with clear_os_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                built = folder.with_name(f".unpacking-{folder.name}")
                try:
                    with tarfile.open(archive) as tar:
                        tar.extractall(built, filter="data")
                except (tarfile.TarError, EOFError) as error:
                    raise CorruptFile(f"{archive}: cannot be unpacked ({error}); copy it again") from error
                publish_folder(built, folder)
    return folder / "database"


def _refused(rows: tuple[Row, ...], content: str, without_database: int) -> set[str]:
    """Ids of rows that teach nothing: the gold query fails or returns nothing. Found once, kept in the cache."""
    path = cache_folder(f"spider-rows-{content}.json")
    if not path.is_file():
        reasons = {row.id: reason for row in rows if (reason := _problem(row)) is not None}
        write_json(path, {"refused": reasons, "without_database_or_repeated": without_database, "of": len(rows)})
    return set(read_json(path)["refused"])


def _problem(row: Row) -> str | None:
    """Why a gold query teaches nothing; None if it does. The database is only read."""
    database = sqlite3.connect(f"file:{row.reference['databases'][0]}?mode=ro&immutable=1", uri=True)
    database.text_factory = lambda data: data.decode(errors="replace")
    ticks = iter(range(STEPS_LIMIT // 100_000))
    database.set_progress_handler(lambda: next(ticks, None) is None, 100_000)
    try:
        return None if database.execute(row.reference["query"]).fetchone() is not None else "returns nothing"
    except sqlite3.Error as error:
        return f"fails: {error}"
    finally:
        database.close()


TASK = Task(
    name="spider",
    version=1,
    summary="text-to-SQL on databases of many domains",
    licence="CC BY-SA 4.0",
    origin="Spider 1.0, offline mirror",
    rows=rows,
    verify=verify,
    components=("format", "runs"),
    fingerprint=fingerprint,
)
