"""Values as JSON and back, as exact builtin types: a subclass becomes its base value, behaviour never travels.

Scalars and lists stand for themselves; everything else is an object with one short tag. What has no plain form becomes
a reference to an object that stays where it is.
"""

from __future__ import annotations

import builtins
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

MOST_NODES = 2_000_000
_SMALL = 1 << 62
_MOMENTS = ("datetime", "date", "time")
_KEYS: Any = type({}.keys())
_COLLECTIONS: tuple[tuple[Any, str], ...] = (
    (list, "l"), (tuple, "t"), (set, "s"), (frozenset, "f"), (deque, "q"), (_KEYS, "k"),
)  # fmt: skip
_BUILTIN_TYPES = {name: value for name, value in vars(builtins).items() if isinstance(value, type)}


class TooMuch(Exception):
    """The value is too large or too deep to be sent."""


class Encoder:
    """Turns values into JSON; `refer` gives the reference of an object that has no plain form."""

    def __init__(self, refer: Callable[[Any], dict[str, Any]]) -> None:
        self._refer = refer
        self._nodes = 0

    def __call__(self, value: Any) -> Any:
        """The value's JSON.

        Raises:
            TooMuch: it is too large, too deep, or contains itself.
        """
        self._nodes = 0
        try:
            return self._encode(value)
        except RecursionError as error:
            raise TooMuch("too deep") from error

    def _encode(self, value: Any) -> Any:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise TooMuch("too many parts")
        kind = type(value)
        if value is None or kind is bool or kind is float or kind is str:
            return value
        if kind is int:
            return value if -_SMALL < value < _SMALL else {"i": hex(value)}
        if kind is list:
            return [self._encode(part) for part in value]
        if kind is tuple:
            return {"t": [self._encode(part) for part in value]}
        if kind is dict:
            return {"d": [[self._encode(key), self._encode(part)] for key, part in value.items()]}
        return self._rare(value)

    def _rare(self, value: Any) -> Any:  # noqa: PLR0911 (a table of types)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return self._encode(int.__int__(value))
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, complex):
            return {"c": [value.real, value.imag]}
        if isinstance(value, (bytes, bytearray)):
            return {"b" if isinstance(value, bytes) else "B": bytes(value).decode("latin-1")}
        if isinstance(value, dict):
            return {"d": [[self._encode(key), self._encode(part)] for key, part in dict.items(value)]}
        for base, tag in _COLLECTIONS:
            if isinstance(value, base):
                return {tag: [self._encode(part) for part in base.__iter__(value)]}
        if isinstance(value, range):
            return {"r": [self._encode(part) for part in (value.start, value.stop, value.step)]}
        if isinstance(value, type) and _BUILTIN_TYPES.get(type.__dict__["__name__"].__get__(value)) is value:
            return {"y": type.__dict__["__name__"].__get__(value)}
        return self._from_library(value)

    def _from_library(self, value: Any) -> Any:
        """Numbers and moments of standard modules, looked at only if their module was imported at all."""
        modules = sys.modules
        if "decimal" in modules and isinstance(value, modules["decimal"].Decimal):
            return {"D": str(value)}
        if "fractions" in modules and isinstance(value, modules["fractions"].Fraction):
            return {"F": [self._encode(value.numerator), self._encode(value.denominator)]}
        if "datetime" in modules:
            library = modules["datetime"]
            if isinstance(value, library.timedelta):
                return {"T": [value.days, value.seconds, value.microseconds]}
            for name in _MOMENTS:
                if isinstance(value, getattr(library, name)):
                    return {"m": [name, value.isoformat()]}
        return self._refer(value)


class Decoder:
    """Turns JSON into values; `resolve` gives what a reference stands for."""

    def __init__(self, resolve: Callable[[dict[str, Any]], Any]) -> None:
        self._resolve = resolve

    def __call__(self, data: Any) -> Any:
        """The value.

        Raises:
            ValueError: it is not what an encoder wrote.
        """
        try:
            return self._decode(data)
        except (RecursionError, TypeError, KeyError, IndexError, ArithmeticError, AttributeError) as error:
            raise ValueError(f"no value: {type(error).__name__}") from error

    def _decode(self, data: Any) -> Any:
        kind = type(data)
        if kind is list:
            return [self._decode(part) for part in data]
        if kind is not dict:
            return data
        if "o" in data:
            return self._resolve(data)
        ((tag, content),) = data.items()
        make = getattr(self, f"_{tag}", None) if len(tag) == 1 else None
        if make is None:
            raise ValueError("no value: unknown tag")
        return make(content)

    def _i(self, text: str) -> int:
        return int(text, 16)

    def _c(self, parts: list[float]) -> complex:
        return complex(float(parts[0]), float(parts[1]))

    def _b(self, text: str) -> bytes:
        return text.encode("latin-1")

    def _B(self, text: str) -> bytearray:  # noqa: N802
        return bytearray(text.encode("latin-1"))

    def _l(self, parts: list[Any]) -> list[Any]:
        return [self._decode(part) for part in parts]

    def _t(self, parts: list[Any]) -> tuple[Any, ...]:
        return tuple([self._decode(part) for part in parts])

    def _d(self, pairs: list[Any]) -> dict[Any, Any]:
        return {self._decode(key): self._decode(part) for key, part in pairs}

    def _s(self, parts: list[Any]) -> set[Any]:
        return {self._decode(part) for part in parts}

    def _f(self, parts: list[Any]) -> frozenset[Any]:
        return frozenset([self._decode(part) for part in parts])

    def _q(self, parts: list[Any]) -> deque[Any]:
        return deque([self._decode(part) for part in parts])

    def _k(self, parts: list[Any]) -> Any:
        return dict.fromkeys([self._decode(part) for part in parts]).keys()

    def _y(self, name: str) -> type:
        return _BUILTIN_TYPES[name]

    def _r(self, parts: list[Any]) -> range:
        return range(*[self._decode(part) for part in parts])

    def _D(self, text: str) -> Any:  # noqa: N802
        from decimal import Decimal

        return Decimal(text)

    def _F(self, parts: list[Any]) -> Any:  # noqa: N802
        from fractions import Fraction

        return Fraction(self._decode(parts[0]), self._decode(parts[1]))

    def _T(self, parts: list[int]) -> Any:  # noqa: N802
        from datetime import timedelta

        return timedelta(*parts)

    def _m(self, parts: list[str]) -> Any:
        import datetime

        return getattr(datetime, _MOMENTS[_MOMENTS.index(parts[0])]).fromisoformat(parts[1])
