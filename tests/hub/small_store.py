"""A store as a study leaves it, in a second: a random base with a tokenizer, two adapters with logs, a merge, cells."""

import json
from pathlib import Path

import numpy as np
import torch

from factory.core.atomic import write_json
from factory.core.hashing import key_of, seed_from
from factory.core.records import Outcome
from factory.merging.plan import plan_merge
from factory.merging.run import run_plan
from factory.store.factors import AdapterFactors, Factors
from factory.store.ref import Ref
from factory.store.store import Store
from factory.store.write_adapter import write_adapter

LABEL = "embedded-s0"
SHAPE = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
BENCHMARKS = {"tiny_math": 2, "tiny_sql": 2, "gsm8k": 1}
DECODING = {"samples": 2, "temperature": 1.0, "top_p": 1.0, "greedy": True, "max_new_tokens": 8, "limit": 40}
RECIPE = {"description": "", "strategy": "single", "rewards": {"correct": 1.0}, "max_steps": 6, "prompts_per_step": 2,
          "num_generations": 4, "learning_rate": 1e-3, "beta": 0.0, "lora": {"r": 2, "lora_alpha": 4.0}}  # fmt: skip


def save_base(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64}
    LlamaForCausalLM(LlamaConfig(**SHAPE, **heads, tie_word_embeddings=True)).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({"<unk>": 0, **{str(n): n for n in range(1, 64)}}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<unk>").save_pretrained(folder)
    return folder


def small_store(root: Path) -> dict[str, Ref]:
    """Build it; gives base, math, sql, and the merge of the two."""
    store = Store(root)
    base = Ref(LABEL, "base", "embedded", 0, key_of("hub test base"))

    def make_base(out, state):
        save_base(out)
        return {"recipe": {"steps": 1, "tasks": {"tiny_math": 1.0}}, "seed": 0, "metrics": {"parameters": 5000}}

    store.build(base, make_base)
    refs = {"base": base}
    for name in ("math", "sql"):
        refs[name] = _adapter(store, base, name)
    plan = plan_merge(store, "linear", ["math", "sql"], weights=[0.5, 0.5])
    run_plan(store, plan, lambda text, done=None: None)
    refs["merge"] = plan.ref
    for variant, ref in (("base", base), *((f"{r.kind}:{r.name}", r) for r in list(refs.values())[1:])):
        for benchmark in BENCHMARKS:
            _cell(store, ref, variant, benchmark)
    return refs


def study(root: Path, refs: dict[str, Ref], name: str = "small") -> None:
    """The card of a study that made all of it."""
    variants = [
        {"name": "base" if ref.kind == "base" else f"{ref.kind}:{ref.name}", "seed": 0, "ref": ref.to_json()}
        for ref in refs.values()
    ]
    cells = [ref.to_json() for ref in Store(root).refs("cell")]
    plain = {"study": name, "seeds": [0], "benchmarks": dict.fromkeys(BENCHMARKS)}
    card = {"study": plain, "seeds": [0], "variants": variants, "cells": cells, "bases": {}, "stages": {}}
    write_json(root / "studies" / name / "card.json", card)


def _adapter(store: Store, base: Ref, name: str) -> Ref:
    ref = Ref(LABEL, "adapter", name, 0, key_of("hub test", name))
    task = f"tiny_{name}"

    def make(out, state):
        draw = torch.Generator().manual_seed(seed_from("hub test", name))
        modules = {
            f"model.layers.0.{part}": Factors(
                torch.randn(2, 16, generator=draw) * 0.3, torch.randn(rows, 2, generator=draw) * 0.3
            )
            for part, rows in (("self_attn.q_proj", 16), ("self_attn.v_proj", 16), ("mlp.up_proj", 24))
        }
        write_adapter(out, AdapterFactors(modules, base=LABEL))
        parts = [{"reward": 0.1 * step, "components": {"correct": 0.1 * step}} for step in range(1, 7)]
        steps = [{"step": step, "tasks": {task: part}, "seconds": {}} for step, part in enumerate(parts, 1)]
        (out / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
        return {
            "recipe": {**RECIPE, "tasks": [task]},
            "seed": 0,
            "parents": [base.key],
            "base": {"label": LABEL, "revision": None, "hash": base.key},
            "data": {task: {"version": 2, "rows": 100, "used": 12, "hash": "0" * 64, "licence": "Apache-2.0"}},
            "trained_tasks": [task],
            "cost": {"completions": 48, "tokens": 480},
        }

    store.build(ref, make)
    return ref


def _cell(store: Store, ref: Ref, variant: str, benchmark: str) -> None:
    cell = Ref(LABEL, "cell", f"{variant.replace(':', '.')}-on-{benchmark}", 0, key_of("cell", ref.key, benchmark))
    draw = np.random.default_rng(seed_from(variant, benchmark))
    own = benchmark.removeprefix("tiny_") in variant
    right = draw.random((40, 3)) < (0.8 if own else 0.3)

    def make(out, state):
        rows = [
            Outcome(f"item{i}", [float(row[0]), float(row[1])], float(row[2]), ["", "", ""], ["", "", ""], [1, 1, 1])
            for i, row in enumerate(right)
        ]
        (out / "items.jsonl").write_text("".join(json.dumps(row.to_json()) + "\n" for row in rows))
        return {
            "variant": variant,
            "benchmark": benchmark,
            "split": "test",
            "decoding": DECODING,
            "chance": None,
            "trained_tasks": [f"tiny_{name}" for name in ("math", "sql") if name in variant],
            "own": own,
            "parents": [ref.key],
            "data": {"version": BENCHMARKS[benchmark], "items": 40, "hash": "1" * 64},
            "metrics": {"sampled": 0.5, "greedy": 0.5, "mixed": 0.1, "unscorable": 0},
        }

    store.build(cell, make)
