"""Ranks by hand, and what is none."""

from __future__ import annotations

import pytest

from factory.core.errors import BadInput
from factory.core.ranks import BUCKETS, bucket_note, energy_of, parse_ranks, rank_of


@pytest.mark.parametrize(
    "text, module, rank, energy",
    [
        (16, "m", 16, None),
        ("16", "m", 16, None),
        ("full", "m", "full", None),
        ("auto", "m", "auto", 0.99),
        ("auto:0.9", "m", "auto:0.9", 0.9),
        ("q_proj=8, mlp=auto:0.5,16", "model.layers.0.self_attn.q_proj", 8, None),
        ("q_proj=8,mlp=auto:0.5,16", "model.layers.0.mlp.up_proj", "auto:0.5", 0.5),
        ("q_proj=8,mlp=auto:0.5,16", "model.layers.0.self_attn.v_proj", 16, None),
    ],
)
def test_ranks(text: str | int, module: str, rank: int | str, energy: float | None) -> None:
    found = rank_of(parse_ranks(text), module)
    assert found == rank and energy_of(found) == energy


@pytest.mark.parametrize(
    "text",
    ["0", "-1", "1.5", "many", "", "auto:", "auto:1", "auto:0", "auto:x", "q=8", "8,16", "q=8,v=8", "=8,16"],
)
def test_what_is_no_rank(text: str) -> None:
    with pytest.raises(BadInput, match="--rank '"):
        parse_ranks(text)


def test_buckets_are_vllms() -> None:
    assert all(bucket_note(rank) is None for rank in BUCKETS)
    assert "--max-lora-rank 64" in str(bucket_note(48)) and "--max-lora-rank 320" in str(bucket_note(257))
    assert "--rank 512 or less" in str(bucket_note(513))
