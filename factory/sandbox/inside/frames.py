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


def read_frame(descriptor: int, largest: int = LARGEST) -> Any:
    """The next message. The two sides take turns, so that nothing may follow it yet.

    Raises:
        Broken: the stream ends, or what comes is not one message.
    """
    data = _read(descriptor, 1 << 16)
    while len(data) < 4:
        data += _read(descriptor, 4 - len(data))
    (size,) = struct.unpack_from("=I", data)
    if size > largest:
        raise Broken("a message is too large")
    missing = size + 4 - len(data)
    if missing < 0:
        raise Broken("more than one message came")
    if missing:
        parts = [data]
        while missing:
            parts.append(_read(descriptor, min(missing, 1 << 20)))
            missing -= len(parts[-1])
        data = b"".join(parts)
    try:
        return json.loads(data[4:])
    except (ValueError, RecursionError) as error:
        raise Broken("a message is not JSON") from error


def _read(descriptor: int, most: int) -> bytes:
    try:
        part = os.read(descriptor, most)
    except OSError as error:
        raise Broken(str(error)) from error
    if not part:
        raise Broken("the stream ended")
    return part
