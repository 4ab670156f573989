"""A mirror's structure with made-up rows: one Spider database for training, one for testing, a few sums for GSM8K."""

import gzip
import io
import json
import sqlite3
import tarfile
from pathlib import Path


def _gz(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def _database(rows):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE fruit (name TEXT, price INTEGER)")
    connection.executemany("INSERT INTO fruit VALUES (?, ?)", rows)
    connection.commit()
    return connection.serialize()


def _schema(name):
    return {
        "db_id": name,
        "table_names_original": ["fruit"],
        "column_names_original": [[-1, "*"], [0, "name"], [0, "price"]],
    }


TRAINED = [
    ("What is cheap?", "SELECT name FROM fruit WHERE price < 3"),
    ("What costs nothing?", "SELECT name FROM fruit WHERE price = 0"),  # returns nothing
    ("What is red?", "SELECT name FROM fruit WHERE colour = 'red'"),  # fails
    ("How many are there?", "SELECT count(*) FROM fruit"),
]


def write_mirror(data: Path) -> Path:
    """Write it below a folder; gives the folder."""
    sums = [
        {"question": f"What is {n} and {n}?", "answer": f"{n}+{n}=<<{n}+{n}={2 * n}>>{2 * n}\n#### {2 * n}"}
        for n in range(60)
    ]
    _gz(data / "gsm8k" / "train.jsonl.gz", "".join(json.dumps(row) + "\n" for row in sums[:50]))
    (data / "gsm8k" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in sums[50:]))
    spider = data / "spider"
    spider.mkdir()
    spider.joinpath("tables.json").write_text(json.dumps([_schema("market"), _schema("shop")]))
    dev = [{"db_id": "shop", "question": "What is dear?", "query": "SELECT name FROM fruit WHERE price > 5"}]
    _gz(spider / "dev.json.gz", json.dumps(dev))
    train = [{"db_id": "market", "SpiderQuestion": question, "query": query} for question, query in TRAINED]
    train.append({"db_id": "nowhere", "SpiderQuestion": "Anything?", "query": "SELECT 1"})
    _gz(spider / "train_spider_syn.json.gz", json.dumps(train))
    test_database = spider / "database" / "shop" / "shop.sqlite"
    test_database.parent.mkdir(parents=True)
    test_database.write_bytes(_database([("fig", 9), ("pear", 2)]))
    content = _database([("plum", 1), ("melon", 4)])
    with tarfile.open(spider / "database_train144.tar.xz", "w:xz") as tar:
        member = tarfile.TarInfo("database/market/market.sqlite")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return data
