"""What identifies a stored thing, and how people write it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from factory.core.errors import BadInput
from factory.core.lora import Quantization

KINDS = ("base", "adapter", "merge", "model", "cell", "search", "gate")
VARIANT = re.compile(
    r"^(?:(?P<base>[^:]+)/)?(?:(?P<kind>base|adapter|merge|model):)?(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)"
    r"(?:@(?P<step>\d+))?(?:#(?P<seed>\d+))?$"
)
LOADED = re.compile(r"^(?P<variant>.+) \[(?P<quantization>full|nf4|int8)\]$")
FOLDER = re.compile(r"^(?P<name>.+)-s(?P<seed>\d+)-(?P<key>[0-9a-f]{8,})$")


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """One stored thing.

    Attributes:
        base: label of the base it belongs to (`embedded-s0`, `Qwen--Qwen2.5-1.5B`).
        kind: one of `KINDS`.
        name: what people call it (`math`, `ties`, `merge.linear@tiny_math`).
        seed: the study seed it was made at.
        key: hash of everything that went into it; two things with one key are the same thing.
    """

    base: str
    kind: str
    name: str
    seed: int
    key: str

    @property
    def folder(self) -> Path:
        """Its place below the store's root."""
        return Path(self.base, f"{self.kind}s", f"{self.name}-s{self.seed}-{self.key}")

    @classmethod
    def of_folder(cls, folder: Path) -> Ref | None:
        """What a store folder holds, by its name alone; None if it is not one of the store's."""
        match = FOLDER.match(folder.name)
        kind = folder.parent.name.removesuffix("s")
        if match is None or kind not in KINDS:
            return None
        return cls(folder.parent.parent.name, kind, match["name"], int(match["seed"]), match["key"])

    @property
    def title(self) -> str:
        """How it is shown: `embedded-s0/adapter:math#0`."""
        return f"{self.base}/{self.kind}:{self.name}#{self.seed}"

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class VariantName:
    """A variant as a person writes it; None where it was left out.

    `base`, `adapter:math`, `merge:ties#1`, `math`, `tiny/adapter:math`, `adapter:math@30` (a checkpoint).
    """

    kind: str | None
    name: str
    base: str | None = None
    seed: int | None = None
    step: int | None = None

    @classmethod
    def parse(cls, text: str) -> VariantName:
        """Read a variant's name.

        Raises:
            BadInput: it does not have the shape of one.
        """
        if text == "base" or text.endswith("/base"):
            return cls("base", "base", base=text.removesuffix("base").rstrip("/") or None)
        match = VARIANT.fullmatch(text)  # `$` alone would let a line end through
        if match is None:
            raise BadInput(f"'{text}' is not a variant; expected base, adapter:NAME, merge:NAME or NAME#SEED")
        part = match.groupdict()
        seed, step = part["seed"], part["step"]
        return cls(part["kind"], part["name"], part["base"], int(seed) if seed else None, int(step) if step else None)


def on_loading(title: str, quantization: Quantization) -> str:
    """The title of a variant that is scored on its base loaded otherwise than the rest: `adapter:math [full]`."""
    return f"{title} [{quantization}]"


def loading_of(title: str) -> tuple[str, Quantization | None]:
    """A title without how its base is loaded, and that; None where it is loaded as the rest is."""
    match = LOADED.match(title)
    if match is None:
        return title, None
    return match["variant"], cast("Quantization", match["quantization"])
