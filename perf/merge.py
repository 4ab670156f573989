"""A linear merge of three rank-16 adapters to rank 16: ours against PEFT's `add_weighted_adapter` (svd), in one run.

Both merge the same random factors of one (2048, 2048) module, and both results are compared with the dense sum.
CPU-seconds of one thread; minimum, median and maximum of five runs of ours, one of PEFT's (it takes seconds).
"""

import statistics
import time

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from factory.merging.spaces import fit_factors, stack
from factory.store.factors import Factors

SIDE, RANK, WEIGHTS, RUNS = 2048, 16, [0.5, 0.3, 0.2], 5


def cpu_seconds(work) -> tuple[float, object]:
    """CPU-seconds a call takes, and what it returns."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def with_peft(inputs: list[Factors]) -> tuple[float, torch.Tensor]:
    """PEFT's merge of the same factors: seconds, and the dense result."""
    model = nn.Sequential(nn.Linear(SIDE, SIDE, bias=False))
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=["0"])
    wrapped = get_peft_model(model, config, adapter_name="a0")
    for number in range(1, len(inputs)):
        wrapped.add_adapter(f"a{number}", config)
    layer = wrapped.base_model.model[0]
    with torch.no_grad():
        for number, factors in enumerate(inputs):
            layer.lora_A[f"a{number}"].weight.copy_(factors.lora_A)
            layer.lora_B[f"a{number}"].weight.copy_(factors.lora_B)
    names = [f"a{number}" for number in range(len(inputs))]
    seconds, _ = cpu_seconds(
        lambda: wrapped.add_weighted_adapter(names, WEIGHTS, "merged", combination_type="svd", svd_rank=RANK)
    )
    return seconds, layer.get_delta_weight("merged").detach()


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    inputs = [Factors(torch.randn(RANK, SIDE), torch.randn(SIDE, RANK)) for _ in WEIGHTS]
    exact = sum(weight * factors.delta() for weight, factors in zip(WEIGHTS, inputs, strict=True))
    times, ours = [], None
    for _ in range(RUNS):
        seconds, fit = cpu_seconds(lambda: fit_factors(stack(inputs, WEIGHTS), RANK))
        times.append(seconds)
        ours = fit.factors.delta()
    theirs_seconds, theirs = with_peft(inputs)
    for name, delta in (("ours", ours), ("peft", theirs)):
        print(f"{name}: relative error of the rank-{RANK} result {float((delta - exact).norm() / exact.norm()):.4f}")
    middle = statistics.median(times)
    print(f"ours: {min(times):.4f} / {middle:.4f} / {max(times):.4f} CPU-seconds (min / median / max of {RUNS})")
    print(f"peft: {theirs_seconds:.2f} CPU-seconds (one run)")
    print(f"ratio peft / ours: {theirs_seconds / middle:.0f}")


if __name__ == "__main__":
    main()
