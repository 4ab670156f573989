"""The only door to mergekit: full models by its own code, for the methods that only it has and to compare with.

mergekit's traps, closed here: paths that are not absolute go to the Hub; an adapter's baked copy is cached by its
path, on disk and in the process, so a retrained one at the same path would give the old weights; a partial cache fails
for ever; a `+` or `@` in a path is read as syntax; a bf16 cache loses up to 40 % of an RL update's entries; NaN is
written; a tokenizer that cannot be copied is only logged.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.core.errors import WorkFailed
from factory.store.tensors import TensorReader, all_finite

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


def run(config: Mapping[str, Any], base: Path, out: Path, *, out_dtype: str | None = None, seed: int = 0) -> None:
    """Run a mergekit configuration in fp32, with the base's tokenizer and generation settings.

    Args:
        config: as `mergekit_config` gives it, with absolute paths in parts.
        base: folder of the base model.
        out: existing folder to fill.
        out_dtype: of the model's tensors; left out, float32.
        seed: of methods that draw; mergekit would leave the global one unset.

    Raises:
        WorkFailed: mergekit failed, wrote NaN or Inf, or left no tokenizer though the base has one.
    """
    from mergekit.config import MergeConfiguration
    from mergekit.io.tasks import LoaderCache
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    base, out = base.resolve(), out.resolve()
    method = config["merge_method"]
    with tempfile.TemporaryDirectory(prefix=".partial-mergekit-", dir=out.parent) as cache:
        options = MergeOptions(
            quiet=True,
            random_seed=seed,
            lora_merge_cache=cache,
            lora_merge_dtype="float32",
            write_model_card=False,
            copy_tokenizer=any((base / name).is_file() for name in _TOKENIZER_FILES),  # else it invents one
        )
        LoaderCache.loaders.clear()
        try:
            run_merge(MergeConfiguration.model_validate({**config, "out_dtype": out_dtype}), str(out), options)
        except (RuntimeError, ValueError, TypeError, OSError, KeyError) as error:
            raise WorkFailed(f"mergekit failed at {method}: {' '.join(str(error).split())}") from error
        finally:
            LoaderCache.loaders.clear()
    for name in ("generation_config.json", "chat_template.jinja"):
        if (base / name).is_file() and not (out / name).is_file():
            shutil.copy(base / name, out / name)
    lost = [name for name in _TOKENIZER_FILES if (base / name).is_file() and not (out / name).is_file()]
    if lost:
        raise WorkFailed(f"mergekit did not copy the tokenizer ({', '.join(lost)}) from {base}")
    for path in sorted(out.glob("*.safetensors")):
        with TensorReader(path) as file:
            for name, entry in file.entries.items():
                if entry.floating and not all_finite(file.read(name)):
                    raise WorkFailed(f"mergekit's {method} wrote NaN or Inf into tensor '{name}'")
