"""Adapters whose update is more than B @ A: exact where the base is at hand, refused by name where it is not.

PEFT's own merger drops or distorts all of these without a word.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_base import save_base
from transformers import AutoModelForCausalLM

from factory.core.errors import BadInput, CorruptFile
from factory.core.progress import silent
from factory.merging.plan import plan_merge
from factory.merging.run import run_plan
from factory.store.factors import WEIGHTS, read_factors
from factory.store.store import Store

Q = {"target_modules": ["q_proj"]}  # the only ones with a bias
KINDS: dict[str, dict[str, Any]] = {
    "dora": {"use_dora": True},
    "lora_bias": {"lora_bias": True, **Q},
    "norm": {"modules_to_save": ["norm"]},
    "head": {"modules_to_save": ["lm_head"]},
    "tokens": {"trainable_token_indices": [3, 4]},
    "bias": {"bias": "all"},
    "parameters": {"target_parameters": ["mlp.gate_proj.weight"], "target_modules": []},
    "pissa": {"init_lora_weights": "pissa"},
    "olora": {"init_lora_weights": "olora"},
}
IN_AN_ADAPTER = ["dora", "head", "parameters", "pissa", "olora"]
TOKENS = torch.arange(24).reshape(2, 12)


@pytest.fixture
def trained(base: Path, tmp_path: Path) -> Callable[..., Path]:
    """trained("a", seed=1, use_dora=True) saves an adapter of any kind whose every parameter has moved."""

    def make(name: str, seed: int = 0, *, on: Path | None = None, **options: Any) -> Path:
        settings = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM"}
        start = AutoModelForCausalLM.from_pretrained(on or base, dtype=torch.float32)
        model = get_peft_model(start, LoraConfig(**{**settings, **options}))
        generator = torch.Generator().manual_seed(seed)
        for _, tensor in sorted(model.named_parameters()):
            if tensor.requires_grad:
                tensor.data += torch.randn(tensor.shape, generator=generator) * 0.05
        model.save_pretrained(tmp_path / name)
        return tmp_path / name

    return make


def logits(folder: Path, base: Path | None = None) -> torch.Tensor:
    """Of a full model, or of a base under an adapter that PEFT applies beside it."""
    model: Any = AutoModelForCausalLM.from_pretrained(base or folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, str(folder)) if base else model
    with torch.no_grad():
        return model.eval()(TOKENS).logits  # type: ignore[no-any-return]


def merge(tmp_path: Path, adapters: list[Path], recipe: str = "linear", **options: Any) -> Path:
    store, model = Store(tmp_path / "store"), options.pop("model", False)
    return run_plan(store, plan_merge(store, recipe, [str(a) for a in adapters], **options), silent, model=model)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_in_a_full_model(kind: str, base: Path, trained: Callable[..., Path], tmp_path: Path) -> None:
    one = trained("one", 1, **KINDS[kind])
    folder = merge(tmp_path, [one], model=True)
    torch.testing.assert_close(logits(folder), logits(one, base), rtol=1e-4, atol=1e-5)
    # Two of them: the base plus half of what each does to it, tensor by tensor.
    two = trained("two", 2)
    both = load_file(merge(tmp_path, [one, two], model=True, weights=[0.5, 0.5]) / "model.safetensors")
    alone = [load_file(merge(tmp_path, [a], model=True) / "model.safetensors") for a in (one, two)]
    for name, tensor in both.items():
        halves = sum(part.get(name, part["model.embed_tokens.weight"]) for part in alone) / 2
        torch.testing.assert_close(tensor, halves, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("kind", IN_AN_ADAPTER)
def test_exact_as_an_adapter_where_one_can_hold_it(
    kind: str, base: Path, trained: Callable[..., Path], tmp_path: Path
) -> None:
    one = trained("one", 1, **KINDS[kind])
    torch.testing.assert_close(logits(merge(tmp_path, [one]), base), logits(one, base), rtol=1e-4, atol=1e-5)
    low = merge(tmp_path, [one, trained("two", 2)], "ties", rank=6)
    card = json.loads((low / "card.json").read_text())["merge"]
    assert card["rank"] == 6 and max(f.rank for f in read_factors(low).modules.values()) == 6
    assert 0 < card["relative_error"] < 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (*IN_AN_ADAPTER, "tokens")])
def test_what_an_adapter_cannot_hold_is_refused_by_name(
    kind: str, trained: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"'model\..*(norm.weight|bias)', a bias or norm .* merge them with --to model"):
        merge(tmp_path, [trained("one", 1, **KINDS[kind])])


@pytest.mark.parametrize(
    "options, says",
    [
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights is 'pissa_niter_4': .* not the same each time"),
        ({"use_dora": True, "target_modules": ["embed_tokens", "q_proj"]}, "lora_embedding_A"),
    ],
)
def test_refused_by_name_with_a_base_too(
    options: dict[str, Any], says: str, trained: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=says):
        merge(tmp_path, [trained("one", 1, **options)], model=True)


def test_nan_is_named_here_too(trained: Callable[..., Path], tmp_path: Path) -> None:
    one = trained("one", use_dora=True)
    tensors = load_file(one / WEIGHTS)
    name = next(n for n in tensors if "magnitude" in n)
    tensors[name][0] = torch.nan
    save_file(tensors, one / WEIGHTS)
    with pytest.raises(CorruptFile, match=f"'{name}' holds NaN"):
        merge(tmp_path, [one], model=True)


EMBEDDINGS = {"target_modules": ["embed_tokens", "q_proj"]}


def test_embeddings_are_exact(base: Path, trained: Callable[..., Path], tmp_path: Path) -> None:
    """The base's head is tied to them: as under PEFT, only the embedding changes, in the model as in the adapter."""
    one, two = trained("one", 1, **EMBEDDINGS), trained("two", 2, r=7)
    single = merge(tmp_path, [one])
    both = merge(tmp_path, [one, two])
    near = merge(tmp_path, [one, two], rank="auto:0.99999")
    torch.testing.assert_close(logits(near, base), logits(both, base), rtol=1e-2, atol=2e-2)
    torch.testing.assert_close(logits(single, base), logits(one, base), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits(merge(tmp_path, [one], model=True)), logits(one, base), rtol=1e-4, atol=1e-5)
    factors = read_factors(merge(tmp_path, [one, one], weights=[1.0, -0.5])).modules["model.embed_tokens"]
    torch.testing.assert_close(factors.delta(), read_factors(one).modules["model.embed_tokens"].delta() / 2)


def test_embeddings_that_brought_another_base_weight_are_refused(
    base: Path, trained: Callable[..., Path], tmp_path: Path
) -> None:
    one = trained("one", 1, **EMBEDDINGS)
    tensors = load_file(one / WEIGHTS)
    name = next(n for n in tensors if "base_layer" in n)
    tensors[name][5, 0] += 1
    save_file(tensors, one / WEIGHTS)
    with pytest.raises(BadInput, match=f"'{name}', that is not that of .*base"):
        merge(tmp_path, [one])


def test_another_tokenizer_is_refused(base: Path, trained: Callable[..., Path], tmp_path: Path) -> None:
    one, two = trained("one", 1), trained("two", 2)
    plain = json.loads((base / "tokenizer.json").read_text())
    (one / "tokenizer.json").write_text(json.dumps({**plain, "padding": {"length": 7}}))
    (two / "tokenizer.json").write_text(json.dumps(plain))
    merge(tmp_path, [one, two])  # how a run padded is no difference
    plain["model"]["vocab"]["w95"], plain["model"]["vocab"]["w94"] = 94, 95
    (two / "tokenizer.json").write_text(json.dumps(plain))
    with pytest.raises(BadInput, match=r"two and .*one were saved with different tokenizers"):
        merge(tmp_path, [two, one])
    with pytest.raises(BadInput, match=r"two was saved with another tokenizer .* than that of"):
        merge(tmp_path, [two])


def test_without_its_base_it_is_refused_by_name(trained: Callable[..., Path], tmp_path: Path) -> None:
    one = trained("one", 1, use_dora=True)
    config = json.loads((one / "adapter_config.json").read_text())
    (one / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": None}))
    with pytest.raises(BadInput, match=r"use_dora is set: .* where the base is a folder or is on the Hub"):
        merge(tmp_path, [one])
    other = save_base(tmp_path / "wide", hidden_size=64)
    with pytest.raises(BadInput, match="PEFT cannot merge it into its base"):
        merge(tmp_path, [one], base=str(other))
