"""What PEFT's own merger gets wrong, merged here exactly: updates are compared with those PEFT applies to inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_base import peft_deltas, save_base

from factory.core.errors import BadInput
from factory.core.progress import silent
from factory.merging.build import merge_into

Make = Callable[..., Path]


def spec(folders: list[Path], method: str = "linear", **more: Any) -> dict[str, Any]:
    parameters = more.pop("parameters", {"normalize": False})
    return {
        "recipe": {"merge_method": method, "parameters": parameters},
        "inputs": [{"title": folder.name, "folder": str(folder), "key": folder.name} for folder in folders],
        "weights": None,
        "rank": "full",
        "seed": 0,
        "base": {"path": None, "hash": None},
        **more,
    }


DIFFERENT = {
    "ranks": ({"r": 2}, {"r": 5}),
    "rank patterns": ({"rank_pattern": {"q_proj": 2}}, {"rank_pattern": {"layers.1.mlp.down_proj": 7}}),
    "equal rank patterns": ({"rank_pattern": {"q_proj": 2}}, {"rank_pattern": {"q_proj": 2}}),
    "alpha patterns": ({"alpha_pattern": {"q_proj": 99}}, {}),
    "scales": ({"lora_alpha": 1}, {"lora_alpha": 64}),
    "rslora": ({"use_rslora": True}, {"r": 8}),
    "both rslora": ({"use_rslora": True}, {"use_rslora": True, "r": 8}),
    "targets": ({"target_modules": ["q_proj"]}, {"target_modules": ["v_proj", "q_proj"]}),
    "a set and a regex": ({"target_modules": ["q_proj"]}, {"target_modules": r".*layers\.1\..*(k|v)_proj"}),
    "layers_to_transform": ({"layers_to_transform": [0]}, {"layers_to_transform": [1]}),
    "exclude_modules": ({"exclude_modules": r".*layers\.0.*"}, {}),
    "one more layer": ({"target_modules": "all-linear"}, {"target_modules": ["o_proj"], "layers_to_transform": [1]}),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_exact_where_peft_crashes_or_is_wrong(case: str, base: Path, make_adapter: Make, tmp_path: Path) -> None:
    first, second = (make_adapter(f"a{i}", seed=i, **options) for i, options in enumerate(DIFFERENT[case]))
    merge_into(
        tmp_path / "out", spec([first, second], weights=[0.7, -0.4], base={"path": str(base), "hash": None}), silent
    )
    one, two, got = (peft_deltas(base, folder) for folder in (first, second, tmp_path / "out"))
    assert set(got) == set(one) | set(two)
    for name, delta in got.items():
        zero = torch.zeros_like(delta)
        expected = 0.7 * one.get(name, zero) - 0.4 * two.get(name, zero)
        assert float((delta - expected).norm() / expected.norm()) < 1e-6, name


def test_peft_itself_has_cross_terms(base: Path, make_adapter: Make) -> None:
    """The reason for all this: if PEFT mends it, this test says so."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    one = make_adapter("one", seed=1)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(one), adapter_name="one")
    model.load_adapter(str(make_adapter("two", seed=1)), "two")
    model.add_weighted_adapter(["one", "two"], [0.5, 0.5], "both", combination_type="linear")
    module = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
    delta, both = module.get_delta_weight("one"), module.get_delta_weight("both")
    assert float((both - delta).norm() / delta.norm()) > 0.9


@pytest.mark.parametrize("options, says", [({"use_dora": True}, "use_dora"), ({"lora_bias": True}, "lora_bias")])
def test_refused_by_name_where_peft_is_silently_wrong(
    options: dict[str, Any], says: str, make_adapter: Make, tmp_path: Path
) -> None:
    bias = {"target_modules": ["q_proj"]}  # the only ones with a bias
    good, bad = make_adapter("good", **bias), make_adapter("bad", **bias, **options)
    with pytest.raises(BadInput, match=says) as caught:
        merge_into(tmp_path / "out", spec([good, bad]), silent)
    assert str(bad) in str(caught.value) and not (tmp_path / "out").exists()


def test_modules_to_save_are_refused(make_adapter: Make, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="modules_to_save"):
        merge_into(tmp_path / "out", spec([make_adapter("a", modules_to_save=["lm_head"])]), silent)


def test_another_base_is_refused(base: Path, make_adapter: Make, tmp_path: Path) -> None:
    other = save_base(tmp_path / "other", seed=9)
    one, two = make_adapter("one"), make_adapter("two", on=other)
    with pytest.raises(BadInput, match=r"one was trained on base .* and two on '.*other'"):
        merge_into(tmp_path / "out", spec([one, two]), silent)
    with pytest.raises(BadInput, match=r"two was trained on base .* not on"):
        merge_into(tmp_path / "out", spec([two], base={"path": str(base), "hash": None}), silent)


def test_another_revision_and_another_shape_are_refused(make_adapter: Make, tmp_path: Path) -> None:
    one, two = make_adapter("one", edit={"revision": "aaa"}), make_adapter("two", edit={"revision": "bbb"})
    with pytest.raises(BadInput, match=r"revision aaa .* bbb"):
        merge_into(tmp_path / "out", spec([one, two]), silent)
    wide = save_base(tmp_path / "wide", hidden_size=64)
    three = make_adapter("three", on=wide, edit={"base_model_name_or_path": None})
    four = make_adapter("four", edit={"base_model_name_or_path": None})
    with pytest.raises(BadInput, match="four changes a weight of shape"):
        merge_into(tmp_path / "out", spec([four, three]), silent)


def test_a_base_it_does_not_fit_is_found_by_peft(base: Path, make_adapter: Make, tmp_path: Path) -> None:
    from factory.core.errors import WorkFailed

    wide = save_base(tmp_path / "wide", hidden_size=64)
    adapter = make_adapter("a", edit={"base_model_name_or_path": None})
    with pytest.raises(WorkFailed, match=r"is .* in .* in the adapter"):
        merge_into(tmp_path / "out", spec([adapter], base={"path": str(wide), "hash": None}), silent)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 2.0, 3.0]])
def test_short_weight_lists_are_not_cut(weights: list[float], make_adapter: Make, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"{len(weights)} weights for 2 adapters"):
        merge_into(tmp_path / "out", spec([make_adapter("a"), make_adapter("b")], weights=weights), silent)
