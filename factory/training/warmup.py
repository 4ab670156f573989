"""The warm-up that makes the embedded base: supervised steps on generated demonstrations, scheduled by steps.

First right demonstrations only, so that the skills are learned; then the habits of `factory/tasks/_habits.py`, so
that the base has them only in part. Deterministic from recipe and seed, on one machine type and thread count.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from factory.core.atomic import write_bytes
from factory.core.config import parse
from factory.core.errors import BadInput
from factory.core.hashing import seed_from
from factory.core.progress import Report
from factory.core.recipes import EmbeddedRecipe
from factory.store.ref import Ref
from factory.store.store import Store
from factory.tasks._find import demonstration_of, find_task
from factory.tasks._task import Source

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

VERSION = 2
MUON_RATE, ADAMW_RATE, RAMP_STEPS = 0.02, 6e-3, 50
TOKENIZER_TEXTS = 1500
REPORT_EVERY = 25
CHECKPOINT_EVERY = 100
CHECKPOINT = "warmup.pt"

Text = tuple[str, str]


def build_base(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Job: make the embedded base. `spec` holds `recipe` (an `EmbeddedRecipe`) and `seed`."""
    recipe = parse(EmbeddedRecipe, spec["recipe"], "embedded base")

    def make(out: Path, state: Path) -> dict[str, Any]:
        model, tokenizer, loss = warm_up(recipe, spec["seed"], report, state)
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
        parameters = sum(p.numel() for p in model.parameters())
        return {
            "recipe": spec["recipe"],
            "seed": spec["seed"],
            "parents": [],
            "metrics": {"loss": loss, "parameters": parameters},
        }

    return store.build(ref, make)


def warm_up(
    recipe: EmbeddedRecipe, seed: int, report: Report, state: Path | None = None
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast, float]:
    """Train the embedded base; gives the model, its tokenizer and the last step's loss.

    Args:
        state: a folder for a checkpoint, from which a run that was killed goes on to the same bits.

    Raises:
        BadInput: a task of the recipe has no demonstrations.
    """
    import torch

    from factory.models.embedded import make_model, make_tokenizer

    texts = _demonstrations(recipe, seed)
    sample = [next(texts) for _ in range(TOKENIZER_TEXTS)]
    tokenizer = make_tokenizer((f"{prompt}\n{completion}" for prompt, completion in sample), recipe)
    model = make_model(tokenizer, recipe, seed_from("embedded", seed))
    model.train()
    optimizers = _optimizers(model)
    rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    loss = torch.zeros(())
    begin = _resume(state, model, optimizers)
    for _ in range(begin * recipe.batch_size):
        next(texts)
    for step in range(begin, recipe.steps):
        share = _rate_share(step, recipe.steps)
        for optimizer, initial in zip(optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, initial, strict=True):
                group["lr"] = rate * share
        batch = _batch([next(texts) for _ in range(recipe.batch_size)], tokenizer)
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
        labels = batch["labels"][:, 1:]
        # Divided by a constant: a mean over the tokens of each batch would weigh tasks by how short their answers are.
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-100, reduction="sum"
        ) / (recipe.batch_size * 16)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if (step + 1) % REPORT_EVERY == 0:
            report(f"warm-up step {step + 1}/{recipe.steps}, loss {loss.item():.3f}", (step + 1) / recipe.steps)
        if state is not None and (step + 1) % CHECKPOINT_EVERY == 0:
            _checkpoint(state, step + 1, model, optimizers)
    return model.eval(), tokenizer, round(loss.item(), 4)


def _checkpoint(state: Path, step: int, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer]) -> None:
    import torch

    content = io.BytesIO()
    kept = {"step": step, "model": model.state_dict(), "optimizers": [one.state_dict() for one in optimizers]}
    torch.save(kept, content)
    write_bytes(state / CHECKPOINT, content.getvalue())


def _resume(state: Path | None, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer]) -> int:
    """Load the checkpoint if there is one; gives how many steps are done."""
    import torch

    if state is None or not (state / CHECKPOINT).is_file():
        return 0
    kept = torch.load(state / CHECKPOINT, weights_only=True)
    model.load_state_dict(kept["model"])
    for optimizer, own in zip(optimizers, kept["optimizers"], strict=True):
        optimizer.load_state_dict(own)
    return int(kept["step"])


def _demonstrations(recipe: EmbeddedRecipe, seed: int) -> Iterator[Text]:
    """An endless stream of (prompt, completion); which habits it shows depends on how far it is."""
    rng = Random(seed_from("warm-up", seed))
    names, shares = list(recipe.tasks), list(recipe.tasks.values())
    rows, write = {}, {}
    for name in names:
        write[name] = demonstration_of(name)
        if write[name] is None:
            raise BadInput(f"embedded base: task '{name}' has no demonstrations to learn from; choose another")
        rows[name] = find_task(name).rows("train", Source())
    clean_texts = TOKENIZER_TEXTS + round(recipe.clean_share * recipe.steps) * recipe.batch_size
    index = 0
    while True:
        name = rng.choices(names, shares)[0]
        row = rng.choice(rows[name])
        yield row.prompt, write[name](row, rng, clean=index < clean_texts)
        index += 1


def _optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) on the hidden matrices, AdamW on embeddings, norms and biases."""
    import torch

    from factory.training.muon import Muon

    hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        Muon(hidden, lr=MUON_RATE),
        torch.optim.AdamW(others, lr=ADAMW_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _rate_share(step: int, steps: int) -> float:
    """Linear ramp, constant to half-time, linear decay to zero."""
    ramp = min(1.0, (step + 1) / min(RAMP_STEPS, steps))
    decay = min(1.0, 2 * (steps - step) / steps)
    return ramp * decay


def _batch(texts: list[Text], tokenizer: PreTrainedTokenizerFast) -> dict[str, torch.Tensor]:
    """Right-padded (batch, length) ids, mask and labels; only the completion and its end are learned."""
    import torch

    prompts = tokenizer([f"<|user|>{prompt}<|assistant|>" for prompt, _ in texts])["input_ids"]
    completions = tokenizer([f"{completion}<|end|>" for _, completion in texts])["input_ids"]
    length = max(len(p) + len(c) for p, c in zip(prompts, completions, strict=True))
    ids = torch.full((len(texts), length), tokenizer.pad_token_id)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        end = len(prompt) + len(completion)
        ids[row, :end] = torch.tensor(prompt + completion)
        mask[row, :end] = 1
        labels[row, len(prompt) : end] = ids[row, len(prompt) : end]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
