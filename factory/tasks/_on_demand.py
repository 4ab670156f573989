"""Rows that are made when they are looked at: counting them, or taking the first few, costs no more than that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class OnDemand(Sequence[T]):
    """A sequence whose length is known and whose items are made when they are asked for."""

    def __init__(self, size: int, item: Callable[[int], T]) -> None:
        self._size, self._item = size, item

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        if isinstance(place, slice):
            return [self._item(index) for index in range(*place.indices(self._size))]
        return self._item(range(self._size)[place])

    def __iter__(self) -> Iterator[T]:
        return map(self._item, range(self._size))
