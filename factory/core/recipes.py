"""What a person writes: how an adapter is trained. Option names are TRL's and PEFT's.

A recipe is sparse; every default here is the setting for a real base on one GPU. The recipes shipped in `adapters/`
say what the embedded base needs instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from factory.core.config import Strict, merged, parse, read_yaml
from factory.core.errors import BadInput, UnknownName
from factory.core.lora import FROM_THE_BASE, FULL, LoraOptions, Quantization

Positive = Annotated[int, Field(gt=0)]

FOLDERS = {"adapter recipe": "adapters", "merge recipe": "merge_recipes", "study": "studies"}


class EmbeddedRecipe(Strict):
    """The tiny causal LM that is made here: a random Llama and a short supervised warm-up on generated task rows.

    Attributes:
        hidden_size, intermediate_size, num_hidden_layers, num_attention_heads: Llama's.
        vocab_size: of the byte-level BPE tokenizer trained on the demonstrations; 256 of them are the byte alphabet.
        max_position_embeddings: longest sequence, in tokens.
        tasks: share of each task in the demonstrations.
        steps: optimizer steps of the warm-up.
        batch_size: demonstrations in a step.
        clean_share: share of the steps, from the start, that see only right demonstrations; the rest see the habits
            that reinforcement learning is to mend.
    """

    hidden_size: Positive = 96
    intermediate_size: Positive = 288
    num_hidden_layers: Positive = 2
    num_attention_heads: Positive = 4
    vocab_size: Annotated[int, Field(ge=300)] = 640
    max_position_embeddings: Annotated[int, Field(ge=4096)] = 4096
    tasks: Annotated[dict[str, Annotated[float, Field(gt=0)]], Field(min_length=1)] = {
        "tiny_math": 3.0,
        "tiny_sql": 1.0,
        "tiny_python": 1.0,
        "tiny_ops": 1.0,
    }
    steps: Positive = 1100
    batch_size: Positive = 48
    clean_share: Annotated[float, Field(ge=0, le=1)] = 0.72


class StrategyOptions(Strict):
    """What a strategy lets a recipe set; each strategy has its own."""


class Stop(Strict):
    """When training ends before its last step, with the reason on the card.

    Attributes:
        no_signal_steps: steps in a row without one informative group, after which training ends; a task that has none
            in its first so many steps is refused. None never stops for either.
        collapse: stop when the mean reward of ten steps falls below this share of the best ten; None never stops.
    """

    no_signal_steps: Positive | None = 50
    collapse: Annotated[float, Field(gt=0, lt=1)] | None = 0.2


class AdapterRecipe(Strict):
    """How one adapter is trained.

    Attributes:
        description: one line for the card.
        tasks: task names; more than one makes a joint adapter.
        strategy: a file of `factory/training/strategies/`: how prompts are drawn from the tasks.
        strategy_options: what the strategy lets be set; `factory/training/strategies/` says what.
        task_weights: share of each task in a step, for strategies that take it; equal when left out.
        rewards: weight of each reward component; a component that a task does not have is None for its rows.
        lora: the adapter's shape.
        quantization: how the base is loaded for training: `full`, `nf4`, `int8`; left out, as the study says.
        max_steps: optimizer steps.
        prompts_per_step: different prompts in one optimizer step.
        num_generations: completions sampled for each prompt (the group).
        per_device_train_batch_size: completions in one forward pass; all of a step when left out.
        learning_rate: of AdamW, constant unless `trl` says otherwise.
        temperature: of sampling while training.
        beta: weight of the KL term against the base; 0 trains without a reference model.
        max_completion_length: longest completion, in tokens.
        save_steps: optimizer steps between checkpoints.
        train_rows: how many training rows to use at most.
        unscorable_limit: share of rows the verifier may fail on before training stops.
        stop: when to end before the last step.
        report_to: trackers, as TRL takes them (`tensorboard`, `wandb`, `trackio`).
        trl: any further option of TRL's `GRPOConfig`.
    """

    description: str = ""
    tasks: Annotated[list[str], Field(min_length=1)]
    strategy: str = "single"
    strategy_options: dict[str, Any] = {}
    task_weights: dict[str, Annotated[float, Field(gt=0)]] | None = None
    rewards: Annotated[dict[str, float], Field(min_length=1)] = Field(
        default_factory=lambda: {"correct": 1.0, "format": 0.1}
    )
    lora: LoraOptions = LoraOptions()
    quantization: Quantization | None = None
    max_steps: Positive = 200
    prompts_per_step: Positive = 8
    num_generations: Annotated[int, Field(ge=2)] = 8
    per_device_train_batch_size: Positive | None = None
    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    temperature: Annotated[float, Field(gt=0)] = 1.0
    beta: Annotated[float, Field(ge=0)] = 0.0
    max_completion_length: Positive = 512
    save_steps: Positive = 10
    train_rows: Positive | None = None
    unscorable_limit: Annotated[float, Field(ge=0, le=1)] = 0.05
    stop: Stop = Stop()
    report_to: list[str] = []
    trl: dict[str, Any] = {}

    @field_validator("tasks")
    @classmethod
    def _tasks_once(cls, tasks: list[str]) -> list[str]:
        if len(set(tasks)) != len(tasks):
            raise ValueError(f"a task is named twice: {', '.join(tasks)}")
        return tasks

    @model_validator(mode="after")
    def _reference_is_the_base(self) -> AdapterRecipe:
        start = self.lora.init_lora_weights
        if self.beta and start in FROM_THE_BASE:
            raise ValueError(
                f"lora.init_lora_weights '{start}' moves a part of the base into the adapter, so that beta "
                f"{self.beta:g} would pull towards the rest of it; take beta 0 or another start"
            )
        return self

    @model_validator(mode="after")
    def _batch_divides(self) -> AdapterRecipe:
        completions, each = self.prompts_per_step * self.num_generations, self.per_device_train_batch_size
        if each is not None and completions % each:
            raise ValueError(
                f"per_device_train_batch_size {each} does not divide the {completions} completions of a step "
                f"(prompts_per_step {self.prompts_per_step} x num_generations {self.num_generations})"
            )
        return self


def on_base(recipe: AdapterRecipe, quantization: Quantization, where: str) -> AdapterRecipe:
    """The recipe with its `quantization` said: its own, else the one given.

    Raises:
        BadInput: a LoRA option that does not go with a base so loaded.
    """
    start, quantization = recipe.lora.init_lora_weights, recipe.quantization or quantization
    if start in FROM_THE_BASE and quantization != FULL:
        raise BadInput(
            f"{where}: lora.init_lora_weights '{start}' takes its start out of the base's weights, which are "
            f"{quantization} here; take 'gaussian', 'orthogonal' or true, or quantization: full"
        )
    if recipe.lora.use_dora and quantization == "int8":
        raise BadInput(
            f"{where}: lora.use_dora together with int8 does not train (bitsandbytes loses the weights' scales when "
            "PEFT takes their norms); take nf4 or full"
        )
    return recipe.model_copy(update={"quantization": quantization})


def search_folders(kind: str) -> list[Path]:
    """Where recipes of a kind are looked for: the working folder, the source checkout, the installed package."""
    folder, package = FOLDERS[kind], Path(__file__).parents[1]
    return [Path(folder), package.parent / folder, package / "_shipped" / folder]


def recipe_names(kind: str) -> list[str]:
    """Names of all recipes of a kind that can be found."""
    return sorted({path.stem for folder in search_folders(kind) for path in folder.glob("*.yaml")})


def find_recipe(kind: str, name: str) -> Path:
    """The file of a recipe: a path to a YAML file, or a bare name.

    Raises:
        UnknownName: nothing has that name; the nearest one is suggested.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name)
    for folder in search_folders(kind):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise UnknownName(kind, name, recipe_names(kind))


def adapter_recipe(name: str, overrides: dict[str, Any] | None = None, where: str = "") -> AdapterRecipe:
    """Read an adapter recipe and lay a study's overrides on it.

    Raises:
        UnknownName: no such recipe. A study that gives `tasks` itself needs no file.
        BadInput: the recipe, or the recipe with its overrides, is not valid.
    """
    overrides = overrides or {}
    if "tasks" in overrides and name not in recipe_names("adapter recipe"):
        return parse(AdapterRecipe, overrides, where or name)
    path = find_recipe("adapter recipe", name)
    plain = read_yaml(path)
    if not overrides:
        return parse(AdapterRecipe, plain, str(path))
    return parse(AdapterRecipe, merged(plain, overrides), where or str(path))
