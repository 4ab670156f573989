"""A file of demonstrations that a recipe trains on: there when the plan is made, and known by its content."""

from __future__ import annotations

from pathlib import Path

from factory.core.errors import BadInput
from factory.core.hashing import file_digest
from factory.core.recipes import AdapterRecipe


def digest_of_demonstrations(recipe: AdapterRecipe, where: str) -> str | None:
    """Hash of the file that the recipe's strategy options name; None if they name none.

    Raises:
        BadInput: there is no such file.
    """
    name = recipe.strategy_options.get("demonstrations")
    if not isinstance(name, str):
        return None
    if not Path(name).is_file():
        raise BadInput(
            f"{where}: demonstrations: no file {name}; expected JSONL with 'completion' and 'id' or 'prompt'"
        )
    return file_digest(Path(name))
