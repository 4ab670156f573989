"""Messages on a stream: the length in eight hexadecimal digits, then JSON. Only os.read and os.write are used.

Digits, so that what code writes to a descriptor it found is seen to be no message at once, not waited for.
"""

from __future__ import annotations

import json
import os
from typing import Any

LARGEST = 16 << 20
HEADER = 8

# Made once, before anything is forked: json.dumps with options builds an encoder per call, json.loads takes four more
# functions, and every function that a new process runs costs it pages of its own.
_chunks: Any = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, json.JSONEncoder().default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True
)
_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class Broken(Exception):
    """The other side is gone, or says something that is no message."""


def write_frame(descriptor: int, message: Any, largest: int = LARGEST) -> None:
    """Send one message.

    Raises:
        ValueError: it is larger than `largest` bytes.
        Broken: the other side is gone.
    """
    body = "".join(_chunks(message, 0)).encode()
    if len(body) > largest:
        raise ValueError("too large")
    data = b"%08x%b" % (len(body), body)
    try:
        sent = os.write(descriptor, data)
        while sent < len(data):
            sent += os.write(descriptor, memoryview(data)[sent:])
    except OSError as error:
        raise Broken(str(error)) from error


def read_frame(descriptor: int, largest: int = LARGEST) -> Any:
    """The next message. The two sides take turns, so that nothing may follow it yet.

    Raises:
        Broken: the stream ends, or what comes is not one message.
    """
    data = _read(descriptor, 1 << 16)
    while len(data) < HEADER:
        data += _read(descriptor, HEADER - len(data))
    try:
        size = int(data[:HEADER], 16)
    except ValueError as error:
        raise Broken("not a message") from error
    if size > largest:
        raise Broken("a message is too large")
    missing = size + HEADER - len(data)
    if missing < 0:
        raise Broken("more than one message came")
    if missing:
        parts = [data]
        while missing:
            parts.append(_read(descriptor, min(missing, 1 << 20)))
            missing -= len(parts[-1])
        data = b"".join(parts)
    try:
        value, end = _scan(data[HEADER:].decode(), 0)
    except (ValueError, RecursionError, StopIteration) as error:
        raise Broken("a message is not JSON") from error
    if end + HEADER != len(data):  # escapes keep every message ASCII
        raise Broken("a message is not JSON alone")
    return value


def _read(descriptor: int, most: int) -> bytes:
    try:
        part = os.read(descriptor, most)
    except OSError as error:
        raise Broken(str(error)) from error
    if not part:
        raise Broken("the stream ended")
    return part
