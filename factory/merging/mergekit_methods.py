"""Methods that only mergekit has: they merge whole weights, so there is no update of theirs to write as an adapter.

Declared here and not asked of mergekit, which takes seconds to import; a test compares the two.
"""

from __future__ import annotations

from factory.merging.contract import Contract, Parameter

_WEIGHT = Parameter(1.0, each=True, required=True)

CONTRACTS = {
    "arcee_fusion": Contract(paper="https://arcee.ai", space="weight", parameters={}, inputs=(1, 1)),
    "karcher": Contract(
        paper="arXiv 2603.04972; needs no base, which counts as one more input where it is named",
        space="weight",
        parameters={"max_iter": Parameter(10.0, low=1), "tol": Parameter(1e-5, low=0, above=True)},
        weighs_base=True,
    ),
    "model_stock": Contract(
        paper="Jang et al. 2024, Model Stock (arXiv 2403.19522)",
        space="weight",
        parameters={"filter_wise": Parameter(False)},
        inputs=(2, None),
    ),
    "multislerp": Contract(
        paper="https://goddard.blog/posts/multislerp-wow-what-a-cool-idea",
        space="weight",
        parameters={
            "weight": _WEIGHT,
            "normalize_weights": Parameter(True),
            "eps": Parameter(1e-8, low=0, above=True),
        },
        base_optional=True,
    ),
    "nearswap": Contract(
        paper="https://huggingface.co/alchemonaut/QuartetAnemoi-70B-t0.0001",
        space="weight",
        parameters={"t": Parameter(0.0, low=0, required=True)},
        inputs=(1, 1),
    ),
    "nuslerp": Contract(
        paper="slerp of two models, or of their updates where a base is named",
        space="weight",
        parameters={
            "weight": _WEIGHT,
            "nuslerp_row_wise": Parameter(False),
            "nuslerp_flatten": Parameter(True),
        },
        inputs=(2, 2),
        base_optional=True,
    ),
    "passthrough": Contract(
        paper="the one input as it is",
        space="weight",
        parameters={"scale": Parameter(1.0, each=True)},
        inputs=(1, 1),
        weighs_base=True,
    ),
    "slerp": Contract(
        paper="Shoemake 1985; between the base and one adapter",
        space="weight",
        parameters={"t": Parameter(0.0, low=0, high=1, required=True)},
        inputs=(1, 1),
    ),
}
