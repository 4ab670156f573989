"""Merging three adapters into a full model of 0.27 GB: ours against mergekit, in one run.

Each run is a process of its own; CPU-seconds of one thread net of imports, peak memory of the process, and the error of
the update as it is in the written model, against the dense formula in fp32. The floor is a single rounding to bf16.

    python perf/bake.py            three runs of ours, one of mergekit's
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

from _child import child

METHODS = {"task arithmetic": ("linear", "task_arithmetic", {}), "ties": ("ties", "ties", {"density": 0.5})}
RUNS = 3


def ours(recipe: dict, adapters: list[str], base: str, out: Path) -> None:
    """Merge and bake with the library, as `factory merge --to model --out` does."""
    import torch

    from factory.core.progress import silent
    from factory.merging import build, same_answers  # noqa: F401  (imports are not what is measured)
    from factory.merging.contract import load_method

    torch.set_num_threads(1)
    load_method(recipe["merge_method"])
    out.mkdir()
    start = time.process_time()
    inputs = [{"title": path, "folder": path, "key": path} for path in adapters]
    spec = {"recipe": recipe, "inputs": inputs, "rank": "full", "seed": 0, "base": {"path": base}}
    card = build.bake_into(out, spec, silent)
    told(start, reported=card["rounding"]["relative_error"])


def mergekit(recipe: dict, adapters: list[str], base: str, out: Path) -> None:
    """The same with mergekit's own API."""
    import torch
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    torch.set_num_threads(1)
    models = [{"model": f"{base}+{path}", "parameters": {"weight": 1.0}} for path in adapters]
    config = {**recipe, "models": models, "base_model": base, "dtype": "bfloat16"}
    start = time.process_time()
    options = MergeOptions(
        quiet=True, random_seed=0, lora_merge_cache=f"{out}-cache", write_model_card=False, copy_tokenizer=False
    )
    run_merge(MergeConfiguration.model_validate(config), str(out), options)
    told(start)


def told(start: float, **more: float) -> None:
    """Print what a run took."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps({"cpu_seconds": time.process_time() - start, "peak_mib": peak, **more}))


def error(out: Path, base: Path, adapters: list[Path], method: str) -> tuple[float, float]:
    """Relative error of the update in a written model, over all modules, and that of rounding once."""
    import torch
    from safetensors import safe_open

    from factory.store.factors import open_factors

    inputs = [open_factors(path).modules for path in adapters]
    wanted = lost = floor = 0.0
    with safe_open(out / "model.safetensors", "pt") as new, safe_open(base / "model.safetensors", "pt") as old:
        for name in list(inputs[0])[:14]:
            deltas = torch.stack([modules[name].delta() for modules in inputs])
            update = deltas.sum(0) if method == "linear" else dense_ties(deltas)
            before, after = (file.get_tensor(f"{name}.weight").float() for file in (old, new))
            wanted += float(update.double().square().sum())
            lost += float((after - before - update).double().square().sum())
            once = (before + update).bfloat16().float()
            floor += float((once - before - update).double().square().sum())
    return (lost / wanted) ** 0.5, (floor / wanted) ** 0.5


def dense_ties(deltas):
    """TIES at density 0.5, weights 1, normalised: the plain dense formula."""
    import torch

    keep = deltas[0].numel() // 2
    limits = [delta.abs().flatten().kthvalue(delta.numel() - keep + 1).values for delta in deltas]
    kept = torch.stack([d * (d.abs() >= limit) for d, limit in zip(deltas, limits, strict=True)])
    sign = torch.where(kept.sum(0) >= 0, 1.0, -1.0)
    agree = kept * sign > 0
    return (kept * agree).sum(0) / agree.sum(0).clamp(min=1)


def main() -> None:
    """Measure and print."""
    from _base_model import write_adapters, write_base

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        base = write_base(work / "base")
        adapters = write_adapters(work, base)
        size = (base / "model.safetensors").stat().st_size
        print(f"base of {size / 1e9:.2f} GB in bf16, {len(adapters)} adapters of rank 16; one thread, net of imports")
        for title, (own, theirs, parameters) in METHODS.items():
            recipes = [
                {"merge_method": own, "parameters": {**parameters, "normalize": own == "ties"}},
                {"merge_method": theirs, "parameters": {**parameters, "normalize": theirs == "ties"}},
            ]
            results = {}
            for who, recipe, runs in (("ours", recipes[0], RUNS), ("mergekit", recipes[1], 1)):
                found = []
                for run in range(runs):
                    out = work / f"{who}-{own}-{run}"
                    found.append(child(__file__, who, json.dumps(recipe), str(base), str(out), *map(str, adapters)))
                lost, floor = error(out, base, adapters, own)
                seconds, peak = [item["cpu_seconds"] for item in found], max(item["peak_mib"] for item in found)
                results[who] = statistics.median(seconds), peak
                spread = f"{min(seconds):.2f} to {max(seconds):.2f}, n = {runs}"
                print(
                    f"{title}, {who}: {results[who][0]:.2f} CPU-seconds ({spread}), peak {peak:.0f} MiB, "
                    f"error of the update {lost:.4f} (floor {floor:.4f})"
                )
            print(
                f"{title}: {results['mergekit'][0] / results['ours'][0]:.1f} x the speed, "
                f"{results['ours'][1] / results['mergekit'][1]:.2f} of the memory"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args().child
    if given:
        who, recipe, base, out, *adapters = given
        {"ours": ours, "mergekit": mergekit}[who](json.loads(recipe), adapters, base, Path(out))
    else:
        main()
