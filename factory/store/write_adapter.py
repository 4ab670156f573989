"""LoRA factors into a folder in PEFT's format, scale 1 everywhere, module by module or all at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from factory.core.atomic import clear_os_errors, write_json
from factory.store.factors import WEIGHTS, AdapterFactors, Factors
from factory.store.lora_names import PREFIX
from factory.store.peft_config import CONFIG, plain_config
from factory.store.tensors import TensorWriter, as_bytes, checksum


class AdapterWriter:
    """An adapter in PEFT's format, written module by module, scale 1.

    Args:
        folder: made if needed; meant to be one that is still being built (`Store.build`, `publish_folder`).
        modules: names of all modules to come.
        embeddings: those of them that are embeddings; their update is (vocabulary, width).
        dtype: of the tensors on disk; rounding to bfloat16 costs about 2.4e-3 relative, to float16 3e-4.

    Attributes:
        checksums: of the bytes of each tensor written so far.
    """

    def __init__(
        self, folder: Path, modules: Sequence[str], dtype: str = "float32", embeddings: Collection[str] = ()
    ) -> None:
        import torch

        self.folder, self._dtype = folder, getattr(torch, dtype)
        self._embeddings = embeddings
        self._ranks: dict[str, int] = {}
        self.checksums: dict[str, int] = {}
        with clear_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._file = TensorWriter(folder / WEIGHTS, [self._tensor(name, side) for name in modules for side in "AB"])

    def write(self, module: str, factors: Factors) -> None:
        """Append one module; its rank is at least 1."""
        self._ranks[module] = factors.rank
        A, B = factors.lora_A, factors.lora_B
        if module in self._embeddings:
            A, B = B.T, A.T
        for side, tensor in (("A", A), ("B", B)):
            name, stored = self._tensor(module, side), tensor.to(self._dtype).contiguous()
            self._file.write(name, stored)
            self.checksums[name] = checksum(as_bytes(stored))

    def finish(self, like: AdapterFactors) -> None:
        """Write the header and the configuration; base, revision and the rest are those of `like`.

        Raises:
            ValueError: no module, or a module of rank 0.
        """
        self._file.finish()
        if not self._ranks or min(self._ranks.values()) < 1:
            raise ValueError(f"an adapter needs modules of rank 1 or more, got ranks {self._ranks}")
        config = plain_config(
            self._ranks,
            base=like.base,
            revision=like.revision,
            task_type=like.task_type,
            fan_in_fan_out=like.fan_in_fan_out,
        )
        write_json(self.folder / CONFIG, config)

    def _tensor(self, module: str, side: str) -> str:
        if module in self._embeddings:
            return f"{PREFIX}{module}.lora_embedding_{side}"
        return f"{PREFIX}{module}.lora_{side}.weight"


def write_adapter(folder: Path, adapter: AdapterFactors, *, dtype: str = "float32") -> None:
    """Write a whole adapter, so that `PeftModel.from_pretrained` applies exactly its factors; ranks may differ.

    Raises:
        ValueError: no module, or a module of rank 0.
    """
    writer = AdapterWriter(folder, list(adapter.modules), dtype, adapter.embeddings)
    for name, factors in adapter.modules.items():
        writer.write(name, factors)
    writer.finish(adapter)
