"""Full models: rounded once, tensor by tensor, tied weights parted only where they must be, nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Make
from safetensors.torch import load_file, save_file
from tiny_base import peft_deltas, save_base
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from factory.core.errors import BadInput, CorruptFile, StoreError
from factory.core.progress import silent
from factory.merging.bake import bake
from factory.merging.bake_plan import plan_targets
from factory.merging.plan import plan_merge
from factory.merging.run import run_plan, summary
from factory.store.checkpoint import Checkpoint, plan_shards
from factory.store.store import Store

Q = "model.layers.0.self_attn.q_proj"


def baked(store: Path, adapters: list[Path], base: Path, out: Path, recipe: str = "linear", **options: Any) -> Path:
    plan = plan_merge(Store(store), recipe, [str(a) for a in adapters], base=str(base), **options)
    return run_plan(Store(store), plan, silent, model=True, out=out)


def test_half_precision_is_rounded_once_and_the_loss_is_told(make_adapter: Make, tmp_path: Path) -> None:
    base = save_base(tmp_path / "bf16", torch_dtype="bfloat16")
    start = {name: tensor.bfloat16() for name, tensor in load_file(base / "model.safetensors").items()}
    save_file(start, base / "model.safetensors", metadata={"format": "pt"})
    adapters = [make_adapter(name, seed=seed, on=base) for seed, name in enumerate(("a", "b"))]
    out = baked(tmp_path / "store", adapters, base, tmp_path / "out")
    deltas = [peft_deltas(base, adapter) for adapter in adapters]
    written = load_file(out / "model.safetensors")
    assert set(written) == set(start) and json.loads((out / "config.json").read_text())["tie_word_embeddings"]
    lost = wanted = 0.0
    for name, tensor in written.items():
        assert tensor.dtype == torch.bfloat16
        module = name.removesuffix(".weight")
        update = sum(delta[module] for delta in deltas) if module in deltas[0] else torch.zeros(())
        exact = start[name].float() + update
        torch.testing.assert_close(tensor, exact.bfloat16(), rtol=2**-7, atol=0)  # to the last bit but for ties
        assert (tensor != exact.bfloat16()).float().mean() < 1e-3
        wanted += float(update.square().sum())
        lost += float((tensor.float() - exact).square().sum())
    rounding = summary(out)["rounding"]
    assert rounding["relative_error"] == pytest.approx((lost / wanted) ** 0.5, rel=1e-3)
    assert "warning" not in rounding and rounding["dtype"] == "bfloat16" and not rounding["untied"]
    # A thousandth of it is smaller than the distance between two bf16 numbers: most of it is gone, and that is said.
    small = baked(tmp_path / "store", adapters, base, tmp_path / "small", weights=[1e-3, 1e-3])
    assert (
        "loses" in summary(small)["rounding"]["warning"]
        and "out_dtype: float32" in summary(small)["rounding"]["warning"]
    )


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_tied_weights_part_when_only_one_of_them_is_adapted(
    target: str, make_adapter: Make, base: Path, tmp_path: Path
) -> None:
    with Checkpoint(base) as checkpoint:
        embedding = checkpoint.tensors["model.embed_tokens.weight"][0].read("model.embed_tokens.weight")
        module = "lm_head" if target == "lm_head" else "model.embed_tokens"
        delta = torch.randn(96, 32) * 0.1
        plan = plan_targets(checkpoint, {module: (96, 32)}, None, False)
        (tmp_path / "out").mkdir()
        told = bake(checkpoint, plan, lambda _: delta, tmp_path / "out", report=silent)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    head, words = model.lm_head.weight.detach(), model.get_input_embeddings().weight.detach()
    changed, same = (head, words) if target == "lm_head" else (words, head)
    assert told.untied and torch.equal(same, embedding) and torch.equal(changed, embedding + delta)


def test_weights_stay_tied_when_neither_is_adapted(make_adapter: Make, base: Path, tmp_path: Path) -> None:
    out = baked(tmp_path / "store", [make_adapter("a")], base, tmp_path / "out")
    assert "lm_head.weight" not in load_file(out / "model.safetensors")
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert (out / "tokenizer.json").is_file() and (out / "generation_config.json").is_file()


def test_shards_in_and_out(make_adapter: Make, base: Path, tmp_path: Path) -> None:
    sharded = tmp_path / "sharded"
    AutoModelForCausalLM.from_pretrained(base).save_pretrained(sharded, max_shard_size="20KB")
    assert len(list(sharded.glob("*.safetensors"))) > 2
    out = tmp_path / "out"
    out.mkdir()
    delta = torch.randn(32, 32)
    with Checkpoint(sharded) as checkpoint:
        plan = plan_targets(checkpoint, {Q: (32, 32)}, "bfloat16", False)
        bake(checkpoint, plan, lambda _: delta, out, shard_bytes=9000, report=silent)
    index = json.loads((out / "model.safetensors.index.json").read_text())
    files = {path.name: load_file(path) for path in out.glob("*.safetensors")}
    assert index["weight_map"] == {name: file for file, tensors in files.items() for name in tensors}
    written = {name: tensor for tensors in files.values() for name, tensor in tensors.items()}
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in written.values())
    assert all(sum(t.nbytes for t in tensors.values()) <= 9000 or len(tensors) == 1 for tensors in files.values())
    start = load_file(base / "model.safetensors")
    assert torch.equal(written[f"{Q}.weight"], (start[f"{Q}.weight"] + delta).bfloat16())
    assert AutoModelForCausalLM.from_pretrained(out).dtype == torch.bfloat16
    (sharded / "model-00002-of-00003.safetensors").unlink(missing_ok=True)
    next(iter(sorted(sharded.glob("model-*")))).unlink()
    with pytest.raises(CorruptFile, match="which is not there"):
        Checkpoint(sharded)


def test_wide_numbers_come_first_in_a_file() -> None:
    sizes = {"a": 3, "b": 8, "c": 16, "d": 40}
    shards = plan_shards(sizes, {"a": 1, "b": 4, "c": 8, "d": 4}, limit=30)
    assert [shard.tensors for shard in shards] == [["c", "b", "a"], ["d"]]
    assert [shard.file for shard in shards] == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


def test_transposed_weights(make_adapter: Make, tmp_path: Path) -> None:
    base = tmp_path / "gpt2"
    GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=32, n_embd=16, n_layer=1, n_head=2)).save_pretrained(base)
    adapter = make_adapter("a", on=base, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)
    for recipe, rank in (("linear", "full"), ("ties", "full"), ("ties", 3)):
        out = baked(tmp_path / "store", [adapter], base, tmp_path / f"{recipe}-{rank}", recipe, rank=rank)
        assert summary(out)["logits_difference"] < 1e-4  # through transformers and PEFT's names


def test_bad_bases_are_refused_by_name(make_adapter: Make, base: Path, tmp_path: Path) -> None:
    adapter = make_adapter("a", edit={"base_model_name_or_path": None})
    other = save_base(tmp_path / "other", hidden_size=16)
    with pytest.raises(BadInput, match=r"down_proj\.weight' is \(16, 48\) and the update"):
        baked(tmp_path / "store", [adapter], other, tmp_path / "out")
    few = save_base(tmp_path / "few", num_hidden_layers=1)
    with pytest.raises(BadInput, match=r"no tensor for module 'model\.layers\.1"):
        baked(tmp_path / "store", [adapter], few, tmp_path / "out")
    tensors = load_file(base / "model.safetensors")
    quantised = save_base(tmp_path / "quantised")
    save_file({**tensors, f"{Q}.weight": tensors[f"{Q}.weight"].to(torch.int8)}, quantised / "model.safetensors")
    with pytest.raises(BadInput, match="a quantised base"):
        baked(tmp_path / "store", [adapter], quantised, tmp_path / "out")
    (quantised / "model.safetensors").rename(quantised / "pytorch_model.bin")
    with pytest.raises(BadInput, match="pickled weights are not read"):
        baked(tmp_path / "store", [adapter], quantised, tmp_path / "out")
    assert not (tmp_path / "out").exists()


KILLED = """
import os, signal, sys
from factory.merging.plan import plan_merge
from factory.merging.run import run_plan
from factory.store.store import Store
def report(text, done=None):
    if text.startswith("baking") and done > 0.5:
        os.kill(os.getpid(), signal.SIGKILL)
store = Store(sys.argv[1])
run_plan(store, plan_merge(store, "linear", [sys.argv[2]], base=sys.argv[3]), report, model=True)
"""


def test_killed_in_the_middle(make_adapter: Make, base: Path, tmp_path: Path) -> None:
    store, adapter = tmp_path / "store", make_adapter("a")
    command = [sys.executable, "-c", KILLED, str(store), str(adapter), str(base)]
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list((store / ".work").rglob("model.safetensors")) and not list(Store(store).refs())
    plan = plan_merge(Store(store), "linear", [str(adapter)], base=str(base))
    assert (run_plan(Store(store), plan, silent, model=True) / "card.json").is_file()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that can be filled, if this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system to fill")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_the_disk_fills_up_in_the_middle(make_adapter: Make, base: Path, disk: Path) -> None:
    adapter = make_adapter("a")

    def fill(text: str, done: float | None = None) -> None:
        if text.startswith("baking") and done and done > 0.5 and not (disk / "filler").exists():
            with (disk / "filler").open("wb", buffering=0) as file, pytest.raises(OSError):
                while True:
                    file.write(b"x" * 4096)

    plan = plan_merge(Store(disk / "store"), "linear", [str(adapter)], base=str(base))
    with pytest.raises(StoreError, match="the disk is full; free some space"):
        run_plan(Store(disk / "store"), plan, fill, model=True, out=disk / "out")
    assert [path.name for path in disk.iterdir()] == ["filler"]
    # And where it is known beforehand, nothing is begun.
    with pytest.raises(StoreError, match="GiB are free"):
        run_plan(Store(disk / "store"), plan, silent, model=True, out=disk / "out")
