"""Adapters on disk: the finished one, and what it was at steps between, for learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from factory.core.atomic import publish_folder
from factory.core.errors import CorruptFile
from factory.store.factors import WEIGHTS, read_factors
from factory.store.peft_config import needs_base, read_config
from factory.store.points import place
from factory.store.tensors import TensorReader, all_finite
from factory.store.write_adapter import write_adapter
from factory.training.lora import ADAPTER, plain_factors
from factory.training.ranks import rank


@dataclass(frozen=True)
class Keeper:
    """Keeps the adapter as it is, every so many steps.

    Attributes:
        folder: of the training's state; a resumed run writes the same bits again.
        base: `label` and `revision`, for the adapter's configuration.
        every: steps; None keeps nothing.
        last: the step whose adapter is the finished one.
    """

    folder: Path
    base: Mapping[str, Any]
    every: int | None
    last: int

    def __call__(self, model: Any, step: int) -> None:
        """After step `step`, from 1."""
        if self.every is None or step % self.every or step >= self.last or rank():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        built = Path(mkdtemp(prefix="half-", dir=self.folder))
        write_peft(model, built, self.base)
        publish_folder(built, place(self.folder, step), replace=True)


def write_peft(model: Any, out: Path, base: Mapping[str, Any]) -> None:
    """Write a PEFT model's adapter; its configuration names the base, not the base's place on this machine."""
    config = model.peft_config[ADAPTER]
    own = config.base_model_name_or_path, config.revision
    config.base_model_name_or_path, config.revision = base["label"], base.get("revision")
    try:
        plain = plain_factors(model)
        if plain is not None:
            write_adapter(out, plain)
            return
        model.save_pretrained(out, save_embedding_layers=False)
    finally:
        config.base_model_name_or_path, config.revision = own
    (out / "README.md").unlink(missing_ok=True)


def read_back(folder: Path) -> None:
    """Read a written adapter whole.

    Raises:
        BadInput, CorruptFile: it is not one, or a tensor holds NaN or Inf, by name.
    """
    if not needs_base(read_config(folder, with_base=True)):
        read_factors(folder)
        return
    with TensorReader(folder / WEIGHTS) as file:
        for name in file.entries:
            if not all_finite(file.read(name)):
                raise CorruptFile(f"{file.path}: tensor '{name}' holds NaN or Inf; this adapter's training diverged")
