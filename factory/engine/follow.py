"""The metrics file of a training that is going on in another process, read as it grows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Follow:
    """A growing file of JSON lines.

    Attributes:
        lines: all that are whole, so far.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = self._offset = 0
        self.lines: list[dict[str, Any]] = []

    def read(self) -> bool:
        """Take in what was added; gives whether there was anything.

        A file that was written anew, as a resumed training does, is read from its start.
        """
        try:
            with self._path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:
                    self._inode, self._offset, self.lines = inode, 0, []
                file.seek(self._offset)
                added = file.read()
        except FileNotFoundError:
            return False
        whole = added[: added.rfind(b"\n") + 1]
        self._offset += len(whole)
        self.lines += [json.loads(line) for line in whole.splitlines() if line.strip()]
        return bool(whole)
