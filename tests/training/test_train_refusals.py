"""What a training refuses once the base is loaded, before its first step: really tried, on a pico base."""

import shutil

import pytest

from factory.core.errors import BadInput, WorkFailed
from factory.core.progress import silent
from factory.core.recipes import AdapterRecipe
from factory.store.ref import Ref
from factory.store.store import Store
from factory.training.train import build_adapter


class CutOff(Exception):
    pass


def cut(text, done=None):
    if text.startswith("step 2/"):
        raise CutOff


@pytest.fixture
def spec(pico_base):
    def of(**options):
        plain = {
            "tasks": ["tiny_math"],
            "max_steps": 4,
            "save_steps": 1,
            "prompts_per_step": 2,
            "num_generations": 4,
            "max_completion_length": 12,
            "lora": {"r": 2, "lora_alpha": 4},
        }
        recipe = AdapterRecipe(**{**plain, **options})
        base = {"label": "pico", "path": str(pico_base), "revision": None, "hash": "pico"}
        return {"recipe": recipe.model_dump(), "seed": 0, "base": base, "data": None}

    return of


def ref(key: str) -> Ref:
    return Ref("pico", "adapter", "x", 0, key * 16)


def refused(store, spec, expected):
    with pytest.raises(BadInput, match=expected):
        build_adapter(store, ref("b"), spec, silent)
    assert not store.has(ref("b"))


def test_a_checkpoint_of_another_recipe_is_refused_with_what_differs(spec, tmp_path):
    store = Store(tmp_path)
    with pytest.raises(CutOff):
        build_adapter(store, ref("a"), spec(), cut)
    shutil.copytree(store.work(ref("a")), store.work(ref("b")))
    refused(store, spec(learning_rate=0.5), r"its recipe\.learning_rate is 1e-05, this one's 0\.5; remove")
    refused(store, {**spec(), "seed": 7}, "its seed is 0, this one's 7")
    other = {**spec(), "base": {**spec()["base"], "hash": "another"}}
    refused(store, other, "its base is 'pico', this one's 'another'")
    build_adapter(store, ref("b"), spec(), silent)  # its own goes on


def test_completions_longer_than_the_base_reads(spec, tmp_path):
    refused(Store(tmp_path), spec(max_completion_length=4096), r"max_completion_length is 4096, the base reads 4096")


def test_a_step_that_no_memory_holds(spec, tmp_path):
    """Seven terabytes of logits: refused in words, where the kernel would kill the process."""
    enormous = spec(num_generations=1000, prompts_per_step=1000, max_completion_length=2000)
    refused(Store(tmp_path), enormous, r"one step does not fit: .* lower per_device_train_batch_size \(now 1000000\)")


def test_a_training_that_diverges_says_so_and_leaves_no_adapter(spec, tmp_path):
    store = Store(tmp_path)
    wild = spec(learning_rate=1e30, rewards={"correct": 1.0, "format": 0.5}, num_generations=8, max_steps=30)
    with pytest.raises(WorkFailed, match=r"the training diverged: .* lower learning_rate"):
        build_adapter(store, ref("b"), wild, silent)
    assert not store.has(ref("b"))
