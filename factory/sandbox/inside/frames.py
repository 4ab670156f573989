"""Messages on a stream: four bytes of length, then JSON. Reads and writes with os.read and os.write only."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

LARGEST = 16 << 20


class Broken(Exception):
    """The other side is gone, or says something that is no message."""


def write_frame(descriptor: int, message: Any, largest: int = LARGEST) -> None:
    """Send one message.

    Raises:
        ValueError: it is larger than `largest` bytes.
        Broken: the other side is gone.
    """
    body = json.dumps(message, separators=(",", ":"), check_circular=False).encode()
    if len(body) > largest:
        raise ValueError("too large")
    view = memoryview(struct.pack("=I", len(body)) + body)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise Broken(str(error)) from error


def read_exactly(descriptor: int, size: int) -> bytes:
    """`size` bytes.

    Raises:
        Broken: the stream ends before.
    """
    parts, missing = [], size
    while missing:
        try:
            part = os.read(descriptor, min(missing, 1 << 20))
        except OSError as error:
            raise Broken(str(error)) from error
        if not part:
            raise Broken("the stream ended")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def read_frame(descriptor: int, largest: int = LARGEST) -> Any:
    """The next message.

    Raises:
        Broken: the stream ends, or what comes is no message.
    """
    (size,) = struct.unpack("=I", read_exactly(descriptor, 4))
    if size > largest:
        raise Broken("a message is too large")
    try:
        return json.loads(read_exactly(descriptor, size))
    except (ValueError, RecursionError) as error:
        raise Broken("a message is not JSON") from error
