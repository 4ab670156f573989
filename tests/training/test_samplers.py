"""vLLM by TRL's options: refused in one line where it is not, called as TRL itself calls it."""

import inspect
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from factory.core.errors import BadInput
from factory.core.recipes import AdapterRecipe
from factory.engine.plan import check_recipe
from factory.tasks._task import Source
from factory.training.samplers import check_sampler, sample_by_vllm


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_vllm_that_is_absent_is_refused_when_planning():
    recipe = AdapterRecipe(tasks=["tiny_math"], trl={"use_vllm": True, "vllm_mode": "colocate"})
    with pytest.raises(BadInput, match=r"adapter x: trl\.use_vllm asks for vLLM, not installed here"):
        check_recipe("x", recipe, Source.from_json(None))


def test_what_is_not_asked_for_is_not_looked_for():
    check_sampler({"use_vllm": False}, "x")
    with pytest.raises(BadInput, match="continuous_batching is not supported"):
        check_sampler({"use_transformers_continuous_batching": True}, "x")


def test_groups_come_back_as_they_were_asked_for_by_the_signature_of_trls_own_sampler():
    from trl.generation.vllm_generation import VLLMGeneration

    signature = inspect.signature(VLLMGeneration.generate)

    class Echo:
        """Completes a prompt with its own tokens and a running number."""

        def generate(self, *args, **kwargs):
            asked = signature.bind(self, *args, **kwargs).arguments
            completions = [[*prompt, number] for number, prompt in enumerate(asked["prompts"])]
            return asked["prompts"], completions, None, None

    trainer = SimpleNamespace(num_generations=2, vllm_generation=Echo())
    assert sample_by_vllm(trainer, [[5], [7, 8]]) == [[[5, 0], [5, 1]], [[7, 8, 2], [7, 8, 3]]]
