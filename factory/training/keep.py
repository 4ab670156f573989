"""Adapters on disk: the finished one, and what it was at steps between, for learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from factory.core.atomic import publish_folder
from factory.store.points import place


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
        if self.every is None or step % self.every or step >= self.last:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        built = Path(mkdtemp(prefix="half-", dir=self.folder))
        write_peft(model, built, self.base)
        publish_folder(built, place(self.folder, step), replace=True)


def write_peft(model: Any, out: Path, base: Mapping[str, Any]) -> None:
    """Write a PEFT model's adapter; its configuration names the base, not the base's place on this machine."""
    config = model.peft_config["default"]
    own = config.base_model_name_or_path, config.revision
    config.base_model_name_or_path, config.revision = base["label"], base.get("revision")
    try:
        model.save_pretrained(out, save_embedding_layers=False)
    finally:
        config.base_model_name_or_path, config.revision = own
    (out / "README.md").unlink(missing_ok=True)
