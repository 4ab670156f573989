"""A merge applied to its base: a full model, tensor by tensor, in fp32 and rounded once.

Memory is that of one module's update and a block of rows. What the one rounding costs is measured as it happens: in
bf16 an update of RL's size may be mostly lost, and who bakes one is told.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.core.atomic import clear_os_errors, write_json
from factory.core.errors import StoreError, WorkFailed
from factory.core.progress import Report
from factory.merging.bake_plan import Target, baked_config, numbers_in, parts_tied_weights, size_of, width_of
from factory.merging.tiles import WIDTH
from factory.store.checkpoint import SHARD_BYTES, Checkpoint, plan_shards, side_files, write_index
from factory.store.factors import Factors
from factory.store.tensors import DTYPES, TensorReader, TensorWriter, as_bytes

if TYPE_CHECKING:
    import torch

UpdateOf = Callable[[str], "Factors | torch.Tensor"]

WARN_ABOVE = 0.1
_BLOCK = 2**18
# The loss is measured on every fourth block, the first one always: a hundred thousand numbers and more of each module.
_MEASURED = 4


@dataclass(slots=True)
class Baked:
    """What baking did.

    Attributes:
        lost: ||W' - (W + D)||_F^2 of each module, with W' as it is on disk.
        dtypes: of the changed tensors, as written.
        untied: whether input embedding and output head had to become two tensors.
    """

    lost: dict[str, float] = field(default_factory=dict)
    dtypes: set[str] = field(default_factory=set)
    untied: bool = False

    def to_json(self, energies: Mapping[str, float]) -> dict[str, Any]:
        """Relative error of the baked update, all modules together and each, and a warning where it is large.

        Args:
            energies: ||D||_F^2 of each module.
        """
        total = _relative(sum(self.lost.values()), sum(energies.values()))
        kinds = ", ".join(sorted(DTYPES[code] for code in self.dtypes))
        told: dict[str, Any] = {
            "dtype": kinds,
            "relative_error": total,
            "untied": self.untied,
            "per_module": {name: _relative(lost, energies[name]) for name, lost in self.lost.items()},
        }
        if total > WARN_ABOVE:
            told["warning"] = (
                f"rounding to {kinds} loses {total:.0%} of the merged update (relative error): it is small beside the "
                "base's weights; give the recipe 'out_dtype: float32', or use the adapter instead of a full model"
            )
        return told


def _relative(lost: float, wanted: float) -> float:
    return (lost / wanted) ** 0.5 if wanted else 0.0


def bake(
    base: Checkpoint,
    plan: Mapping[str, Target],
    update_of: UpdateOf,
    out: Path,
    *,
    flip: bool = False,
    shard_bytes: int = SHARD_BYTES,
    report: Report,
) -> Baked:
    """Write base + update as safetensors, an index where there are several files, the configuration and what else
    belongs to the model; then read all of it back.

    Args:
        plan: as `plan_targets` gave it.
        update_of: a module's merged update, in factors or dense.
        out: existing folder to fill.

    Raises:
        StoreError: the disk is full; found before anything is written where the system tells.
        WorkFailed: what is on disk is not what was written.
    """
    sizes = {name: size_of(base.tensors[target.source][1], target.dtype) for name, target in plan.items()}
    _check_room(out, sum(sizes.values()))
    shards = plan_shards(sizes, {name: width_of(target.dtype) for name, target in plan.items()}, shard_bytes)
    baked, done = Baked(untied=parts_tied_weights(plan)), 0
    for shard in shards:
        writer = TensorWriter(out / shard.file, shard.tensors)
        try:
            for name in shard.tensors:
                report(f"baking {name}", done / len(plan))
                done += 1
                _write(base, name, plan[name], update_of, writer, baked, flip)
            writer.finish()
        finally:
            writer.close()
        with TensorReader(out / shard.file) as file:
            places = [file.entries[name].stop - file.entries[name].start for name in shard.tensors]
        if places != [sizes[name] for name in shard.tensors]:
            raise WorkFailed(f"{out / shard.file}: on disk is not what was written")
    write_index(out, shards, sum(sizes.values()))
    write_json(out / "config.json", baked_config(base, plan))
    for path in side_files(base.folder):
        with clear_os_errors(out):
            shutil.copy(path, out / path.name)
    return baked


def _write(
    base: Checkpoint, name: str, target: Target, update_of: UpdateOf, writer: TensorWriter, baked: Baked, flip: bool
) -> None:
    """One tensor, in blocks of rows."""
    import torch

    reader, entry = base.tensors[target.source]
    writer.begin(name, target.dtype, entry.shape)
    if target.module is None and target.dtype == entry.dtype:
        writer.copy(reader, target.source)
        return
    kind, own = getattr(torch, DTYPES[target.dtype]), getattr(torch, DTYPES[entry.dtype])
    update = update_of(target.module) if target.module is not None else None
    if isinstance(update, Factors) and flip:
        update = Factors(update.lora_B.T.contiguous(), update.lora_A.T.contiguous())
    elif isinstance(update, torch.Tensor) and flip:
        update = update.T
    height, width = (entry.shape[0], math.prod(entry.shape[1:])) if update is not None else (1, numbers_in(entry))
    most = max(1, min(height, _BLOCK // width)) if update is not None else 1
    block, stored = torch.empty(most, width, dtype=own), torch.empty(most, width, dtype=kind)
    precise = torch.float64 if torch.float64 in (own, kind) else torch.float32
    scratch = torch.empty(2, most, min(width, WIDTH), dtype=precise)
    lost, offset, seen, numbers = 0.0, 0, 0, 0
    for top in range(0, height, most):
        rows = slice(top, min(top + most, height))
        count = rows.stop - top
        part = block[:count]
        reader.read_into(target.source, as_bytes(part), offset)
        offset += part.nbytes
        if update is None:
            stored[:count] = part
        else:
            measured = seen % _MEASURED == 0
            lost += _add(part, update, rows, stored[:count], scratch, measure=measured)
            numbers += part.numel() if measured else 0
            seen += 1
        writer.append(as_bytes(stored[:count]))
    if target.module is not None:
        baked.lost[target.module] = lost * numbers_in(entry) / numbers
        baked.dtypes.add(target.dtype)


def _add(
    block: torch.Tensor,
    update: Factors | torch.Tensor,
    rows: slice,
    stored: torch.Tensor,
    scratch: torch.Tensor,
    *,
    measure: bool,
) -> float:
    """Rows of the base plus those of the update into `stored`, rounded once; gives ||W' - (W + D)||^2, what that lost,
    if it is to be measured.

    Args:
        block: rows of the base, (rows, d_in).
        scratch: (2, rows or more, columns of a tile), in the precision of the arithmetic.
    """
    import torch

    lost = 0.0
    for left in range(0, block.shape[1], WIDTH):
        columns = slice(left, min(left + WIDTH, block.shape[1]))
        total, other = (half.flatten()[: len(block) * (columns.stop - left)].view(len(block), -1) for half in scratch)
        total.copy_(block[:, columns])
        if isinstance(update, Factors):
            lora_B, lora_A = update.lora_B[rows].to(total.dtype), update.lora_A[:, columns].to(total.dtype)
            torch.addmm(total, lora_B, lora_A, out=total)
        else:
            total.add_(update[rows, columns])
        stored[:, columns] = total
        if not measure:
            continue
        if stored.dtype != total.dtype:
            # The sum's own rounding is 2^-15 of the one to 16 bits.
            lost += _energy(total.sub_(other.copy_(stored[:, columns])))
            continue
        total.sub_(other.copy_(block[:, columns]))
        total.sub_(lora_B @ lora_A if isinstance(update, Factors) else update[rows, columns])
        lost += _energy(total)
    return lost


def _energy(tile: torch.Tensor) -> float:
    import torch

    return float(torch.linalg.vector_norm(tile)) ** 2


def _check_room(out: Path, needed: int) -> None:
    free = shutil.disk_usage(out).free
    if free < needed:
        raise StoreError(
            f"cannot write {out}: the model takes {needed / 2**30:.2f} GiB and {free / 2**30:.2f} GiB are free; "
            "free some space and run the same command again"
        )
