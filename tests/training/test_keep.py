"""An adapter kept as it was at steps of its training: the same bits after a kill, and nothing else is changed by it."""

import pytest

from factory.core.errors import BadInput
from factory.core.progress import silent
from factory.core.recipes import AdapterRecipe
from factory.store.points import at_step, kept_steps, place
from factory.store.ref import Ref
from factory.store.store import Store
from factory.training.train import build_adapter

WEIGHTS = "adapter_model.safetensors"
REF = Ref("pico", "adapter", "x", 0, "0" * 16)


class CutOff(Exception):
    pass


@pytest.fixture(scope="module")
def spec(pico_base):
    recipe = AdapterRecipe(
        tasks=["tiny_math"],
        max_steps=4,
        save_steps=2,
        prompts_per_step=2,
        num_generations=4,
        learning_rate=1e-2,
        max_completion_length=12,
        lora={"r": 2, "lora_alpha": 4},
        rewards={"correct": 1.0, "format": 0.5},
    )
    base = {"label": "pico", "path": str(pico_base), "revision": None, "hash": "pico"}
    return {"recipe": recipe.model_dump(), "seed": 0, "base": base, "data": None}


@pytest.fixture(scope="module")
def kept(spec, tmp_path_factory):
    return build_adapter(Store(tmp_path_factory.mktemp("kept")), REF, {**spec, "keep_every": 1}, silent)


def test_the_steps_between_are_kept_and_the_finished_adapter_is_the_same_without(kept, spec, tmp_path):
    plain = build_adapter(Store(tmp_path), REF, spec, silent)
    assert kept_steps(kept) == [1, 2, 3]
    assert kept_steps(plain) == []
    assert (kept / WEIGHTS).read_bytes() == (plain / WEIGHTS).read_bytes()
    assert len({(folder / WEIGHTS).read_bytes() for folder in [kept, *(place(kept, step) for step in (1, 2, 3))]}) == 4
    assert (place(kept, 1) / "adapter_config.json").read_text() == (kept / "adapter_config.json").read_text()


def test_a_run_that_was_cut_off_keeps_the_same_bits(kept, spec, tmp_path):
    def cut(text, done=None):
        if text.startswith("step 3/"):
            raise CutOff

    store = Store(tmp_path)
    with pytest.raises(CutOff):
        build_adapter(store, REF, {**spec, "keep_every": 1}, cut)
    again = build_adapter(store, REF, {**spec, "keep_every": 1}, silent)
    assert kept_steps(again) == [1, 2, 3]
    for step in (1, 2, 3):
        assert (place(again, step) / WEIGHTS).read_bytes() == (place(kept, step) / WEIGHTS).read_bytes()


def test_a_step_is_found_or_it_is_said_which_there_are(kept):
    assert at_step(kept, 2) == place(kept, 2)
    assert at_step(kept, 4) == kept
    assert at_step(kept, 40) == kept  # training ended before: nothing changed it since
    (place(kept, 2)).rename(kept / "gone")
    with pytest.raises(BadInput, match="not kept at step 2 of 4; it was kept at 1, 3"):
        at_step(kept, 2)
