"""What a merge method declares about itself, and what its kernel is handed.

A method is one file in `methods/` with two names: `CONTRACT`, and `merge(inputs, settings)`, which is only mathematics.
The runner checks everything the contract says before the kernel sees a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from factory.core import discover
from factory.core.errors import BadInput, UnknownName
from factory.merging.parameters import Parameter, Value

if TYPE_CHECKING:
    import torch

    from factory.store.factors import Factors

__all__ = [
    "PACKAGE",
    "Contract",
    "Method",
    "Parameter",
    "Settings",
    "Value",
    "contract_of",
    "load_method",
    "method_names",
]

PACKAGE = "factory.merging.methods"


@dataclass(frozen=True, slots=True)
class Contract:
    """What a method needs and promises.

    Attributes:
        paper: where the rule is from.
        space: `factors` if its kernel returns factors (exact, no dense matrix), `delta` if it returns a dense update,
            `weight` if it merges whole weights: mergekit's own, without a kernel here.
        parameters: by mergekit's names.
        identity: values at which one adapter with weight 1 comes back unchanged; None where nothing does, because the
            method changes a single update too.
        needs_seed: whether it draws at random.
        ordered: whether the order of the inputs matters.
        inputs: fewest and most inputs (None: any number).
        version: raised when the arithmetic changes, so that nothing old is taken for it.
        weighs_base: whether mergekit's method of that name averages whole weights, so that the base is an input too.
        base_optional: whether mergekit's method of that name works on updates only where a base is named.
        in_mergekit: whether mergekit has a method of that name.
        mergekit_differs: how mergekit's method of that name differs, "" where it does not.
    """

    paper: str
    space: Literal["factors", "delta", "weight"]
    parameters: Mapping[str, Parameter]
    identity: Mapping[str, Value] | None = field(default_factory=dict)
    needs_seed: bool = False
    ordered: bool = False
    inputs: tuple[int, int | None] = (1, None)
    version: int = 1
    weighs_base: bool = False
    base_optional: bool = False
    in_mergekit: bool = True
    mergekit_differs: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """A method's parameters, complete and checked, for one module.

    Attributes:
        shared: parameters that hold for the whole merge.
        each: parameters with one value for each input, in the order of the inputs.
        seeds: one for each input: a hash of the seed, the input's key and the module's name.
        dense: whether the result may have full rank, because it goes into a full model and not into an adapter.
    """

    shared: Mapping[str, Value]
    each: Mapping[str, Sequence[float]]
    seeds: Sequence[int] = ()
    dense: bool = False

    def number(self, name: str) -> float:
        """A shared parameter that is a number."""
        return float(self.shared[name])


class Method(Protocol):
    """A file of `methods/`, as a module."""

    CONTRACT: Contract

    @staticmethod
    def merge(inputs: Sequence[Factors], settings: Settings) -> Factors | torch.Tensor:
        """The merged update of one module from the inputs' updates of it: factors, or dense (d_out, d_in)."""


def load_method(name: str, where: str = "") -> Method:
    """Import one method by name.

    Raises:
        UnknownName: no such method; the nearest is suggested.
        BadInput: a user's method file that lacks CONTRACT or merge.
    """
    module = discover.load(PACKAGE, name, kind="merge method", where=where)
    if not isinstance(getattr(module, "CONTRACT", None), Contract) or not callable(getattr(module, "merge", None)):
        raise BadInput(f"{module.__file__}: a merge method needs CONTRACT (a Contract) and merge(inputs, settings)")
    return module  # type: ignore[return-value]


def contract_of(name: str, where: str = "") -> Contract:
    """What a method declares, also one that only mergekit has.

    Raises:
        UnknownName: no such method; the nearest is suggested.
        BadInput: as `load_method`.
    """
    from factory.merging.mergekit_methods import CONTRACTS

    if name in CONTRACTS:
        return CONTRACTS[name]
    try:
        return load_method(name, where).CONTRACT
    except UnknownName:
        raise UnknownName("merge method", name, method_names(), where) from None


def method_names() -> list[str]:
    """Every method, ours first, then those that only mergekit has."""
    from factory.merging.mergekit_methods import CONTRACTS

    return [*discover.names(PACKAGE), *CONTRACTS]
