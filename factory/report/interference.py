"""Heat map of how the adapters of a merge interfere, layer by layer, from what the merge's card says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from factory.report.figures import drawing, svg
from factory.store.ref import Ref
from factory.store.store import Store


def interference_maps(store: Store, variants: Sequence[Mapping[str, Any]]) -> list[str]:
    """One figure for each set of adapters that a study merges; merges of the same set share one."""
    maps: dict[tuple[str, ...], str] = {}
    for entry in variants:
        if entry["ref"] is None:  # a base by folder or hub id is not in the store
            continue
        ref = Ref(**entry["ref"])
        told = store.card(ref).get("interference") if ref.kind == "merge" and store.has(ref) else None
        if told and tuple(told["adapters"]) not in maps:
            maps[tuple(told["adapters"])] = interference_map(told, f"interference{len(maps)}")
    return list(maps.values())


def interference_map(told: Mapping[str, Any], name: str) -> str:
    """Layers x pairs: the cosine of the two updates, written and coloured from -1 to 1.

    Args:
        told: a `Comparison` as JSON.
        name: makes the figure's ids unique on the page.
    """
    layers, adapters = told["per_layer"], [title.rpartition(":")[2] for title in told["adapters"]]
    pairs = list(told["overall"]["pairs"])
    heads = [" · ".join(adapters[int(place)] for place in pair.split("-")) for pair in pairs]
    rows = [*layers, "all"]
    values = np.array(
        [
            [np.nan if part["pairs"][pair]["cosine"] is None else part["pairs"][pair]["cosine"] for pair in pairs]
            for part in (*layers.values(), told["overall"])
        ],
        dtype=float,
    )
    width = max(1.3, 0.08 * max(map(len, heads)) + 0.2)
    with drawing(1.6 + width * len(pairs), 0.9 + 0.34 * len(rows)) as figure:
        axes = figure.subplots()
        axes.grid(False)
        image = axes.imshow(values, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
        axes.set_xticks(range(len(pairs)), heads)
        axes.set_yticks(range(len(rows)), [f"layer {row}" if row.isdecimal() else row for row in rows])
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for i, row in enumerate(values):
            for j, value in enumerate(row):
                colour = "#ffffff" if abs(value) > 0.62 else "#1a1a1a"
                axes.text(j, i, "-" if np.isnan(value) else f"{value:.2f}", ha="center", va="center", color=colour)
        bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05)
        bar.set_label("cosine of the updates")
        bar.outline.set_visible(False)
        return svg(figure, name, f"Cosine of the adapters' updates by layer: {', '.join(adapters)}")
