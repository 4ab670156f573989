"""Factors in and out of PEFT's format: the same update as PEFT's own, and one clear line for everything refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

from factory.core.errors import BadInput, CorruptFile
from factory.store.factors import AdapterFactors, Factors, read_factors
from factory.store.write_adapter import write_adapter

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


class Net(nn.Module):
    """Three linear layers whose names are endings of one another."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(6, 5)
        self.q_proj = nn.Linear(6, 5)
        self.block = nn.ModuleDict({"proj": nn.Linear(5, 7)})


def saved(folder: Path, **options: Any) -> dict[str, torch.Tensor]:
    """Save an adapter with random factors through PEFT; gives PEFT's own update of each module."""
    torch.manual_seed(1)
    config = LoraConfig(**{"r": 3, "lora_alpha": 5, "target_modules": ["proj", "q_proj"], **options})
    model = get_peft_model(Net(), config)
    for name, tensor in model.named_parameters():
        if "lora_" in name:
            tensor.data = torch.randn_like(tensor)
    model.save_pretrained(folder)
    return deltas(model)


def deltas(model: Any) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix("base_model.model."): module.get_delta_weight("default").detach()
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"target_modules": r".*q_proj"},
        {"target_modules": ["block.proj"]},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {r"block\.proj": 40}},
        {"rank_pattern": {"^proj": 1}, "use_rslora": True},
        {"init_lora_weights": False},
    ],
    ids=str,
)
def test_reads_exactly_what_peft_applies(tmp_path: Path, options: dict[str, Any]) -> None:
    expected = saved(tmp_path / "a", **options)
    read = read_factors(tmp_path / "a")
    assert set(read.modules) == set(expected)
    for name, delta in expected.items():
        torch.testing.assert_close(read.modules[name].delta(), delta, rtol=1e-6, atol=1e-6)


def test_different_ranks_reload_in_peft(tmp_path: Path) -> None:
    """peft#3737: rank_pattern of a merge does not reload. Here `proj` is an ending of `block.proj` and has no LoRA."""
    torch.manual_seed(2)
    modules = {
        "block.proj": Factors(torch.randn(4, 5), torch.randn(7, 4)),
        "q_proj": Factors(torch.randn(1, 6), torch.randn(5, 1)),
    }
    write_adapter(tmp_path / "a", AdapterFactors(modules, task_type=None))
    model = PeftModel.from_pretrained(Net(), str(tmp_path / "a"))
    loaded = deltas(model)
    assert set(loaded) == set(modules)
    for name, factors in modules.items():
        torch.testing.assert_close(loaded[name], factors.delta(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype, error", [("float32", 0.0), ("bfloat16", 4e-3), ("float16", 5e-4)])
def test_write_then_read(tmp_path: Path, dtype: str, error: float) -> None:
    torch.manual_seed(3)
    before = AdapterFactors({"q_proj": Factors(torch.randn(3, 6), torch.randn(5, 3))}, base="b", revision="r")
    write_adapter(tmp_path, before, dtype=dtype)
    after = read_factors(tmp_path)
    assert (after.base, after.revision) == ("b", "r")
    one, two = before.modules["q_proj"].delta(), after.modules["q_proj"].delta()
    assert float((one - two).norm() / one.norm()) <= error


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


A = "base_model.model.proj.lora_A.weight"


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"use_dora": True}, "use_dora"),
        ({"lora_bias": True}, "lora_bias"),
        ({"modules_to_save": ["score"]}, "modules_to_save"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"init_lora_weights": "olora"}, "olora"),
        ({"init_lora_weights": "loftq"}, "loftq"),
        ({"peft_type": "IA3"}, "IA3"),
        ({"r": 0}, "r is 0"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"rank_pattern": {"proj": "x"}}, "rank_pattern"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_config_refused_by_name(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    saved(tmp_path / "a")
    edit_config(tmp_path / "a", **changes)
    with pytest.raises(BadInput, match=says) as caught:
        read_factors(tmp_path / "a")
    assert "\n" not in str(caught.value) and str(tmp_path / "a") in str(caught.value)


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda t: t[A].__setitem__((0, 0), torch.nan), rf"'{A}' holds NaN"),
        (lambda t: t[A].__setitem__((0, 0), torch.inf), rf"'{A}' holds Inf"),
        (lambda t: t.pop(A), "module 'proj' has lora_B and no lora_A"),
        (lambda t: t.update({A: t[A][:2].clone()}), "module 'proj': lora_A is"),
        (lambda t: t.update({A: t[A].to(torch.int32)}), "int32"),
        (lambda t: t.update({A: t[A][:, :, None].clone()}), "3 dimensions"),
        (lambda t: t.update({A.replace("lora_A", "lora_magnitude_vector"): torch.ones(5)}), "lora_magnitude_vector"),
        (lambda t: t.update({"base_model.model.e.lora_embedding_A": torch.ones(3, 4)}), "module 'e' has lora_A and no"),
        (lambda t: t.clear(), "no LoRA factors"),
    ],
)
def test_tensors_refused_by_name(tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], None], says: str) -> None:
    saved(tmp_path / "a")
    edit_tensors(tmp_path / "a", change)
    with pytest.raises(BadInput, match=says) as caught:
        read_factors(tmp_path / "a")
    assert WEIGHTS in str(caught.value) and "\n" not in str(caught.value)


def test_real_dora_and_bias_are_refused(tmp_path: Path) -> None:
    for number, options in enumerate([{"use_dora": True}, {"lora_bias": True}]):
        saved(tmp_path / str(number), **options)
        with pytest.raises(BadInput, match=next(iter(options))):
            read_factors(tmp_path / str(number))


@pytest.mark.parametrize("keep", [0, 7, 100, -8])
def test_truncated_file(tmp_path: Path, keep: int) -> None:
    saved(tmp_path / "a")
    path = tmp_path / "a" / WEIGHTS
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptFile, match="not a whole safetensors file"):
        read_factors(tmp_path / "a")


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        read_factors(tmp_path / "nothing")
    with pytest.raises(BadInput, match=CONFIG):
        read_factors(tmp_path)
    saved(tmp_path / "a")
    (tmp_path / "a" / CONFIG).write_text("{")
    with pytest.raises(CorruptFile, match="not valid JSON"):
        read_factors(tmp_path / "a")
    saved(tmp_path / "b")
    (tmp_path / "b" / WEIGHTS).rename(tmp_path / "b" / "adapter_model.bin")
    with pytest.raises(BadInput, match="pickled"):
        read_factors(tmp_path / "b")
