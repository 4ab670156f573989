"""The only door to mergekit: an adapter baked into its base, a full model.

mergekit's traps, closed here: paths that are not absolute go to the Hub; an adapter's baked copy is cached by its
path, on disk and in the process, so a retrained one at the same path would give the old weights; a `+` or `@` in a path
is read as syntax; a bf16 cache loses up to 40 % of an RL update's entries; a tokenizer that cannot be copied is only
logged.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from factory.core.errors import WorkFailed

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


def bake(base: Path, adapter: Path, out: Path, *, seed: int = 0) -> None:
    """Write base + adapter as one model in fp32, with the base's tokenizer and generation settings.

    Args:
        base: folder of the base model.
        adapter: folder in PEFT's format.
        out: existing folder to fill.
        seed: of methods that draw; none does here, but mergekit would leave the global one unset.

    Raises:
        WorkFailed: mergekit failed, or left no tokenizer though the base has one.
    """
    from mergekit.common import ModelPath, ModelReference
    from mergekit.config import InputModelDefinition, MergeConfiguration
    from mergekit.io.tasks import LoaderCache
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    base, adapter, out = base.resolve(), adapter.resolve(), out.resolve()
    # Built from parts: as a string, 'base+adapter' would be cut at every plus sign.
    reference = ModelReference(model=ModelPath(path=str(base)), lora=ModelPath(path=str(adapter)))
    config = MergeConfiguration(
        merge_method="passthrough",
        models=[InputModelDefinition(model=reference)],
        dtype="float32",
    )
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
            run_merge(config, str(out), options)
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise WorkFailed(f"mergekit could not bake {adapter} into {base}: {error}") from error
        finally:
            LoaderCache.loaders.clear()
    for name in ("generation_config.json", "chat_template.jinja"):
        if (base / name).is_file() and not (out / name).is_file():
            shutil.copy(base / name, out / name)
    lost = [name for name in _TOKENIZER_FILES if (base / name).is_file() and not (out / name).is_file()]
    if lost:
        raise WorkFailed(f"mergekit did not copy the tokenizer ({', '.join(lost)}) from {base}")
