"""Whether a baked model answers as its base and adapter do together."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from factory.core.errors import WorkFailed
from factory.core.hashing import seed_from

TOLERANCE = 1e-4
_ROWS, _TOKENS = 2, 32


def check_same_answers(model: Path, base: Path, adapter: Path) -> float:
    """Compare logits on random tokens, in fp32.

    Returns:
        The largest difference, relative to the largest logit.

    Raises:
        WorkFailed: it is above 1e-4, or the adapter changes nothing though its update is not zero.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    vocabulary = AutoConfig.from_pretrained(base).get_text_config().vocab_size
    generator = torch.Generator().manual_seed(seed_from("same answers"))
    tokens = torch.randint(0, vocabulary, (_ROWS, _TOKENS), generator=generator)
    baked = _logits(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), tokens)
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts: Any = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), str(adapter)
        )
    expected = _logits(parts, tokens)
    difference = float((baked - expected).abs().max() / expected.abs().max())
    if not difference <= TOLERANCE:
        raise WorkFailed(
            f"{model}: its logits differ from base + adapter by {difference:.1e} of the largest; at most {TOLERANCE:g}"
        )
    return difference


def _logits(model: Any, tokens: Any) -> Any:
    import torch

    with torch.no_grad():
        return model.eval()(input_ids=tokens).logits.float()
