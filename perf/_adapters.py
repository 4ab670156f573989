"""Synthetic adapters at the shapes of Qwen2.5-7B: 28 layers, seven projections each, spectra that decay."""

import json
from pathlib import Path

import torch

from factory.store.factors import AdapterFactors, Factors
from factory.store.write_adapter import AdapterWriter

SHAPES = {
    "self_attn.q_proj": (3584, 3584),
    "self_attn.k_proj": (512, 3584),
    "self_attn.v_proj": (512, 3584),
    "self_attn.o_proj": (3584, 3584),
    "mlp.gate_proj": (18944, 3584),
    "mlp.up_proj": (18944, 3584),
    "mlp.down_proj": (3584, 18944),
}
LAYERS, RANK, ADAPTERS = 28, 16, 3
BASE = "Qwen/Qwen2.5-7B"


def factors(shape: tuple[int, int], generator: torch.Generator, rank: int = RANK) -> Factors:
    """Random factors whose singular values fall as 1 / sqrt(place), as trained adapters' roughly do."""
    d_out, d_in = shape
    decay = torch.arange(1, rank + 1).rsqrt()
    lora_A = torch.randn(rank, d_in, generator=generator) / d_in**0.5
    return Factors(lora_A, torch.randn(d_out, rank, generator=generator) * 0.01 * decay)


def write_adapters(folder: Path, layers: int = LAYERS, rank: int = RANK, count: int = ADAPTERS) -> list[Path]:
    """Adapters in PEFT's format, fp32; gives their folders."""
    names = [f"model.layers.{layer}.{name}" for layer in range(layers) for name in SHAPES]
    made = []
    for number in range(count):
        generator = torch.Generator().manual_seed(number)
        place = folder / f"adapter{number}"
        writer = AdapterWriter(place, names)
        for name in names:
            writer.write(name, factors(SHAPES[name.split(".", 3)[3]], generator, rank))
        writer.finish(AdapterFactors({}, base=BASE))
        config = json.loads((place / "adapter_config.json").read_text())
        # As PEFT itself writes it: short endings instead of every module's full name.
        config["target_modules"] = sorted({name.rsplit(".", 1)[1] for name in SHAPES})
        (place / "adapter_config.json").write_text(json.dumps(config))
        made.append(place)
    return made
