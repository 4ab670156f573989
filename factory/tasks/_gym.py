"""What tasks need of reasoning-gym, an extra that may be missing."""

from __future__ import annotations

from types import ModuleType

from factory.core.errors import BadInput


def gym(task: str) -> ModuleType:
    """The door to reasoning-gym.

    Raises:
        BadInput: the library is not installed; the text says how to install it.
    """
    from factory.verifiers import _gym_door

    if not _gym_door.installed():
        raise BadInput(f"task '{task}' needs reasoning-gym: pip install \"lora-factory[puzzles]\"")
    return _gym_door
