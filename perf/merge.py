"""Merging adapters at the shapes of Qwen2.5-7B: ours against PEFT and against what the machine could do at best.

The whole linear merge of three rank-16 adapters to rank 16 runs as users run it, `factory merge` in a process of its
own, disk to disk. PEFT would take hours for it, so both are also measured module by module: linear against its `svd`,
TIES against its `ties_svd`. CPU-seconds of one thread; minimum, median and maximum where ours ran several times, PEFT
once a module. mergekit has no adapter to compare: it writes full models, see `perf/bake.py`.

    python perf/merge.py           minutes, most of them PEFT's
    python perf/merge.py --quick   the smallest modules only, four layers
"""

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from _child import child

RUNS = 5
PARAMETERS = {"ties": {"density": 0.5, "normalize": True}, "linear": {"normalize": False}}
PEFT = {"linear": {"combination_type": "svd"}, "ties": {"combination_type": "ties_svd", "density": 0.5}}


def spread(values: list[float]) -> str:
    """Minimum, median and maximum, and how many."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{low:.4g} / {middle:.4g} / {high:.4g} (min / median / max of {len(values)})"


def whole_model(layers: int) -> None:
    """`factory merge` of three adapters, disk to disk, and the floor."""
    import torch
    from _adapters import SHAPES, write_adapters

    with tempfile.TemporaryDirectory() as folder:
        adapters = write_adapters(Path(folder), layers)
        seconds, peaks = [], []
        for run in range(RUNS):
            command = [sys.executable, "-m", "factory", "merge", "--recipe", "linear", *map(str, adapters)]
            command += ["--rank", "16", "--out", f"{folder}/out{run}", "--store", f"{folder}/store"]
            used, peak = measured(command)
            seconds.append(used)
            peaks.append(peak)
        idle, _ = measured([sys.executable, "-c", "import torch"])
        moved = 4 * (adapters[0] / "adapter_model.safetensors").stat().st_size
        start = time.process_time()
        for path in adapters:
            (path / "adapter_model.safetensors").read_bytes()
        reading = (time.process_time() - start) * 4 / 3
    square = torch.randn(2048, 2048)
    start = time.process_time()
    square @ square
    rate = 2 * 2048**3 / (time.process_time() - start)
    flops = layers * sum(2 * 48 * 48 + 2 * 48 * 16 for shape in SHAPES.values() for _ in range(sum(shape)))
    print(f"linear, {layers} layers, disk to disk: {spread(seconds)} CPU-seconds, of which importing torch {idle:.2f}")
    print(f"  peak memory {max(peaks):.0f} MiB, torch included; {moved / 2**20:.0f} MiB read and written")
    print(
        f"  floor: {reading:.2f} s to move the bytes + {flops / rate:.2f} s of arithmetic at {rate / 1e9:.0f} GFLOP/s"
    )


def measured(command: list[str]) -> tuple[float, float]:
    """CPU-seconds of a process and its peak memory in MiB."""
    pid = os.posix_spawnp(command[0], command, {**os.environ, "OMP_NUM_THREADS": "1"}, file_actions=quiet())
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10


def quiet() -> list[tuple[int, int, str, int, int]]:
    """Standard output and error to nowhere."""
    return [(os.POSIX_SPAWN_OPEN, place, os.devnull, os.O_WRONLY, 0) for place in (1, 2)]


def one_module(who: str, method: str, name: str) -> dict[str, float]:
    """One module's merge in this process: seconds, memory above the inputs, the result's error, the optimum's."""
    import torch
    from _adapters import SHAPES, factors

    torch.set_num_threads(1)
    inputs = [factors(SHAPES[name], torch.Generator().manual_seed(seed)) for seed in range(3)]
    work = {"ours": with_ours, "peft": with_peft}[who](method, inputs)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times, result = [], None
    for _ in range(RUNS if who == "ours" else 1):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    above = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    told = {"seconds": times, "above_mib": above}
    if who == "ours":
        told |= {"error": (result.lost / result.energy) ** 0.5, "optimum": optimum(method, inputs)}
    return told


def with_ours(method: str, inputs: list):
    """Our merge of one module to rank 16."""
    import torch

    from factory.merging.contract import Settings, load_method
    from factory.merging.spaces import fit_dense, fit_factors

    settings = Settings({"lambda": 1.0, **PARAMETERS[method]}, {"weight": [1.0] * 3, "density": [0.5] * 3}, [0, 1, 2])
    merge = load_method(method).merge

    def work():
        merged = merge(inputs, settings)
        if isinstance(merged, torch.Tensor):
            return fit_dense(merged, 16, torch.cat([item.lora_A for item in inputs]), 0)
        return fit_factors(merged, 16)

    return work


def with_peft(method: str, inputs: list):
    """PEFT's merge of one module to rank 16, on a linear layer without data of its own."""
    import torch
    from peft import LoraConfig, get_peft_model
    from torch import nn

    d_out, d_in = inputs[0].shape
    rank = inputs[0].rank
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=["0"])
    wrapped = get_peft_model(nn.Sequential(nn.Linear(d_in, d_out, bias=False)), config, adapter_name="a0")
    for number in (1, 2):
        wrapped.add_adapter(f"a{number}", config)
    layer = wrapped.base_model.model[0]
    with torch.no_grad():
        for number, item in enumerate(inputs):
            layer.lora_A[f"a{number}"].weight.copy_(item.lora_A)
            layer.lora_B[f"a{number}"].weight.copy_(item.lora_B)
    names = ["a0", "a1", "a2"]
    return lambda: wrapped.add_weighted_adapter(names, [1.0] * 3, "merged", svd_rank=16, **PEFT[method])


def optimum(method: str, inputs: list) -> float:
    """Smallest relative error of any rank-16 result, from the Gram matrix of the smaller side in fp64."""
    import torch

    from factory.merging.contract import Settings, load_method

    settings = Settings({"lambda": 1.0, **PARAMETERS[method]}, {"weight": [1.0] * 3, "density": [0.5] * 3}, [0, 1, 2])
    merged = load_method(method).merge(inputs, settings)
    dense = merged if isinstance(merged, torch.Tensor) else merged.delta()
    dense = dense.T if dense.shape[0] < dense.shape[1] else dense
    total = torch.zeros(dense.shape[1], dense.shape[1], dtype=torch.float64)
    for rows in dense.split(1024):
        total.addmm_(rows.T.double(), rows.double())
    values = torch.linalg.eigvalsh(total)
    return float((values[:-16].sum() / values.sum()).clamp(min=0).sqrt())


def main(quick: bool) -> None:
    """Measure and print."""
    whole_model(4 if quick else 28)
    modules = ["self_attn.k_proj"] if quick else ["self_attn.q_proj", "mlp.gate_proj", "mlp.down_proj"]
    for method in ("linear", "ties"):
        for name in modules:
            ours, peft = child(__file__, "ours", method, name), child(__file__, "peft", method, name)
            ratio = peft["seconds"][0] / statistics.median(ours["seconds"])
            print(
                f"{method} to rank 16, {name}: {ratio:.0f} x\n"
                f"  ours {spread(ours['seconds'])} CPU-seconds, {ours['above_mib']:.0f} MiB above the inputs\n"
                f"  PEFT {peft['seconds'][0]:.1f} CPU-seconds (one run), {peft['above_mib']:.0f} MiB above the inputs\n"
                f"  relative error {ours['error']:.5f}, the optimum's {ours['optimum']:.5f}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(one_module(*options.child)))
    else:
        main(options.quick)
