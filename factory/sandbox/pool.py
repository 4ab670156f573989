"""Lanes shared by everything in this process that verifies: started when first needed, as many as there is work for.

A caller waits while all lanes are busy (back-pressure). A lane that dies is replaced and its job done again: a verdict
is a function of the job alone. The pool belongs to this process: after a fork the child starts its own lanes, at exit
the lanes end, and if we are killed they end by themselves.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import TypeVar

from factory.core.errors import WorkFailed
from factory.sandbox.kind import Kind
from factory.sandbox.lane import Lane, LaneDied

T = TypeVar("T")


class LanesDied(WorkFailed):
    """One job ended several lanes in a row: it has no verdict."""


ATTEMPTS = 4
"""Fresh lanes that one job may end; a lane that was idle may have died before it got the job."""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """The lanes of one kind."""

    def __init__(self, kind: Kind, size: int) -> None:
        self.kind, self.size = kind, size
        self._idle: list[Lane] = []
        self._all: set[Lane] = set()
        self._free = threading.Semaphore(size)
        self._lock = threading.Lock()
        self._closed = False

    def use(self, work: Callable[[Lane], T]) -> T:
        """Do some work on a lane of one's own, again on a fresh one if the lane dies.

        Raises:
            WorkFailed: lanes cannot be started.
            LanesDied: they die again and again.
        """
        with self._free:
            died = 0
            while died < ATTEMPTS:
                lane, is_new = self._take()
                try:
                    result = work(lane)
                except LaneDied:
                    self._drop(lane)
                    died += is_new
                    continue
                except BaseException:
                    self._drop(lane)  # interrupted half-way: its sockets may hold half an answer
                    raise
                self._give(lane)
                return result
        raise LanesDied(f"{ATTEMPTS} {self.kind.name} sandboxes in a row died on one job")

    def _take(self) -> tuple[Lane, bool]:
        """An idle lane, else a new one; also gives whether it is new."""
        with self._lock:
            if self._closed:
                raise LanesDied(f"the {self.kind.name} sandboxes were closed")
            lane = self._idle.pop() if self._idle else None
        if lane is not None and lane.process.poll() is None:
            return lane, False
        if lane is not None:  # it died while nobody used it, which says nothing about this job
            self._drop(lane)
        lane = Lane(self.kind)
        with self._lock:
            self._all.add(lane)
        return lane, True

    def _give(self, lane: Lane) -> None:
        with self._lock:
            self._idle.append(lane)

    def _drop(self, lane: Lane) -> None:
        with self._lock:
            self._all.discard(lane)
        lane.kill()

    def lanes(self) -> list[Lane]:
        """The lanes that exist now."""
        with self._lock:
            return list(self._all)

    def close(self) -> None:
        """End all lanes."""
        with self._lock:
            lanes, self._all, self._idle = list(self._all), set(), []
            self._closed = True
        for lane in lanes:
            lane.kill()

    def forget(self) -> None:
        """In a forked child: these lanes are the parent's; only let go of our copies of their sockets."""
        for lane in self._all:
            lane.forget()
            lane.process.returncode = 0


_pools: dict[Kind, Pool] = {}
_size: int | None = None
_lock = threading.Lock()


def set_size(lanes: int) -> None:
    """How many lanes of a kind may run at once, for pools not yet made; the default suits this machine's cores."""
    global _size
    _size = lanes


def pool_of(kind: Kind) -> Pool:
    """The pool of a kind of lane."""
    with _lock:
        if kind not in _pools:
            _pools[kind] = Pool(kind, _size or max(2, cores() + (0 if kind.worker else cores() // 2 + 1)))
        return _pools[kind]


def close_all() -> None:
    """End all lanes of this process; they start again when needed."""
    with _lock:
        pools = list(_pools.values())
        _pools.clear()
    for pool in pools:
        pool.close()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for pool in _pools.values():
        pool.forget()
    _pools.clear()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
