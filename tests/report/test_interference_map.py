"""The heat map of interference by layer, from what a merge's card says."""

from __future__ import annotations

import torch

from factory.analysis.compare import compare
from factory.core.hashing import key_of
from factory.merging.inputs import Input
from factory.report.interference import interference_map
from factory.store.factors import AdapterFactors, Factors


def test_every_number_of_the_map_is_the_comparisons() -> None:
    rows = {"math": [[3.0, 0.0], [1.0, 0.0]], "sql": [[4.0, 4.0], [-1.0, 0.0]]}
    inputs = []
    for name, own in rows.items():
        modules = {f"m.{i}.q": Factors(torch.tensor([row]), torch.tensor([[1.0]])) for i, row in enumerate(own)}
        inputs.append(Input(f"embedded-s0/adapter:{name}", key_of(name), AdapterFactors(modules)))
    told = compare(inputs).to_json(per_module=False)
    drawn = interference_map(told, "i0")
    assert drawn.startswith("<svg") and "math" in drawn and "layer 1" in drawn and "http" not in drawn
    # Layer 0 at 45 degrees, layer 1 opposite, all: (12 - 1) / sqrt(10 * 33).
    for text in (">0.71<", ">-1.00<", ">0.61<"):
        assert text in drawn.replace("\u2212", "-")
