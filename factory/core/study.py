"""The study: one file that names a base, adapters, merges, benchmarks and seeds; the whole experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from factory.core.config import Strict, parse, read_yaml, with_overrides
from factory.core.errors import BadInput, UnknownName
from factory.core.lora import FULL, Quantization
from factory.core.ranks import parse_ranks
from factory.core.recipes import EmbeddedRecipe, Positive, adapter_recipe, find_recipe, on_base

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Decoding(Strict):
    """How completions are drawn when a variant is scored; pinned, and part of a cell's identity.

    Attributes:
        samples: sampled completions for each item.
        temperature: of the sampled ones.
        top_p: nucleus of the sampled ones; 1 is the whole distribution.
        greedy: whether one greedy completion is scored as well.
        max_new_tokens: longest completion, in tokens.
        stop: a completion ends where one of these texts begins.
        few_shot: worked examples before each item; None is the benchmark's own number.
        chat_template: whether prompts stand in the tokenizer's chat template; None is the benchmark's own choice.
        metric: which of the benchmark's metrics is its score; None is the benchmark's own choice.
        limit: items to score at most, the first ones in the benchmark's order; None is all.
    """

    samples: Annotated[int, Field(ge=0)] = 4
    temperature: Annotated[float, Field(gt=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    greedy: bool = True
    max_new_tokens: Positive = 512
    stop: list[str] = []
    few_shot: Annotated[int, Field(ge=0)] | None = None
    chat_template: bool | None = None
    metric: str | None = None
    limit: Positive | None = None

    @model_validator(mode="after")
    def _something_to_score(self) -> Decoding:
        if not self.samples and not self.greedy:
            raise ValueError("nothing to score: samples is 0 and greedy is false")
        return self


class WeightSearch(Strict):
    """A merge's weights, and what else is free, chosen on development rows, never on the benchmarks reported.

    Attributes:
        candidates: without a budget: weights tried, each given to every adapter.
        budget: how many merges an optimiser may try instead; each adapter then has a weight of its own, and a method
            with a density has that searched too.
        methods: with a budget: merge methods to choose from besides the recipe's own.
        low, high: with a budget: smallest and largest weight.
        each: with a budget: whether each adapter has a weight of its own.
        items: development rows of each trained task to choose on; as many more tell what the choice is worth.
        samples: completions for each row.
    """

    candidates: Annotated[list[float], Field(min_length=1)] = [0.3, 0.5, 0.7, 1.0]
    budget: Positive | None = None
    methods: list[str] = []
    low: Annotated[float, Field(ge=0)] = 0.1
    high: Annotated[float, Field(gt=0)] = 1.5
    each: bool = True
    items: Positive = 60
    samples: Positive = 2

    @model_validator(mode="after")
    def _fits(self) -> WeightSearch:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high is {self.high:g}; low has to be smaller")
        if self.budget is None and self.methods:
            raise ValueError("methods are only searched with a budget; give one")
        return self


class MergeSpec(Strict):
    """One merge of a study.

    Attributes:
        recipe: name or file of a merge recipe, in mergekit's schema.
        adapters: names of the study's adapters, in order.
        weights: one for each adapter; left out, the recipe's own or 1 each.
        search: choose one common weight on development rows instead.
        rank: of the resulting adapter; `full` loses nothing, `auto` keeps 99 % of the energy, `auto:0.9` that share;
            `q_proj=8,mlp=auto,16` gives some modules their own.
    """

    recipe: str
    adapters: Annotated[list[str], Field(min_length=1)]
    weights: list[float] | None = None
    search: WeightSearch | None = None
    rank: Positive | str = "full"

    @field_validator("rank")
    @classmethod
    def _rank_is_one(cls, rank: int | str) -> int | str:
        try:
            return parse_ranks(rank, "rank")
        except BadInput as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _weights_fit(self) -> MergeSpec:
        if self.weights is not None and self.search is not None:
            raise ValueError("give either weights or search, not both")
        if self.weights is not None and len(self.weights) != len(self.adapters):
            raise ValueError(f"{len(self.weights)} weights for {len(self.adapters)} adapters; give one for each")
        return self


class Contamination(Strict):
    """What to do about benchmark items that stand in what the adapters train on.

    Attributes:
        action: `exclude` leaves them out of every variant's score, `report` only tells, `refuse` stops before training.
        ngram: length of the runs of words that are compared.
        share: an item overlaps if this share of its words stands in runs that training has, or if it is there exactly.
    """

    action: Literal["exclude", "report", "refuse"] = "exclude"
    ngram: Annotated[int, Field(ge=3, le=50)] = 8
    share: Annotated[float, Field(gt=0, le=1)] = 0.8


class Curves(Strict):
    """Learning curves on held-out items: adapters as they were during training are scored too.

    Attributes:
        every: optimizer steps between two points; step 0 is the base, the last one the finished adapter.
        limit: items of each benchmark, the first ones; None is as many as the study scores.
        benchmarks: which of the study's; None is all.
        adapters: which of the study's; None is all.
    """

    every: Positive = 10
    limit: Positive | None = 100
    benchmarks: list[str] | None = None
    adapters: list[str] | None = None


class Joint(Strict):
    """How adapters that share their tasks, under different strategies, are compared.

    Attributes:
        against: adapters that the others are compared with; None is the first of them.
        thresholds: accuracies of the worst task; the steps to reach each are told.
    """

    against: list[str] | None = None
    thresholds: list[Annotated[float, Field(gt=0, lt=1)]] = [0.5]


class Study(Strict):
    """A whole experiment.

    Attributes:
        study: its name.
        description: what it asks, for the report.
        base: `embedded` (made here, at the study's seed), `embedded@SEED`, a local folder, or a hub id[@revision].
        embedded: what differs from the defaults in the embedded base.
        quantization: how the base is loaded, for training and for scoring: `full`, `nf4` (QLoRA, arXiv 2305.14314) or
            `int8` (arXiv 2208.07339); an adapter's recipe may say otherwise for its training.
        scored_on: the same for scoring, where each variant is to be scored on several; left out, `quantization`.
        seeds: the whole study runs once for each.
        adapters: recipe name -> overrides of that recipe's fields.
        merges: merge name -> what is merged how.
        benchmarks: benchmark or task name -> overrides of `decoding`.
        decoding: how completions are drawn, unless a benchmark says otherwise.
        contamination: what to do about benchmark items that the adapters train on.
        curves: learning curves on held-out items; None is none.
        joint: how adapters of the same tasks are compared.
        contrasts: further comparisons: a name -> the weight of each variant (`adapter:NAME`, `merge:NAME`, `base`),
            together 0.
    """

    study: Name
    description: str = ""
    base: str = "embedded"
    embedded: EmbeddedRecipe = EmbeddedRecipe()
    quantization: Quantization = FULL
    scored_on: list[Quantization] = []
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [0]
    adapters: dict[Name, dict[str, Any] | None] = {}
    merges: dict[Name, MergeSpec] = {}
    benchmarks: Annotated[dict[str, dict[str, Any] | None], Field(min_length=1)]
    decoding: Decoding = Decoding()
    contamination: Contamination = Contamination()
    curves: Curves | None = None
    joint: Joint = Joint()
    contrasts: dict[str, Annotated[dict[str, float], Field(min_length=2)]] = {}

    @field_validator("seeds")
    @classmethod
    def _seeds_once(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"a seed is given twice: {seeds}")
        return seeds

    @model_validator(mode="after")
    def _names_are_known(self) -> Study:
        curves = self.curves or Curves()
        for where, kind, names, known in (
            ("curves.benchmarks", "benchmark", curves.benchmarks, self.benchmarks),
            ("curves.adapters", "adapter", curves.adapters, self.adapters),
            ("joint.against", "adapter", self.joint.against, self.adapters),
        ):
            for name in names or []:
                if name not in known:
                    raise ValueError(str(UnknownName(kind, name, known, where)))
        return self

    @model_validator(mode="after")
    def _contrasts_compare(self) -> Study:
        known = ["base", *(f"adapter:{name}" for name in self.adapters), *(f"merge:{name}" for name in self.merges)]
        for name, weights in self.contrasts.items():
            for variant in weights:
                if variant not in known:
                    raise ValueError(str(UnknownName("variant", variant, known, f"contrast '{name}'")))
            if abs(sum(weights.values())) > 1e-9 or not any(weights.values()):
                total = sum(weights.values())
                raise ValueError(f"contrast '{name}': weights come to {total:g}; a comparison has some, together 0")
        return self

    def curve_of(self, adapter: str) -> Curves | None:
        """What is asked of an adapter's learning curve; None if it has none."""
        wanted = self.curves is not None and (self.curves.adapters is None or adapter in self.curves.adapters)
        return self.curves if wanted else None

    @model_validator(mode="after")
    def _scored_as_loaded_too(self) -> Study:
        if self.scored_on and self.quantization not in self.scored_on:
            raise ValueError(
                f"scored_on is {self.scored_on} and the study's quantization {self.quantization}; have it among them: "
                "what is scored otherwise is compared with it"
            )
        if len(set(self.scored_on)) < len(self.scored_on):
            raise ValueError(f"scored_on names one twice: {self.scored_on}")
        return self

    def recipe(self, name: str) -> Any:
        """The resolved recipe of one of the study's adapters."""
        where = f"study {self.study}, adapter {name}"
        return on_base(adapter_recipe(name, self.adapters[name], where), self.quantization, where)

    def decoding_of(self, benchmark: str, pinned: Mapping[str, Any] | None = None) -> Decoding:
        """The decoding of one benchmark: the study's, what the benchmark pins, what the study says of this benchmark.

        Args:
            pinned: by the benchmark itself.
        """
        over = self.benchmarks.get(benchmark) or {}
        plain = {**self.decoding.model_dump(), **(pinned or {}), **over}
        return parse(Decoding, plain, f"study {self.study}, benchmark {benchmark}")

    def curve_decoding(self, curve: Curves, benchmark: str, pinned: Mapping[str, Any] | None = None) -> Decoding:
        """How a learning curve's points are scored: as the matrix is, on fewer items; where there are samples, by them.

        Args:
            pinned: by the benchmark itself.
        """
        whole = self.decoding_of(benchmark, pinned)
        limits = [limit for limit in (curve.limit, whole.limit) if limit is not None]
        return whole.model_copy(
            update={"limit": min(limits, default=None), "greedy": whole.greedy and not whole.samples}
        )


def read_study(name: str, settings: Sequence[str] = ()) -> tuple[Study, Path]:
    """Read a study by file or by name, with `--set key=value` overrides; also gives the file.

    Raises:
        UnknownName: no such study.
        BadInput: the file is not a valid study; one line says where and why.
    """
    path = find_recipe("study", name)
    plain = with_overrides(read_yaml(path), settings)
    return parse(Study, plain, str(path)), path
