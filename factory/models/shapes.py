"""How large a base is, from its configuration, without its weights: to say before a run whether it fits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json
from factory.models.bases import Base

# Published configurations, for when neither a folder nor the Hub's cache has one.
_QWEN25 = {
    # hidden, inner, layers, heads, key and value heads, vocabulary, tied output head
    "0.5": (896, 4864, 24, 14, 2, 151936, True),
    "1.5": (1536, 8960, 28, 12, 2, 151936, True),
    "3": (2048, 11008, 36, 16, 2, 151936, True),
    "7": (3584, 18944, 28, 28, 4, 152064, False),
    "14": (5120, 13824, 48, 40, 8, 152064, False),
    "32": (5120, 27648, 64, 40, 8, 152064, False),
}
_QWEN25_NAME = re.compile(r"(?:^|/)qwen2\.5-(?:coder-|math-)?(?P<size>[\d.]+)b(?![a-z])", re.I)


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder with gated feed-forward layers, as Llama and Qwen2 have them.

    Attributes:
        hidden, inner: width of the residual stream and of the feed-forward layer.
        layers, heads, kv_heads, head_size: of attention.
        vocabulary: tokens.
        tied: whether the output head is the embedding.
    """

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """(d_out, d_in) of one layer's linear modules, by the ending of their name."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        return {
            "q_proj": (queries, self.hidden),
            "k_proj": (keys, self.hidden),
            "v_proj": (keys, self.hidden),
            "o_proj": (self.hidden, queries),
            "gate_proj": (self.inner, self.hidden),
            "up_proj": (self.inner, self.hidden),
            "down_proj": (self.hidden, self.inner),
        }

    @property
    def linear_parameters(self) -> int:
        """Weights of all layers' linear modules: what is quantized."""
        return self.layers * sum(d_out * d_in for d_out, d_in in self.linear.values())

    @property
    def other_parameters(self) -> int:
        """Embeddings, output head and norms: what is not. Biases are left out."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2) + (2 * self.layers + 1) * self.hidden

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.linear_parameters + self.other_parameters


def shape_of(base: Base) -> Shape | None:
    """The shape of a base, from its folder, from the Hub's cache, or by its name; None if it cannot be told."""
    config = _config(base)
    if config is not None:
        return _read(config)
    match = _QWEN25_NAME.search(base.path)
    if match is None or match["size"] not in _QWEN25:
        return None
    hidden, inner, layers, heads, kv_heads, vocabulary, tied = _QWEN25[match["size"]]
    return Shape(hidden, inner, layers, heads, kv_heads, hidden // heads, vocabulary, tied)


def _config(base: Base) -> dict[str, Any] | None:
    path: Any = Path(base.path) / "config.json"
    if not path.is_file():
        if Path(base.path).is_absolute():
            return None
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(base.path, "config.json", revision=base.revision)
        if not isinstance(path, str):
            return None
    config = read_json(Path(path))
    return dict(config.get("text_config") or config) if isinstance(config, dict) else None


def _read(config: dict[str, Any]) -> Shape | None:
    try:
        heads = int(config["num_attention_heads"])
        return Shape(
            hidden=int(config["hidden_size"]),
            inner=int(config["intermediate_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_size=int(config.get("head_dim") or config["hidden_size"] // heads),
            vocabulary=int(config["vocab_size"]),
            tied=bool(config.get("tie_word_embeddings", False)),
        )
    except (KeyError, TypeError):  # another kind of model: its shape has other names
        return None
