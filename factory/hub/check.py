"""Whether what is sent, or was fetched, is whole: does it load, is it finite."""

from __future__ import annotations

from pathlib import Path

from factory.core.errors import BadInput, WorkFailed
from factory.merging.peft_door import check_loads
from factory.store.checkpoint import Checkpoint
from factory.store.factors import WEIGHTS, only_linear, read_factors
from factory.store.peft_config import CONFIG
from factory.store.tensors import TensorReader, all_finite

LOADED_BYTES = 2 * 10**9


def check_loads_whole(folder: Path, base: Path | None) -> None:
    """Refuse an adapter or a model that is damaged or that others could not load.

    Args:
        base: folder with at least the base's `config.json`; None where there is none.

    Raises:
        BadInput, CorruptFile: it is damaged.
        WorkFailed: PEFT or transformers would load something else than what is there.
    """
    if (folder / CONFIG).is_file():
        check_adapter(folder, base)
    else:
        check_model(folder)


def check_adapter(folder: Path, base: Path | None) -> str:
    """Read an adapter whole and load it through PEFT onto its base's architecture; gives what was looked at.

    Raises:
        CorruptFile: NaN, a missing or unpaired factor, shapes that disagree.
        WorkFailed: as `check_loads_whole`.
    """
    if not only_linear(folder):
        _all_finite(folder / WEIGHTS)
        return "hashes and numbers; it is more than LoRA factors"
    factors = read_factors(folder)
    if base is None:
        return "hashes, keys and numbers"
    check_loads(folder, base, factors)
    return "hashes, keys and numbers, and that PEFT loads it"


def check_model(folder: Path) -> None:
    """Read a model's files, all numbers of them, and load it where it is small.

    Raises:
        BadInput, CorruptFile: it is not whole.
        WorkFailed: transformers misses or does not know some of its tensors.
    """
    with Checkpoint(folder) as checkpoint:
        for name, (reader, entry) in checkpoint.tensors.items():
            if entry.floating and not all_finite(reader.read(name)):
                raise BadInput(f"{reader.path}: tensor '{name}' holds NaN or Inf")
        size = checkpoint.bytes
    if size > LOADED_BYTES:
        return
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        _, told = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    except (OSError, ValueError) as error:
        raise WorkFailed(f"{folder}: transformers cannot load it: {error}") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if told.get(kind):
            raise WorkFailed(f"{folder}: transformers has {kind.replace('_', ' ')}: {sorted(told[kind])[0]}")


def _all_finite(path: Path) -> None:
    with TensorReader(path) as reader:
        for name, entry in reader.entries.items():
            if entry.floating and not all_finite(reader.read(name)):
                raise BadInput(f"{path}: tensor '{name}' holds NaN or Inf")
