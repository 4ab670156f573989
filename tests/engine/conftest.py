"""A way to plan a changed pico study in a fresh place."""

from pathlib import Path

import pytest

PICO = Path(__file__).parents[1] / "studies" / "pico.yaml"


@pytest.fixture
def planned(tmp_path):
    """Plan the pico study with `key=value` settings and changes; the store is `tmp_path / "store"`."""
    from factory.engine.study import prepare

    def plan(*settings, data=None, **changes):
        return prepare(tmp_path / "store", str(PICO), settings, changes, data)

    plan.study = PICO
    return plan
