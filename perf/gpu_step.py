"""GRPO with nf4 and LoRA on a GPU: our training against plain TRL, tokens a second, memory, and what bounds it.

A random-weight Qwen2 of a real one's shape, so that nothing is downloaded and completions have full length. Ours is
the job that `factory train` runs; TRL's is its own trainer with its own generation, on the same base in the same 4 bit,
with the same batches and lengths. Each in a process of its own, one after the other; the first two steps do not count.

    python perf/gpu_step.py                            0.5B; says so and ends where there is no GPU
    python perf/gpu_step.py --size 1.5b --tokens 512
    python perf/gpu_step.py --device cpu --size tiny   the same path without a GPU: it says nothing about one
"""

import argparse
import json
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from _child import child

from factory.engine.footprint import base_gib
from factory.models.bases import Base
from factory.models.shapes import Shape, shape_of

TINY = Shape(hidden=64, inner=192, layers=2, heads=4, kv_heads=2, head_size=16, vocabulary=640, tied=True)
UNCOUNTED, PROMPTS, GROUP, BATCH = 2, 8, 8, 16
# Of dense bf16 arithmetic (operations a second) and of memory (bytes a second), as their makers say.
PEAKS = {"H200": (989e12, 4.8e12), "H100": (989e12, 3.35e12), "A100": (312e12, 2.0e12), "L40S": (362e12, 0.86e12)}


def shape_named(size: str) -> Shape:
    """A Qwen2.5's shape, or a tiny one."""
    found = TINY if size == "tiny" else shape_of(Base("q", f"Qwen/Qwen2.5-{size.upper()}", None, ""))
    assert found is not None
    return found


def write_base(shape: Shape, folder: Path) -> None:
    """A random Qwen2 in bf16 and a byte-level tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from factory.core.recipes import EmbeddedRecipe
    from factory.models.embedded import make_tokenizer

    tokenizer = make_tokenizer(["What is 7 + 12 - 3?"] * 9, EmbeddedRecipe(vocab_size=400))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=shape.inner,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        max_position_embeddings=4096, tie_word_embeddings=shape.tied, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    Qwen2ForCausalLM(config).bfloat16().save_pretrained(folder)


def recipe_of(steps: int, tokens: int):
    """The same for both."""
    from factory.core.recipes import AdapterRecipe

    return AdapterRecipe(
        tasks=["tiny_math"], max_steps=steps, prompts_per_step=PROMPTS, num_generations=GROUP,
        per_device_train_batch_size=BATCH, max_completion_length=tokens, save_steps=steps, quantization="nf4",
        stop={"no_signal_steps": None},
    )  # fmt: skip


def ours(base: Path, steps: int, tokens: int) -> list[dict]:
    """The job of `factory train`; gives each step's seconds and tokens."""
    from factory.core.atomic import read_jsonl
    from factory.core.progress import silent
    from factory.store.ref import Ref
    from factory.store.store import Store
    from factory.training.train import build_adapter

    recipe = recipe_of(steps, tokens)
    where = {"label": "random", "path": str(base), "revision": None, "hash": "random", "quantization": "nf4"}
    spec = {"recipe": recipe.model_dump(), "seed": 0, "base": where, "data": None}
    with tempfile.TemporaryDirectory() as folder:
        out = build_adapter(Store(folder), Ref("random", "adapter", "perf", 0, "0" * 16), spec, silent)
        lines = read_jsonl(out / "metrics.jsonl")
    return [
        {
            "seconds": sum(line["seconds"].values()),
            "generation": line["seconds"]["generation"],
            "tokens": sum(task["completions"] * task["length"] for task in line["tasks"].values()),
        }
        for line in lines
    ]


def plain(base: Path, steps: int, tokens: int) -> list[dict]:
    """TRL's trainer as its documentation has it, but for what this device needs."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from factory.models.load import load_model, load_tokenizer, one_thread
    from factory.tasks._find import find_task
    from factory.tasks._task import Source
    from factory.training.lora import lora_config
    from factory.training.trl_door import grpo_options

    one_thread()
    recipe, found = recipe_of(steps, tokens), []

    class Timer(TrainerCallback):
        begun = 0.0

        def on_step_begin(self, *_, **__):
            self.begun = time.monotonic()

        def on_log(self, args, state, control, logs=None, **_):
            if "completions/mean_length" in logs:
                length = logs["completions/mean_length"]
                found.append({"seconds": time.monotonic() - self.begun, "tokens": length * PROMPTS * GROUP})

    class Timed(GRPOTrainer):
        """Its generation is timed; nothing else is another's."""

        def _generate(self, *arguments, **options):
            start = time.monotonic()
            done = super()._generate(*arguments, **options)
            generations.append(time.monotonic() - start)
            return done

    generations: list[float] = []
    rows = find_task("tiny_math").rows("train", Source(None))[: steps * PROMPTS]
    with tempfile.TemporaryDirectory() as folder:
        options = {**grpo_options(recipe, folder, 0), "reward_weights": None, "save_strategy": "no"}
        trainer = Timed(
            model=load_model(str(base), quantization="nf4"),
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            args=GRPOConfig(**options),
            train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": row.prompt}]} for row in rows]),
            processing_class=load_tokenizer(str(base)),
            peft_config=lora_config(recipe.lora),
            callbacks=[Timer()],
        )
        trainer.train()
    return [{**step, "generation": seconds} for step, seconds in zip(found, generations, strict=True)]


def measure(who: str, base: str, steps: str, tokens: str) -> None:
    """In a child: run one of the two and print what it took."""
    import torch

    watch = _watch() if torch.cuda.is_available() else None
    try:
        lines = {"ours": ours, "TRL": plain}[who](Path(base), int(steps), int(tokens))
    finally:
        busy = _stop(watch)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    peak = (
        torch.cuda.max_memory_allocated() / 2**30
        if watch
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    )
    print(json.dumps({"steps": lines[UNCOUNTED:], "peak_gib": peak, "busy": busy, "device": device}))


def _watch() -> subprocess.Popen:
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _stop(watch: subprocess.Popen | None) -> float | None:
    """Mean share of the last two thirds of the time in which a kernel ran: the first is loading."""
    if watch is None:
        return None
    watch.terminate()
    seen = [float(line) for line in watch.communicate()[0].split() if line.strip().isdigit()]
    return statistics.mean(seen[len(seen) // 3 :]) / 100 if seen else None


def report(name: str, told: dict, shape: Shape, tokens: int) -> float:
    """Print one side; gives its tokens a second."""
    steps = told["steps"]
    seconds = [step["seconds"] for step in steps]
    rate = sum(step["tokens"] for step in steps) / sum(seconds)
    generation = sum(step["generation"] for step in steps)
    spread = f"{min(seconds):.3g} / {statistics.median(seconds):.3g} / {max(seconds):.3g}"
    busy = "" if told["busy"] is None else f", a kernel runs {100 * told['busy']:.0f} % of the time"
    print(f"{name:<6}{rate:9.0f} tokens/s; seconds a step {spread} (min / median / max of {len(steps)})")
    print(f"      generation {100 * generation / sum(seconds):.0f} %; peak {told['peak_gib']:.2f} GiB{busy}")
    update = sum(seconds) - generation
    # Two operations a parameter and token forward, six to train on it; prompts are short here and left out.
    done = sum(step["tokens"] for step in steps)
    arithmetic = 6 * shape.parameters * done / update
    moved = base_gib(shape, "nf4") * 2**30 * tokens * len(steps) / generation
    peaks = next((peak for part, peak in PEAKS.items() if part in told["device"]), None)
    share = "" if peaks is None else f" ({100 * arithmetic / peaks[0]:.1f} % of its peak)"
    read = "" if peaks is None else f" ({100 * moved / peaks[1]:.1f} % of its peak)"
    print(
        f"      update {arithmetic / 1e12:.3g} TFLOP/s{share}; decoding reads weights at {moved / 1e9:.3g} GB/s{read}"
    )
    if peaks is not None:
        print(f"      {_bound(generation > update, arithmetic / peaks[0], moved / peaks[1])}")
    return rate


def _bound(generating: bool, arithmetic: float, moved: float) -> str:
    if generating and moved < 0.4:
        return "bound by the latency of decoding: one token a pass, each pass many small kernels"
    if generating:
        return "bound by memory: decoding reads all weights for each token"
    return "bound by arithmetic" if arithmetic > 0.4 else "bound by the update's small kernels and dequantization"


def main() -> None:
    """Both sides, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--size", choices=["tiny", "0.5b", "1.5b", "3b", "7b"], default="0.5b")
    parser.add_argument("--steps", type=int, default=20, help="of optimisation  [20]")
    parser.add_argument("--tokens", type=int, default=256, help="of a completion  [256]")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        measure(*given.child)
        return
    import torch

    if given.device == "gpu" and not torch.cuda.is_available():
        print("no GPU here, so nothing is measured (--device cpu --size tiny runs the same path)")
        return
    shape = shape_named(given.size)
    with tempfile.TemporaryDirectory() as folder:
        write_base(shape, Path(folder))
        arguments = folder, str(given.steps + UNCOUNTED), str(given.tokens)
        found = {who: child(__file__, who, *arguments) for who in ("ours", "TRL")}
    print(
        f"{found['ours']['device']}: random Qwen2 of {shape.parameters / 1e9:.3g}B parameters in nf4, LoRA rank 16, "
        f"{given.steps} steps of {PROMPTS} prompts x {GROUP} completions of {given.tokens} tokens, batches of {BATCH}"
    )
    rates = {who: report(who, told, shape, given.tokens) for who, told in found.items()}
    print(f"ours / TRL: {rates['ours'] / rates['TRL']:.2f} x the tokens/s")


if __name__ == "__main__":
    main()
