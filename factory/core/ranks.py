"""What rank a merged adapter is to have: one for all modules, or one for those whose name holds a text.

A rank is a positive number, `full` (nothing is lost), `auto` (99 % of each module's energy) or `auto:0.95` (that
share). `q_proj=8,mlp=auto,16` gives some modules their own; the first that fits counts.
"""

from __future__ import annotations

from factory.core.errors import BadInput

AUTO_ENERGY = 0.99
Rank = int | str
# What vLLM takes for --max-lora-rank.
BUCKETS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def parse_ranks(text: str | int, where: str = "--rank") -> Rank:
    """A rank as it was written, checked; gives a number or the text.

    Raises:
        BadInput: none of the forms.
    """
    parts = str(text).replace(" ", "").split(",")
    for place, part in enumerate(parts):
        name, sign, rank = part.rpartition("=")
        if bool(sign) != (place < len(parts) - 1) or (sign and not name):
            raise BadInput(f"{where} '{text}': expected a rank, or NAME=RANK,...,RANK with a rank for all others last")
        _check(rank, text, where)
    return int(parts[0]) if len(parts) == 1 and parts[0].isdecimal() else ",".join(parts)


def rank_of(ranks: Rank, module: str) -> Rank:
    """The rank for one module: a number, `full`, `auto` or `auto:SHARE`."""
    if isinstance(ranks, int):
        return ranks
    for part in ranks.split(","):
        name, _, rank = part.rpartition("=")
        if name in module:
            return int(rank) if rank.isdecimal() else rank
    raise ValueError(f"{ranks!r} has no rank for all others; it did not come from parse_ranks")


def energy_of(rank: Rank) -> float | None:
    """The share of the energy that `auto` or `auto:SHARE` keeps; None for the others."""
    if isinstance(rank, int) or not rank.startswith("auto"):
        return None
    return float(rank.partition(":")[2] or AUTO_ENERGY)


def bucket_note(rank: int) -> str | None:
    """What to know about serving an adapter of this rank with vLLM; None where its rank is one of vLLM's."""
    if rank in BUCKETS:
        return None
    fitting = next((bucket for bucket in BUCKETS if bucket >= rank), None)
    if fitting is None:
        return f"rank {rank} is above what vLLM serves ({BUCKETS[-1]}); merge with --rank {BUCKETS[-1]} or less"
    return f"rank {rank} is none of vLLM's; serve it with --max-lora-rank {fitting}"


def _check(rank: str, text: str | int, where: str) -> None:
    if rank in ("full", "auto") or (rank.isdecimal() and int(rank) >= 1):
        return
    kind, _, share = rank.partition(":")
    if kind == "auto":
        try:
            if 0 < float(share) < 1:
                return
        except ValueError:
            pass
        raise BadInput(f"{where} '{text}': auto:SHARE needs a share of the energy above 0 and below 1, as auto:0.95")
    raise BadInput(f"{where} '{text}': expected a positive number, auto, auto:SHARE or full")
