"""A study that has run, read once: its matrix and the comparison of its strategies, as numbers and as text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from factory.analysis.cells import Matrix, Mode, load_matrix, read_study_card
from factory.analysis.contrast_table import print_contrasts
from factory.analysis.contrasts import Contrast, contrasts
from factory.analysis.costs import Cost, costs, print_costs
from factory.analysis.joint import Group, joint_groups
from factory.analysis.joint_json import joint_json
from factory.analysis.joint_table import print_joint
from factory.analysis.summary import summary
from factory.analysis.table import print_matrix
from factory.core.config import parse
from factory.core.study import Joint
from factory.store.store import Store


@dataclass(frozen=True)
class Overview:
    """What a study's cells say.

    Attributes:
        card: of the study.
        groups: adapters that share their tasks.
        asked: how they are to be compared.
        costs: of the variants.
    """

    card: dict[str, Any]
    matrix: Matrix
    groups: list[Group]
    asked: Joint
    costs: list[Cost]

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """Everything as one JSON object: what `matrix.json` holds."""
        found = [one.to_json() for mode in self.matrix.modes() for one in self.contrasts(mode)]
        return {
            **summary(self.matrix),
            "contrasts": found,
            "joint": joint_json(self.groups, self.asked),
            "costs": [cost.to_json() for cost in self.costs],
        }

    @property
    def text(self) -> str:
        """For a terminal."""
        joint = print_joint(self.groups, self.asked)
        asked = print_contrasts(self.matrix, self.wanted_contrasts)
        parts = (print_matrix(self.matrix), asked, joint, print_costs(self.costs))
        return "\n\n".join(text for text in parts if text)

    @property
    def wanted_contrasts(self) -> dict[str, dict[str, float]]:
        """The study's own comparisons: variants' weights by name."""
        return dict(self.card["study"].get("contrasts") or {})

    def contrasts(self, mode: Mode) -> list[Contrast]:
        """The study's own comparisons."""
        return contrasts(self.matrix, self.wanted_contrasts, mode)


def overview(store: Store, folder: Path) -> Overview:
    """Read a study that has run, or has partly run.

    Args:
        folder: of the study.

    Raises:
        BadInput: the folder has no study card.
        CorruptFile: the card, a cell or a training log is damaged.
        StoreError: a cell that the card names is not in the store.
    """
    card, matrix = read_study_card(folder), load_matrix(store, folder)
    asked = parse(Joint, card["study"].get("joint") or {}, f"{folder}, joint")
    return Overview(card, matrix, joint_groups(store, card, matrix), asked, costs(store, card["variants"]))
