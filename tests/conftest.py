"""What several folders of tests share: one thread, no network, and a pico base made once."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
from hypothesis import HealthCheck, settings
from pico import PICO

# How long an example takes says how busy the machine is, not whether the property holds.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def pico_base(tmp_path_factory):
    """A folder with the pico base, loadable by plain transformers."""
    from factory.core.progress import silent
    from factory.models.load import one_thread
    from factory.training.warmup import warm_up

    one_thread()
    folder = tmp_path_factory.mktemp("base") / "pico"
    model, tokenizer, _ = warm_up(PICO, 0, silent)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What holds wall-clock limits, ports or process counts of its own runs with nothing beside it."""
    for item in items:
        if item.path.parent.name == "sandbox" or item.path.stem in ("test_gold", "test_stream"):
            item.add_marker(pytest.mark.alone)
