"""A random Qwen2 of 0.27 GB in bf16, and adapters for it."""

import json
from pathlib import Path

import torch
from _adapters import factors

from factory.store.factors import AdapterFactors
from factory.store.tensors import TensorWriter
from factory.store.write_adapter import AdapterWriter

HIDDEN, INNER, KEYS, VOCABULARY, LAYERS = 896, 4864, 128, 32000, 7
LINEAR = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KEYS, HIDDEN),
    "self_attn.v_proj": (KEYS, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INNER, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}


def write_base(folder: Path) -> Path:
    """Config and one safetensors file, weights of standard deviation 0.02."""
    shapes = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for layer in range(LAYERS):
        place = f"model.layers.{layer}"
        shapes |= {f"{place}.{name}.weight": shape for name, shape in LINEAR.items()}
        shapes |= {f"{place}.self_attn.{n}_proj.bias": (LINEAR[f"self_attn.{n}_proj"][0],) for n in "qkv"}
        shapes |= {f"{place}.{norm}.weight": (HIDDEN,) for norm in ("input_layernorm", "post_attention_layernorm")}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    generator = torch.Generator().manual_seed(0)
    writer = TensorWriter(folder / "model.safetensors", list(shapes))
    for name, shape in shapes.items():
        writer.write(name, (torch.randn(shape, generator=generator) * 0.02).bfloat16())
    writer.finish()
    return folder


def write_adapters(folder: Path, base: Path, count: int = 3) -> list[Path]:
    """Adapters of rank 16 on every linear weight, whose updates have a standard deviation of 3e-4."""
    names = [f"model.layers.{layer}.{name}" for layer in range(LAYERS) for name in LINEAR]
    made = []
    for number in range(count):
        generator = torch.Generator().manual_seed(100 + number)
        writer = AdapterWriter(folder / f"adapter{number}", names)
        for name in names:
            pair = factors(LINEAR[name.split(".", 3)[3]], generator)
            writer.write(name, type(pair)(pair.lora_A * (3e-4 / float(pair.delta().std())), pair.lora_B))
        writer.finish(AdapterFactors({}, base=str(base)))
        made.append(folder / f"adapter{number}")
    return made
