"""Whether a baked model answers as its base does with the update added, by way of transformers and not of our files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.core.errors import WorkFailed
from factory.core.hashing import seed_from
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

# Larger models are compared tensor by tensor only: both would have to be in memory, in fp32.
CHECKED_BYTES = 64 * 2**20
TOLERANCE, HALF_TOLERANCE = 1e-4, 0.1
_ROWS, _TOKENS = 2, 32


def check_same_answers(
    model: Path,
    base: Path,
    modules: Sequence[str],
    update_of: Callable[[str], Factors | torch.Tensor],
    *,
    flip: bool = False,
    half: bool = False,
) -> float:
    """Compare logits on random tokens, in fp32.

    Args:
        model, base: folders.
        modules: all that have an update.
        update_of: a module's update, in factors or dense (d_out, d_in).
        flip: whether the base keeps linear weights transposed.
        half: whether the model is rounded to 16 bits.

    Returns:
        The largest difference, relative to the largest logit.

    Raises:
        WorkFailed: it is above 1e-4, or 0.1 where the model is rounded to 16 bits.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    vocabulary = AutoConfig.from_pretrained(base).get_text_config().vocab_size
    generator = torch.Generator().manual_seed(seed_from("same answers"))
    tokens = torch.randint(0, vocabulary, (_ROWS, _TOKENS), generator=generator)
    baked = _logits(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), tokens)
    parts: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    for name in modules:
        update = update_of(name)
        delta = update.delta() if isinstance(update, Factors) else update
        owner, _, kind = name.rpartition(".") if name.endswith((".weight", ".bias")) else (name, "", "weight")
        module = parts.get_submodule(owner)
        weight = getattr(module, kind).detach()
        # A parameter of its own: of two tied weights only the adapted one changes, as under PEFT.
        changed = weight + (delta.T if flip else delta).reshape(weight.shape)
        setattr(module, kind, torch.nn.Parameter(changed))
    expected = _logits(parts, tokens)
    difference = float((baked - expected).abs().max() / expected.abs().max())
    most = HALF_TOLERANCE if half else TOLERANCE
    if not difference <= most:
        raise WorkFailed(
            f"{model}: its logits differ from base + update by {difference:.1e} of the largest; at most {most:g}"
        )
    return difference


def _logits(model: Any, tokens: Any) -> Any:
    import torch

    with torch.no_grad():
        return model.eval()(input_ids=tokens).logits.float()
