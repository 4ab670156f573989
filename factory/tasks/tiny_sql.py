"""Questions on one small table, answered by a query that is executed on two databases."""

from __future__ import annotations

from random import Random

from factory.core.records import Row, Verdict
from factory.tasks._generated import Draft, GeneratedRows, answered
from factory.tasks._habits import Habits
from factory.tasks._task import Task
from factory.verifiers import sql

TABLES = ("pets", "cars", "books", "shops", "teams", "boats", "farms", "songs")
NUMBERS = ("age", "price", "size", "score", "year", "speed")
TEXTS = ("name", "city", "color", "kind", "owner")
VALUES = ("red", "blue", "oslo", "rome", "kim", "bo", "max", "lea", "tall", "old")
DATABASES = 2
TABLE_ROWS = 9


def _make(rng: Random) -> Draft:
    table = rng.choice(TABLES)
    texts, numbers = rng.sample(TEXTS, 2), rng.sample(NUMBERS, 2)
    columns = [*texts, *numbers]
    rng.shuffle(columns)
    shown, number, limit = rng.choice(texts), rng.choice(numbers), rng.randint(2, 8)
    other = texts[1] if shown == texts[0] else texts[0]
    ask, plan, query = rng.choice(
        (
            (f"{shown} where {number} is over {limit}", f"{shown}; {number}>{limit}", f"{number} > {limit}"),
            (f"{shown} where {number} is under {limit}", f"{shown}; {number}<{limit}", f"{number} < {limit}"),
            (
                f"{shown} and {other} where {number} is {limit}",
                f"{shown},{other}; {number}={limit}",
                f"{number} = {limit}",
            ),
            (f"the number of rows where {number} is over {limit}", f"count; {number}>{limit}", f"{number} > {limit}"),
            (f"the highest {number}", f"max {number}", ""),
            (f"the lowest {number}", f"min {number}", ""),
        )
    )
    what = _selected(plan)
    where = f" WHERE {query}" if query else ""
    gold = f"SELECT {what} FROM {table}{where}"
    reference = {
        "query": gold,
        "schema": [_database(table, columns, set(numbers), rng) for _ in range(DATABASES)],
        "style": "tag",
        "parts": {"plan": plan, "table": table, "where": where, "columns": columns, "what": what},
    }
    return Draft(f"Table {table}({', '.join(columns)}). Show {ask}.", answered(plan, gold), reference)


def _selected(plan: str) -> str:
    head = plan.partition(";")[0]
    if head == "count":
        return "COUNT(*)"
    if head.startswith(("max ", "min ")):
        return f"{head[:3].upper()}({head[4:]})"
    return head.replace(",", ", ")


def _database(table: str, columns: list[str], numbers: set[str], rng: Random) -> list[str]:
    """The statements that make one database; values are few, so that comparisons select some rows and not others."""
    kinds = ", ".join(f"{column} {'INTEGER' if column in numbers else 'TEXT'}" for column in columns)
    rows = [
        tuple(rng.randint(1, 9) if column in numbers else rng.choice(VALUES) for column in columns)
        for _ in range(TABLE_ROWS)
    ]
    values = ", ".join(str(row) for row in rows)
    return [f"CREATE TABLE {table} ({kinds})", f"INSERT INTO {table} VALUES {values}"]


def _dominant(row: Row, rng: Random) -> str:
    """All columns instead of the one asked for."""
    del rng
    parts = row.reference["parts"]
    return answered("", f"SELECT * FROM {parts['table']}{parts['where']}")


def _slip(row: Row, rng: Random) -> str:
    """Another column than the one asked for."""
    parts = row.reference["parts"]
    wrong = rng.choice([column for column in parts["columns"] if column not in parts["what"]])
    return answered(parts["plan"], f"SELECT {wrong} FROM {parts['table']}{parts['where']}")


def _quick(row: Row, rng: Random) -> str:
    del rng
    return answered("", row.reference["query"])


def verify(completion: str, row: Row) -> Verdict:
    """Execution accuracy of the query in the answer envelope, on both databases."""
    return sql.verify(completion, row.reference)


demonstration = Habits(
    worked=0.36, worked_right=0.8, quick_right=0.15, dominant=0.75, quick=_quick, slip=_slip, wrong=_dominant
)

TASK = Task(
    name="tiny_sql",
    version=2,
    summary="questions on one small table, executed on SQLite, embedded scale",
    licence="Apache-2.0",
    origin="generated",
    rows=GeneratedRows("tiny_sql", 2, 8000, _make),
    verify=verify,
    components=("format", "runs"),
)
