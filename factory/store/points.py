"""An adapter as it was during its training: folders `checkpoints/step-30` inside that of the finished adapter."""

from __future__ import annotations

from pathlib import Path

from factory.core.errors import BadInput
from factory.store.store import CARD, read_card

CHECKPOINTS = "checkpoints"


def place(folder: Path, step: int) -> Path:
    """Where an adapter keeps what it was after a step."""
    return folder / CHECKPOINTS / f"step-{step}"


def kept_steps(folder: Path) -> list[int]:
    """The steps an adapter was kept at, the finished one not among them."""
    return sorted(int(path.name.removeprefix("step-")) for path in (folder / CHECKPOINTS).glob("step-*"))


def at_step(folder: Path, step: int) -> Path:
    """The folder of an adapter as it was after a step.

    Where training ended before that step, nothing changed it since: it is the finished adapter.

    Raises:
        BadInput: it was not kept at that step.
        CorruptFile: the adapter's card is damaged.
    """
    if place(folder, step).is_dir():
        return place(folder, step)
    last = int(read_card(folder / CARD).get("steps") or 0)
    if step >= last:
        return folder
    known = ", ".join(map(str, kept_steps(folder)))
    has = f"it was kept at {known}" if known else "it was kept at no step; a study with 'curves' keeps them"
    raise BadInput(f"{folder}: not kept at step {step} of {last}; {has}")
