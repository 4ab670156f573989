"""Everything the analysis says of a matrix, as one JSON object: what `matrix.json` holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from factory.analysis.cells import BASE, Matrix
from factory.analysis.notes import notes
from factory.analysis.protocol import protocols
from factory.analysis.shares import shares
from factory.analysis.transfer import changes, interference, retention, transfer

FORMAT = 1


def summary(matrix: Matrix) -> dict[str, Any]:
    """Scores with intervals, changes against the base, transfer, interference, retention and notes, for each decoding.

    Shares are in [0, 1]; `low` and `high` are the ends of 95 % intervals. Depends on nothing but the cells.
    """
    return {
        "format": FORMAT,
        "study": matrix.study,
        "variants": list(matrix.variants),
        "benchmarks": list(matrix.benchmarks),
        "seeds": list(matrix.seeds),
        "base": BASE,
        "chance": {benchmark: matrix.chance(benchmark) for benchmark in matrix.benchmarks},
        "contaminated": {
            name: {key: value for key, value in asdict(found).items() if key != "ids"}
            for name, found in matrix.contaminated.items()
        },
        "scores": [
            {
                "variant": variant,
                "benchmark": benchmark,
                "mode": mode,
                "trained": matrix.trained(variant, benchmark),
                "unscorable": matrix.unscorable(variant, benchmark, mode),
                **score.to_json(),
            }
            for mode in matrix.modes()
            for variant in matrix.variants
            for benchmark in matrix.benchmarks
            if (score := matrix.score(variant, benchmark, mode))
        ],
        "shares": [found.to_json() for mode in matrix.modes() for found in shares(matrix, mode)],
        **{
            name: [effect.to_json() for mode in matrix.modes() for effect in find(matrix, mode)]
            for name, find in (
                ("changes", changes),
                ("transfer", transfer),
                ("interference", interference),
                ("retention", retention),
            )
        },
        "protocols": protocols(matrix),
        "notes": {mode: notes(matrix, mode) for mode in matrix.modes()},
    }
