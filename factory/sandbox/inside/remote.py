"""What stands in the tests for the candidate's functions, classes and objects: proxies that send calls to its process.

A proxy never lets the candidate decide a comparison: it equals itself and nothing else, has no arithmetic and no order.
"""

from __future__ import annotations

import builtins
import os
import select
from collections.abc import Iterator
from typing import Any

from .frames import Broken, read_frame, write_frame
from .values import Decoder, Encoder, TooMuch

# raised inside a test these would end its loops early and quietly (PEP 479 is not everywhere): never passed on
_NOT_RAISED = {"StopIteration", "StopAsyncIteration", "GeneratorExit"}


class CandidateGone(BaseException):
    """The candidate's process died, or spoke out of turn. Not an Exception, so that no test swallows it."""


class CandidateError(Exception):
    """The candidate raised something that is not a builtin exception."""


class Channel:
    """The line to the candidate's process; it also drains what the code prints, keeping the beginning."""

    def __init__(self, descriptor: int, output: int, output_bytes: int) -> None:
        self.calls = 0
        self.gone = ""
        self.printed = b""
        self._descriptor, self._output, self._room = descriptor, output, output_bytes
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._poll.register(output, select.POLLIN)
        self.encode = Encoder(_refer)
        self.decode = Decoder(self._resolve)

    def _resolve(self, reference: dict[str, Any]) -> Any:
        target = {"o": int(reference["o"])}
        return (RemoteIterator if reference.get("k") == "n" else Remote)(self, target)

    def _lost(self, why: str) -> CandidateGone:
        self.gone = why
        return CandidateGone(why)

    def _drain(self) -> None:
        part = os.read(self._output, 1 << 16)
        if not part:
            self._poll.unregister(self._output)
        elif self._room > 0:
            self.printed += part[: self._room]
            self._room -= len(part)

    def receive(self) -> Any:
        """The next message of the candidate.

        Raises:
            CandidateGone: there will be none.
        """
        try:
            while True:
                for descriptor, _ in self._poll.poll():
                    if descriptor == self._descriptor:
                        return read_frame(descriptor)
                    self._drain()
        except Broken as error:
            raise self._lost(f"the code ended: {error}") from error

    def finish(self) -> None:
        """Take what is still to be read of the output, without waiting."""
        while self._room > 0 and any(one == self._output for one, _ in self._poll.poll(0)):
            before = self._room
            self._drain()
            if self._room == before:
                break

    def ask(self, operation: str, *rest: Any) -> tuple[Any, Any]:
        """One operation in the candidate's process: its value, and its arguments if they changed.

        Raises:
            CandidateGone: the process is dead or answers what was not asked.
            Exception: what the candidate raised, as a builtin exception where it was one.
        """
        if self.gone:
            raise CandidateGone(self.gone)
        nonce = os.urandom(8).hex()
        try:
            write_frame(self._descriptor, [nonce, operation, *rest])
        except Broken as error:
            raise self._lost(f"the code ended: {error}") from error
        answer = self.receive()
        if not isinstance(answer, list) or len(answer) != 4 or answer[0] != nonce:
            raise self._lost("the code answered what was not asked")
        if answer[1] != "ok":
            raise _raised(str(answer[2]), str(answer[3]))
        try:
            return self.decode(answer[2]), self.decode(answer[3])
        except ValueError as error:
            raise self._lost(str(error)) from error

    def call(self, target: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """A function call; lists, dicts and sets that it changed in place are changed here too."""
        self.calls += 1
        try:
            sent = self.encode(list(arguments))
            named = self.encode(keywords)
        except TooMuch as error:
            raise ValueError(f"the tests pass a value that is {error}") from error
        value, changed = self.ask("call", target, sent, named)
        if value is None and isinstance(changed, list) and len(changed) == len(arguments):
            for mine, theirs in zip(arguments, changed, strict=True):
                _adopt(mine, theirs)
        return value


def _refer(value: Any) -> dict[str, Any]:
    if isinstance(value, Remote):
        target = object.__getattribute__(value, "_target")
        if isinstance(target, dict):
            return dict(target)
    raise TypeError(f"the tests pass a {type(value).__name__} to the candidate, which cannot be sent")


def _adopt(mine: Any, theirs: Any) -> None:
    """Give a mutable argument the content that it has in the candidate's process."""
    if type(mine) is not type(theirs):
        return
    if isinstance(mine, (list, bytearray)):
        mine[:] = theirs
    elif isinstance(mine, (dict, set)):
        mine.clear()
        mine.update(theirs)


def _raised(name: str, text: str) -> Exception:
    """The exception to raise in the test for one that the candidate raised."""
    known = getattr(builtins, name, None)
    if isinstance(known, type) and issubclass(known, Exception) and name not in _NOT_RAISED:
        try:
            return known(text)
        except TypeError:
            return CandidateError(f"{name}: {text}")
    return CandidateError(f"{name}: {text}")


class Remote:
    """A function, class or object of the candidate."""

    def __init__(self, channel: Channel, target: Any) -> None:
        object.__setattr__(self, "_channel", channel)
        object.__setattr__(self, "_target", target)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._channel.call(self._target, arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        if name == "__name__" and isinstance(self._target, str):
            return self._target
        if name.startswith("__"):
            raise AttributeError(name)
        return self._channel.ask("get", self._target, name)[0]

    def __setattr__(self, name: str, value: Any) -> None:
        self._channel.ask("set", self._target, name, self._channel.encode(value))

    def _special(self, name: str, *arguments: Any) -> Any:
        return self._channel.ask("special", self._target, name, self._channel.encode(list(arguments)))[0]

    def __len__(self) -> int:
        return int(self._special("len"))

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return str(self._special("str"))

    def __repr__(self) -> str:
        return str(self._special("repr"))

    def __getitem__(self, key: Any) -> Any:
        return self._special("getitem", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._special("setitem", key, value)

    def __iter__(self) -> Iterator[Any]:
        iterator = self._special("iter")
        if not isinstance(iterator, RemoteIterator):
            raise TypeError("the candidate's object is not iterable")
        return iterator

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class RemoteIterator(Remote):
    """An iterator of the candidate, fetched in growing batches."""

    def __init__(self, channel: Channel, target: Any) -> None:
        super().__init__(channel, target)
        for name, value in (("_items", []), ("_ended", False), ("_batch", 1)):
            object.__setattr__(self, name, value)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._items and not self._ended:
            items, ended = self._channel.ask("next", self._target, self._batch)[0]
            object.__setattr__(self, "_items", list(items)[::-1])
            object.__setattr__(self, "_ended", bool(ended))
            object.__setattr__(self, "_batch", min(2 * self._batch, 256))
        if not self._items:
            raise StopIteration
        return self._items.pop()
