"""Content hashes and the seeds derived from them.

Seeds come from hashing all the parts that identify a draw. `Random(seed + index)` would make neighbouring seeds share
rows; a hash of the parts does not.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

KEY_LENGTH = 16


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values, equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(*parts: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of the parts."""
    return hashlib.sha256(canonical(list(parts)).encode()).hexdigest()


def key_of(*parts: Any) -> str:
    """A short content key, the first 16 hex digits of `digest`: the name of a finished thing."""
    return digest(*parts)[:KEY_LENGTH]


def seed_from(*parts: Any) -> int:
    """A seed in [0, 2**31), the same in every process and on every platform."""
    return int(digest("seed", *parts)[:12], 16) % 2**31


def unit_from(*parts: Any) -> float:
    """A number in [0, 1) that depends only on the parts; used to split rows by content."""
    return int(digest("unit", *parts)[:13], 16) / 16**13


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
