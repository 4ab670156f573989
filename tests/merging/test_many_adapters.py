"""Sixteen adapters of ranks 1 to 256 with modules of their own; any adapters PEFT can write, against PEFT itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from factory.core.progress import silent
from factory.merging.build import merge_into
from factory.store.factors import AdapterFactors, Factors
from factory.store.write_adapter import write_adapter

SIZES = {"a": (40, 24), "b": (24, 40), "c": (300, 280), "d": (1, 9)}


def net() -> nn.ModuleDict:
    return nn.ModuleDict({name: nn.Linear(d_in, d_out, bias=False) for name, (d_out, d_in) in SIZES.items()})


def updates(folder: Path) -> dict[str, torch.Tensor]:
    """What PEFT adds to each module, in fp64."""
    model = PeftModel.from_pretrained(net(), str(folder)).double()
    return {
        name.rsplit(".", 1)[-1]: module.get_delta_weight("default").detach()
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def merge(out: Path, folders: list[Path], method: str, weights: list[float], rank: Any = "full") -> dict[str, Any]:
    recipe = {"merge_method": method, "parameters": {} if method == "svd" else {"normalize": False}}
    inputs = [{"title": folder.name, "folder": str(folder), "key": folder.name} for folder in folders]
    spec = {"recipe": recipe, "inputs": inputs, "weights": weights, "rank": rank, "base": {}}
    card = merge_into(out, spec, silent)
    (out / "card.json").write_text(json.dumps(card))
    return card


@pytest.mark.parametrize("method", ["linear", "ties"])
def test_sixteen_adapters_of_ranks_1_to_256(method: str, tmp_path: Path) -> None:
    ranks = [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 24, 32, 48, 64, 128, 256]
    folders, weights = [], [0.1 * (i + 1) * (-1) ** i for i in range(16)]
    generator = torch.Generator().manual_seed(0)
    names = list(SIZES)
    for number, rank in enumerate(ranks):
        # Every adapter has one or two modules; the first three have none in common.
        own = {names[number % 4], names[(number // 2) % 4]} if number > 2 else {names[number]}
        modules = {}
        for name in sorted(own):
            d_out, d_in = SIZES[name]
            pair = torch.randn(rank, d_in, generator=generator), torch.randn(d_out, rank, generator=generator)
            modules[name] = Factors(pair[0], pair[1] / rank)
        folders.append(tmp_path / f"a{number:02}")
        write_adapter(folders[-1], AdapterFactors(modules, task_type=None))
    card = merge(tmp_path / "out", folders, method, weights)
    got = updates(tmp_path / "out")
    assert set(got) == set(SIZES)
    if method == "linear":
        parts = [updates(folder) for folder in folders]
        for name, delta in got.items():
            expected = sum(w * part[name] for w, part in zip(weights, parts, strict=True) if name in part)
            assert float((delta - expected).norm() / expected.norm()) < 1e-6, name
        assert card["merge"]["rank"] > 256 and "is none of vLLM's" in card["merge"]["notes"][0]
    low = merge(tmp_path / "low", folders, method, weights, rank="c=auto:0.8,a=4,full")["merge"]
    assert low["per_module"]["a"]["rank"] == 4 and low["per_module"]["c"]["energy_kept"] >= 0.8
    assert low["per_module"]["b"]["relative_error"] < 1e-6
    assert low["notes"][0].startswith(f"rank {low['rank']} loses ") and "worst module" in low["notes"][0]
    reloaded = json.loads((tmp_path / "low" / "adapter_config.json").read_text())
    assert updates(tmp_path / "low")["a"].count_nonzero() and len(reloaded["rank_pattern"]) >= 2


@given(
    ranks=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    alphas=st.lists(st.floats(0.25, 64), min_size=4, max_size=4),
    weights=st.lists(st.floats(0.1, 3) | st.floats(-3, -0.1), min_size=4, max_size=4),
    rslora=st.lists(st.booleans(), min_size=4, max_size=4),
    patterns=st.lists(st.sampled_from([{}, {"a": 3}, {"^c": 5, "b": 1}]), min_size=4, max_size=4),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    data=st.data(),
)
@settings(max_examples=8)
def test_a_linear_merge_is_the_sum_of_what_peft_applies(
    ranks: list[int],
    alphas: list[float],
    weights: list[float],
    rslora: list[bool],
    patterns: list[dict[str, int]],
    dtype: torch.dtype,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever ranks, scales, patterns, modules and stored types the inputs have."""
    place = tmp_path_factory.mktemp("merge")
    folders = []
    for i, rank in enumerate(ranks):
        targets = data.draw(st.sets(st.sampled_from(list(SIZES)), min_size=1))
        config = LoraConfig(
            r=rank,
            lora_alpha=alphas[i],  # type: ignore[arg-type]
            use_rslora=rslora[i],
            rank_pattern=patterns[i],
            alpha_pattern={"c": 5.0} if i % 2 else {},  # type: ignore[arg-type]
            target_modules=sorted(targets),
        )
        model = get_peft_model(net(), config)
        generator = torch.Generator().manual_seed(i)
        for _, tensor in model.named_parameters():
            if tensor.requires_grad:
                tensor.data = torch.randn(tensor.shape, generator=generator).to(dtype)
        model.save_pretrained(place / f"a{i}")
        folders.append(place / f"a{i}")
    merge(place / "out", folders, "linear", weights[: len(ranks)])
    got, parts = updates(place / "out"), [updates(folder) for folder in folders]
    assert set(got) == {name for part in parts for name in part}
    for name, delta in got.items():
        present = [(w, part[name]) for w, part in zip(weights, parts, strict=False) if name in part]
        expected = sum(w * d for w, d in present)
        size = max(float((w * d).norm()) for w, d in present)
        assert float((delta - expected).norm()) < 1e-6 * size, name
