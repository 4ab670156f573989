"""The report of a study: `report.html` and `matrix.json` beside its card, written only when they would change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from factory.analysis.cells import BASE
from factory.analysis.costs import HEADS, cells
from factory.analysis.joint_table import reached_text
from factory.analysis.overview import Overview, overview
from factory.analysis.protocol import protocols
from factory.analysis.table import percent, signed
from factory.core.atomic import write_text
from factory.core.errors import BadInput, UnknownName
from factory.report import figures, view
from factory.report.contrasts import contrast_views
from factory.report.interference import interference_maps
from factory.report.joint import joint_views
from factory.store.store import Store

if TYPE_CHECKING:
    from markupsafe import Markup

PAGE, NUMBERS, TEMPLATE = "report.html", "matrix.json", "page.html.j2"


def build_report(store: Store, study_folder: Path) -> Path:
    """Write the report of a study that has run, or has partly run; gives the page's path.

    Reads files only, no model. The same cells give the same bytes, and files that would not change are not touched.

    Raises:
        BadInput: the folder has no study card.
        CorruptFile: the card, a cell or a training log is damaged.
        StoreError: a cell that the card names is not in the store, or the folder cannot be written.
    """
    whole = overview(store, study_folder)
    text = json.dumps(whole.numbers, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    _write_if_new(study_folder / NUMBERS, text)
    _write_if_new(study_folder / PAGE, render(store, whole))
    return study_folder / PAGE


def render(store: Store, whole: Overview) -> str:
    """The page as text: one HTML document that asks for nothing from outside."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("factory.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(percent=percent, signed=signed, breakable=_breakable, reached=reached_text)
    card, matrix = whole.card, whole.matrix
    variants, stages = card["variants"], card.get("stages") or {}
    parts = view.part_seconds(whole.costs)
    return environment.get_template(TEMPLATE).render(
        study=card["study"],
        embedded=view.is_embedded(str(card["study"].get("base", ""))),
        base=BASE,
        matrix=matrix,
        views=view.matrix_views(matrix),
        protocols=protocols(matrix),
        contrasts=contrast_views(whole),
        joint=joint_views(whole.groups, whole.asked),
        curves=view.curve_views(store, variants),
        interference_maps=interference_maps(store, variants),
        stages=stages,
        stage_figure=figures.stage_bars(stages) if stages else "",
        costs=[(cost.variant, cells(cost)) for cost in whole.costs],
        cost_heads=HEADS,
        part_figure=figures.part_bars(parts) if parts else "",
        cards=view.card_views(store, variants),
        examples=view.example_views(matrix),
    )


def find_study(store: Store, name: str | None = None) -> Path:
    """The folder of a study that has run: by name or recipe file, or the most recently run one.

    Raises:
        UnknownName: no study of that name has run in this store.
        BadInput: none has run at all.
    """
    root = store.root / "studies"
    cards = {path.parent.name: path for path in sorted(root.glob("*/card.json"))}
    if not cards:
        raise BadInput(
            f"{store.root}: no study has run in this store; run one with 'factory run STUDY', or give --store"
        )
    if name is None:
        return max(cards.values(), key=lambda path: (path.stat().st_mtime, path.parent.name)).parent
    wanted = Path(name).stem if name.endswith((".yaml", ".yml")) else name
    if wanted not in cards:
        raise UnknownName("study", wanted, cards, f"store {store.root}")
    return cards[wanted].parent


def _breakable(name: str) -> Markup:
    """A variant's name that may break after its kind, where the screen is narrow."""
    from markupsafe import Markup, escape

    return Markup(":<wbr>").join(escape(part) for part in name.split(":"))


def _write_if_new(path: Path, text: str) -> None:
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)
