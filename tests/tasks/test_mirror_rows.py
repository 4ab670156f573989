"""The real rows of an offline mirror, where there is one: their counts, as the datasets' papers and cards give them."""

import os
from pathlib import Path

import pytest

from factory.tasks import gsm8k, spider
from factory.tasks._task import Source

DATA = os.environ.get("FACTORY_DATA")
pytestmark = pytest.mark.skipif(DATA is None, reason="reads the mirror, and FACTORY_DATA is not set")


def test_gsm8k_has_its_rows():
    source = Source(Path(DATA))
    train, dev, test = (gsm8k.rows(split, source) for split in ("train", "dev", "test"))
    assert len(train) + len(dev) == 7473
    assert len(test) == 1319
    assert 0.04 < len(dev) / 7473 < 0.06
    assert not [row for row in (*train, *dev, *test) if "<<" in row.gold]


def test_spider_has_the_rows_its_databases_are_there_for():
    source = Source(Path(DATA))
    train, dev, test = (spider.rows(split, source) for split in ("train", "dev", "test"))
    assert len(test) == 523
    held = [{Path(row.reference["databases"][0]).stem for row in rows} for rows in (train, dev, test)]
    # Databases are set aside whole: no schema of dev or test is trained on.
    assert not held[0] & held[1]
    assert not (held[0] | held[1]) & held[2]
