"""The candidate process: it runs untrusted code and answers calls. It never sees a test, an expected value or another
sample; whatever it does, it can only answer with values, and the checker judges those.

Messages from the checker: first the job `{"sources", "memory", "cpu", "main"}`, then `[nonce, operation, ...]`.
Answers: `[nonce, "ok", value, changed arguments or null]` or `[nonce, "raise", type name, text]`.
"""

from __future__ import annotations

import io
import linecache
import os
import select
import sys
import types
from collections.abc import Callable
from typing import Any

from . import limits
from .frames import Broken, read_frame, write_frame
from .seccomp import Filter
from .values import Decoder, Encoder, TooMuch

NAME = "candidate"
LONGEST_TEXT = 300
BATCH = 256
_MUTABLE = (list, dict, set, bytearray)


class Objects:
    """The objects that stay here while the checker holds references to them."""

    def __init__(self) -> None:
        self._held: list[Any] = []

    def refer(self, value: Any) -> dict[str, Any]:
        """The reference of an object."""
        kind = "c" if isinstance(value, type) else "f" if callable(value) else "o"
        if hasattr(type(value), "__next__"):
            kind = "n"
        self._held.append(value)
        return {"o": len(self._held) - 1, "k": kind}

    def resolve(self, reference: dict[str, Any]) -> Any:
        """The object of a reference."""
        return self._held[reference["o"]]


class Server:
    """Answers the checker's calls."""

    def __init__(self, descriptor: int, space: dict[str, Any]) -> None:
        self._descriptor = descriptor
        self._space = space
        self._objects = Objects()
        self._encode = Encoder(self._objects.refer)
        self._decode = Decoder(self._objects.resolve)

    def serve(self) -> None:
        """Answer until the checker hangs up."""
        while True:
            nonce, operation, *rest = read_frame(self._descriptor)
            try:
                answer = getattr(self, f"do_{operation}")(*rest)
                message = [nonce, "ok", *answer]
            except BaseException as error:  # noqa: BLE001 (whatever the code raises is its answer)
                message = [nonce, "raise", *described(error)]
            flush()
            try:
                write_frame(self._descriptor, message)
            except (ValueError, RecursionError):
                write_frame(self._descriptor, [nonce, "raise", "TooMuch", "the result is too large to be sent"])

    def _target(self, target: Any) -> Any:
        return self._space[target] if isinstance(target, str) else self._decode(target)

    def do_call(self, target: Any, arguments: Any, keywords: Any) -> list[Any]:
        """Call a function by name or reference; in-place changes are told if it returns None."""
        args, kwargs = self._decode(arguments), self._decode(keywords)
        result = self._target(target)(*args, **kwargs)
        changed = None
        if result is None and any(type(one) in _MUTABLE for one in args):
            changed = self._encode(args)
        return [self._encode(result), changed]

    def do_get(self, target: Any, name: str) -> list[Any]:
        """An attribute."""
        return [self._encode(getattr(self._target(target), name)), None]

    def do_set(self, target: Any, name: str, value: Any) -> list[Any]:
        """Set an attribute."""
        setattr(self._target(target), name, self._decode(value))
        return [None, None]

    def do_global(self, name: str) -> list[Any]:
        """A top-level value."""
        return [self._encode(self._space[name]), None]

    def do_special(self, target: Any, name: str, arguments: Any) -> list[Any]:
        """len, str, repr, an item; iter gives a reference to an iterator."""
        value, args = self._target(target), self._decode(arguments)
        if name == "iter":
            return [self._objects.refer(iter(value)), None]
        operations: dict[str, Callable[[], Any]] = {
            "len": lambda: len(value),
            "str": lambda: str(value),
            "repr": lambda: repr(value),
            "getitem": lambda: value[args[0]],
            "setitem": lambda: value.__setitem__(args[0], args[1]),
        }
        return [self._encode(operations[name]()), None]

    def do_next(self, target: Any, count: int) -> list[Any]:
        """Up to `count` further items of an iterator, and whether it has ended."""
        iterator, items = self._target(target), []
        for _ in range(min(count, BATCH)):
            try:
                items.append(next(iterator))
            except StopIteration:
                return [self._encode([items, True]), None]
        return [self._encode([items, False]), None]

    def do_run(self, text: str) -> list[Any]:
        """Run the whole program with a text on standard input; its standard output is the answer."""
        source = self._space["__source__"]
        old = sys.stdin, sys.stdout
        output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="replace", write_through=True)
        sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
        sys.stdout = output
        try:
            exec(compile(source, "<candidate>", "exec"), {"__name__": "__main__"})
        except SystemExit:
            pass
        finally:
            sys.stdin, sys.stdout = old
        return [output.buffer.getvalue().decode("utf-8", "replace"), None]


def kind_of(value: Any) -> str:
    """What a top-level value is to the checker: module, class, function, or plain value."""
    if isinstance(value, types.ModuleType):
        return "m"
    return "c" if isinstance(value, type) else "f" if callable(value) else "v"


def flush() -> None:
    """Hand over what the code has printed so far."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue


def described(error: BaseException) -> list[str]:
    """An exception's type name and the beginning of its text; a text that cannot be had is left out."""
    if isinstance(error, TooMuch):
        return ["TooMuch", f"the result is {error}"]
    try:
        text = str(error)[:LONGEST_TEXT]
    except BaseException:  # noqa: BLE001 (its __str__ is untrusted code too)
        text = ""
    return [type(error).__name__[:80], text.encode("utf-8", "replace").decode()]


def main(descriptor: int, output: int, filters: Filter | None, alive: select.poll) -> None:
    """Wait for a job, lock this process up, run it. Never returns."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    limits.die_with(alive)
    limits.close_others(descriptor)
    try:
        job = read_frame(descriptor)
        limits.set_limits(job["memory"], job["cpu"])
        if filters is not None:
            filters.install()
        run(descriptor, job)
    except Broken:
        pass
    os._exit(0)


def run(descriptor: int, job: dict[str, Any]) -> None:
    """Execute the sources, tell what they define, then serve."""
    module = types.ModuleType(NAME)
    sys.modules[NAME] = module
    space = module.__dict__
    try:
        for source in job["sources"]:
            code = compile(source, "<candidate>", "exec", dont_inherit=True)
            linecache.cache["<candidate>"] = (len(source), None, source.splitlines(keepends=True), "<candidate>")
            if job["main"]:
                space["__source__"] = source
            else:
                exec(code, space)
    except BaseException as error:  # noqa: BLE001 (whatever the code raises is its answer)
        flush()
        write_frame(descriptor, ["raise", *described(error)])
        return
    flush()
    names = {}
    for name, value in list(space.items())[:2000]:
        if isinstance(name, str) and not name.startswith("__"):
            names[name[:100]] = kind_of(value)
    write_frame(descriptor, ["ready", names])
    Server(descriptor, space).serve()
