"""Modules side by side: one thread each, because at these sizes a second thread inside an operation costs more than it
gives (6.1 against 4.4 CPU-seconds for a linear merge at 7B shapes, on two cores)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

DENSE_BYTES = 400 * 2**20


@contextmanager
def single_threaded() -> Iterator[int]:
    """One thread for each torch operation; gives the number there were, which is how many may run side by side."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """The results in the order of the items, with at most `workers` of them in the making and one more waiting."""
    if workers <= 1:
        yield from map(work, items)
        return
    import torch

    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def side_by_side(threads: int, largest: tuple[int, int], *, dense: bool) -> int:
    """How many modules at once: as many as threads, but of dense updates no more than `DENSE_BYTES` hold."""
    return max(1, min(threads, DENSE_BYTES // (4 * largest[0] * largest[1]))) if dense else max(1, threads)
