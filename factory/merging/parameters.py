"""Parameters of merge methods, and mergekit's ways to write them: a value, a gradient over the layers, or filters.

A gradient is a list of numbers spread evenly over the base's layers, with straight lines between (switches are not
interpolated). A filter is `{filter: text, value: ...}`, or a list of them: the first whose text occurs in the tensor's
name counts, one without `filter` always does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from factory.core.errors import BadInput

Value = float | bool | str
# A value, a gradient or filters, as YAML gave it and `Parameter.check` let it through.
Setting = Any
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|layer)\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method, under mergekit's name and with mergekit's default where it has both.

    Attributes:
        default: its value where the recipe does not say; its type is the parameter's type (float, bool or text).
        each: whether every input has its own (mergekit's per-model parameters).
        low, high: smallest and largest value allowed.
        above: whether `low` itself is excluded.
        below: whether `high` itself is excluded.
        choices: the texts allowed.
        ours: whether mergekit's method of that name has no such parameter.
        required: whether a recipe has to give it.
    """

    default: Value
    each: bool = False
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False
    choices: tuple[str, ...] = ()
    ours: bool = False
    required: bool = False

    def check(self, value: Any, where: str) -> Setting:
        """A value, gradient or list of filters whose every leaf is in the parameter's type and range.

        Raises:
            BadInput: another type, out of range, an empty list, or filters that are not mergekit's.
        """
        if isinstance(value, dict):
            return self._filters([value], where)
        if isinstance(value, list):
            if not value:
                raise BadInput(f"{where} is an empty list; give a value, a gradient of values, or filters")
            if any(isinstance(item, dict) for item in value):
                return self._filters(value, where)
            return [self.leaf(item, where) for item in value]
        return self.leaf(value, where)

    def leaf(self, value: Any, where: str) -> Value:
        """One value in the parameter's type.

        Raises:
            BadInput: another type, or out of range.
        """
        if isinstance(self.default, bool):
            if not isinstance(value, bool):
                raise BadInput(f"{where} is {value!r}; expected true or false")
            return value
        if isinstance(self.default, str):
            if value not in self.choices:
                raise BadInput(f"{where} is {value!r}; expected one of {', '.join(self.choices)}")
            return str(value)
        try:
            # YAML 1.1 reads 1e-4 as text; mergekit takes it as a number too.
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise BadInput(f"{where} is {value!r}; expected a finite number")
        inside = self.low <= number <= self.high
        if not inside or (self.above and number == self.low) or (self.below and number == self.high):
            raise BadInput(f"{where} is {value}; expected {self.range}")
        return number

    @property
    def range(self) -> str:
        """The allowed values, for people: `a number in (0, 1]`."""
        low = "(-inf" if math.isinf(self.low) else f"{'(' if self.above else '['}{self.low:g}"
        high = "inf)" if math.isinf(self.high) else f"{self.high:g}{')' if self.below else ']'}"
        return f"a number in {low}, {high}"

    def _filters(self, items: Sequence[Any], where: str) -> list[dict[str, Setting]]:
        checked = []
        for item in items:
            if not isinstance(item, dict) or "value" not in item or not set(item) <= {"filter", "value"}:
                raise BadInput(f"{where} has the entry {item!r}; expected {{filter: text, value: ...}}")
            text = item.get("filter")
            if not isinstance(text, str | None):
                raise BadInput(f"{where} has the filter {text!r}; expected a text that occurs in tensor names")
            if isinstance(item["value"], dict):
                raise BadInput(f"{where}: a filter's value is a filter again; expected a value or a gradient")
            checked.append({"filter": text, "value": self.check(item["value"], where)})
        return checked


WEIGHT = Parameter(1.0, each=True)
DENSITY = Parameter(1.0, each=True, low=0, high=1, above=True)
"""Of each input: how much it counts, and the share of it that stays."""


def value_at(setting: Setting, tensor: str, t: float) -> Value | None:
    """What a setting says of one tensor; None where none of its filters matches.

    Args:
        setting: as `Parameter.check` gave it.
        tensor: its full name, `model.layers.0.self_attn.q_proj.weight`.
        t: where its layer lies, 0 for the first and 1 for the last.
    """
    if not isinstance(setting, list):
        return setting  # type: ignore[no-any-return]
    if isinstance(setting[0], dict):
        for item in setting:
            if item["filter"] in (None, "*") or item["filter"] in tensor:
                return value_at(item["value"], tensor, t)
        return None
    if isinstance(setting[0], bool | str):
        return setting[int(t * (len(setting) - 1))]  # type: ignore[no-any-return]
    place = t * (len(setting) - 1)
    first = int(place)
    share = place - first
    return float((1 - share) * setting[first] + share * setting[min(first + 1, len(setting) - 1)])


def has_gradient(setting: Setting) -> bool:
    """Whether a setting depends on how many layers there are."""
    if not isinstance(setting, list):
        return False
    return any(has_gradient(item["value"]) for item in setting) if isinstance(setting[0], dict) else len(setting) > 1


def layer_of(module: str) -> int | None:
    """The number of the layer that a module is in; None for embeddings and heads."""
    match = _LAYER.search(module)
    return int(match[1]) if match else None


def place_of(module: str, layers: int) -> float:
    """mergekit's t of a module: 0 at the first layer, 1 at the last; 0 outside the layers, 1 if there is only one."""
    number = layer_of(module)
    if number is None:
        return 0.0
    return number / (layers - 1) if layers > 1 else 1.0


def layers_in(modules: Iterable[str]) -> int:
    """How many layers these modules lie in, counted up to the last one."""
    return 1 + max((layer_of(module) or 0 for module in modules), default=0)
