"""Safetensors files, read and written tensor by tensor: memory is that of one tensor, never of the file.

The library's own reader maps the file, and every page it has touched stays counted in the process's memory; its writer
wants all tensors at once.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from factory.core.atomic import clear_os_errors
from factory.core.errors import CorruptFile

if TYPE_CHECKING:
    import torch

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
_CODES = {name: code for code, name in DTYPES.items()}
_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one tensor is in a file.

    Attributes:
        dtype: safetensors' code (`BF16`).
        shape: of the tensor.
        start, stop: its bytes, from the file's beginning.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def floating(self) -> bool:
        """Whether it holds numbers that arithmetic in fp32 makes sense on."""
        return self.dtype in ("F64", "F32", "F16", "BF16")


def as_bytes(tensor: torch.Tensor) -> memoryview:
    """A contiguous tensor's memory as bytes; nothing is copied."""
    import torch

    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


def all_finite(tensor: torch.Tensor) -> bool:
    """Whether there is no NaN and no Inf.

    One pass and no mask: a sum over NaN or Inf is neither finite. Only where it is not is the tensor looked at closely,
    since a sum of finite numbers may overflow too.
    """
    import torch

    return math.isfinite(float(tensor.sum())) or bool(torch.isfinite(tensor).all())


def checksum(content: memoryview, before: int = 0) -> int:
    """CRC-32, going on from that of what came before: what was written against what is read back, no more."""
    return zlib.crc32(content, before)


class TensorReader:
    """A safetensors file, open for reading.

    Attributes:
        entries: by name, in the order of their bytes.
        metadata: the header's own texts.

    Raises:
        CorruptFile: not a whole safetensors file.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self.path, self._descriptor = path, -1
        try:
            with safe_open(path, framework="pt"):  # checks sizes, offsets and dtypes; reads the header only
                pass
        except SafetensorError as error:
            raise CorruptFile(f"{path}: not a whole safetensors file ({error}); copy or train it again") from error
        self._descriptor = os.open(path, os.O_RDONLY)
        length = int.from_bytes(os.pread(self._descriptor, 8, 0), "little")
        header: dict[str, Any] = json.loads(os.pread(self._descriptor, length, 8))
        self.metadata: Mapping[str, str] = header.pop("__metadata__", None) or {}
        entries = {
            name: Entry(item["dtype"], tuple(item["shape"]), *(8 + length + at for at in item["data_offsets"]))
            for name, item in header.items()
        }
        self.entries = dict(sorted(entries.items(), key=lambda item: item[1].start))

    def read(self, name: str) -> torch.Tensor:
        """One tensor, in memory of its own.

        Raises:
            CorruptFile: the file has become shorter, or holds a dtype that torch has not.
        """
        import torch

        entry = self.entries[name]
        if entry.dtype not in DTYPES:
            raise CorruptFile(f"{self.path}: tensor '{name}' is {entry.dtype}, which cannot be read here")
        tensor = torch.empty(entry.shape, dtype=getattr(torch, DTYPES[entry.dtype]))
        self.read_into(name, as_bytes(tensor))
        return tensor

    def read_into(self, name: str, buffer: memoryview, offset: int = 0) -> None:
        """Bytes of one tensor from `offset` on, as many as the buffer holds.

        Raises:
            CorruptFile: the file has become shorter.
        """
        place = self.entries[name].start + offset
        while len(buffer):
            count = os.preadv(self._descriptor, [buffer], place)
            if count == 0:
                raise CorruptFile(f"{self.path}: ends inside tensor '{name}'; copy it again")
            buffer, place = buffer[count:], place + count

    def fileno(self) -> int:
        """The open file's descriptor."""
        return self._descriptor

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> TensorReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class TensorWriter:
    """A safetensors file, written tensor by tensor.

    The header comes first in the file and is known last: its place is kept free and filled up with spaces, which the
    format allows.

    Args:
        path: a new file.
        names: of all tensors to come; decides how much place the header gets.

    Raises:
        StoreError: the disk is full.
    """

    def __init__(self, path: Path, names: Mapping[str, Any] | list[str]) -> None:
        self.path = path
        room = 200 + sum(len(json.dumps(name)) + 160 for name in names)
        self._room = math.ceil(room / _ALIGNMENT) * _ALIGNMENT
        self._header: dict[str, Any] = {}
        self._place = 0
        with clear_os_errors(path):
            self._file = path.open("wb", buffering=0)
            self._file.seek(8 + self._room)

    def write(self, name: str, tensor: torch.Tensor) -> None:
        """Append one tensor."""
        plain = tensor.detach().contiguous()
        self.begin(name, _CODES[str(plain.dtype).removeprefix("torch.")], tuple(plain.shape))
        self.append(as_bytes(plain))

    def begin(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        """Start a tensor whose bytes follow by `append`."""
        self._header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [self._place, self._place]}
        self._last = name

    def append(self, content: memoryview) -> None:
        """More bytes of the tensor that was begun last."""
        with clear_os_errors(self.path):
            while len(content):
                count = self._file.write(content)
                content, self._place = content[count:], self._place + count
        self._header[self._last]["data_offsets"][1] = self._place

    def copy(self, reader: TensorReader, name: str) -> None:
        """All bytes of another file's tensor for the tensor that was begun last; the kernel copies where it can."""
        entry = reader.entries[name]
        place, left = entry.start, entry.stop - entry.start
        with clear_os_errors(self.path):
            while left:
                count = os.sendfile(self._file.fileno(), reader.fileno(), place, left)
                if count == 0:
                    raise CorruptFile(f"{reader.path}: ends inside tensor '{name}'; copy it again")
                place, left, self._place = place + count, left - count, self._place + count
        self._header[self._last]["data_offsets"][1] = self._place

    def finish(self) -> None:
        """Write the header and close."""
        text = json.dumps({"__metadata__": {"format": "pt"}, **self._header}, separators=(",", ":")).encode()
        if len(text) > self._room:
            raise ValueError(f"{self.path}: the header needs {len(text)} bytes, {self._room} were kept for it")
        with clear_os_errors(self.path):
            self._file.seek(0)
            self._file.write(self._room.to_bytes(8, "little") + text.ljust(self._room))
            self._file.close()

    def close(self) -> None:
        """Give up: the file stays without a header and is nothing that can be read."""
        self._file.close()
