"""The public benchmarks against lm-evaluation-harness itself: prompts, answers and outcomes, item by item, all equal.

Every run compares a few items on a very small base. `FACTORY_PARITY_ITEMS=200` compares more, and
`FACTORY_PARITY_BASE=FOLDER FACTORY_PARITY_ADAPTER=FOLDER` those of a store, whose answers differ from item to item.
"""

import os
import random
from pathlib import Path

import pytest

from factory.benchmarks._benchmark import load_benchmark
from factory.core.study import Decoding
from factory.evaluation.asking import Asker
from factory.evaluation.variants import adapted
from factory.models.chat import longest
from factory.models.load import load_model, load_tokenizer
from factory.tasks._task import Source

DATA = os.environ.get("FACTORY_DATA", "")
ITEMS = int(os.environ.get("FACTORY_PARITY_ITEMS", "12"))
OWN_BASE = os.environ.get("FACTORY_PARITY_BASE", "")
NEW_TOKENS = 48 if OWN_BASE else 24

pytestmark = pytest.mark.skipif(not DATA, reason="FACTORY_DATA is not set")
pytest.importorskip("lm_eval")

FILES = {
    "arc_challenge": {"test": "arc_challenge/arc_challenge_test_hf.jsonl"},
    "hellaswag": {"validation": "hellaswag/hellaswag_val_1000_original_schema.jsonl"},
    "gsm8k": {"train": "gsm8k/train.jsonl.gz", "test": "gsm8k/test.jsonl"},
    "hendrycks_math_algebra": {"test": "math/math_test.jsonl.gz"},
}
YAML = {"arc_challenge": "arc", "hellaswag": "hellaswag", "gsm8k": "gsm8k", "hendrycks_math_algebra": "hendrycks_math"}
OURS = {"hendrycks_math_algebra": "math"}


@pytest.fixture(scope="module")
def variants(pico_base, request):
    """The base and an adapter on it, here one whose large random update makes it say other things."""
    if OWN_BASE:
        adapters = {"base": None, "adapter": Path(os.environ["FACTORY_PARITY_ADAPTER"])}
        return load_model(OWN_BASE), load_tokenizer(OWN_BASE), adapters
    model, tokenizer = load_model(str(pico_base)), load_tokenizer(str(pico_base))
    return model, tokenizer, {"base": None, "adapter": request.getfixturevalue("loud_adapter")}


def harness_task(name: str, few_shot: int | None):
    """The harness's own task, its files replaced by local ones, its completions made short."""
    import lm_eval
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    folder = Path(lm_eval.__file__).parent / "tasks"
    config = dict(load_yaml(folder / YAML[name] / f"{name}.yaml"))
    for key in ("tag", "group", "include"):
        config.pop(key, None)
    files = {split: str(Path(DATA) / file) for split, file in FILES[name].items()}
    config |= {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}, "task": name}
    for split in ("train", "validation", "test"):
        key = {"train": "training_split"}.get(split, f"{split}_split")
        config[key] = split if split in files else None
    if config["output_type"] == "generate_until":
        config["generation_kwargs"] = {**config["generation_kwargs"], "max_gen_toks": NEW_TOKENS}
    if few_shot is not None:
        config["num_fewshot"] = few_shot
    task = ConfigurableTask(config=config)
    task.set_fewshot_seed(1234)
    return task


def theirs(model, tokenizer, name: str, chat: bool, few_shot: int | None):
    """(prompt, continuations, outcome metrics, raw answer) of each item, from the harness."""
    from lm_eval import evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4)
    tasks = TaskManager(include_defaults=False).load([harness_task(name, few_shot)])
    found = evaluate(
        lm=harness, task_dict=tasks, limit=ITEMS, bootstrap_iters=0, log_samples=True, apply_chat_template=chat,
        fewshot_as_multiturn=chat,
    )  # fmt: skip
    return next(iter(found["samples"].values()))


def ours(model, tokenizer, name: str, chat: bool, few_shot: int | None):
    benchmark = load_benchmark(OURS.get(name, name))
    over = {"chat_template": chat, "max_new_tokens": NEW_TOKENS}
    if few_shot is not None:
        over["few_shot"] = few_shot
    decoding = Decoding(**{**benchmark.decoding(), **over})
    asker = Asker(model, tokenizer, benchmark, decoding, longest(model, tokenizer))
    rows = rows_of(benchmark, decoding)
    outcomes, _ = asker.ask(rows, seed=0)
    return asker, rows, outcomes


def rows_of(benchmark, decoding):
    """The harness reads HellaSwag's original fields, of which there are 1,000 rows."""
    if benchmark.name != "hellaswag":
        return benchmark.asked("test", Source(Path(DATA)), ITEMS, decoding.few_shot or 0)
    import json

    from factory.benchmarks.hellaswag import row_of

    lines = (Path(DATA) / FILES["hellaswag"]["validation"]).read_text().splitlines()[:ITEMS]
    return [row_of(json.loads(line)) for line in lines]


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
@pytest.mark.parametrize("who", ["base", "adapter"])
@pytest.mark.parametrize("name", ["arc_challenge", "hellaswag"])
def test_choices_are_the_harnesss(variants, name, who, chat):
    model, tokenizer, adapters = variants
    with adapted(model, adapters[who]) as variant:
        samples = theirs(variant, tokenizer, name, chat, None)
        asker, rows, outcomes = ours(variant, tokenizer, name, chat, None)
    assert len(samples) == len(rows) == ITEMS
    picked = []
    for sample, row, outcome in zip(samples, rows, outcomes, strict=True):
        delimiter = "" if chat else " "
        asked = [(asker.text(row), delimiter + choice) for choice in row.reference["choices"]]
        assert [tuple(one) for one in sample["arguments"]] == asked
        found = [float(value) for value in outcome.reasons[0].partition("log-likelihoods ")[2].split(", ")]
        assert found == pytest.approx([float(one[0]) for one in sample["filtered_resps"]], abs=2e-3)
        assert outcome.metrics == {"acc": sample["acc"], "acc_norm": sample["acc_norm"]}
        picked.append(outcome.completions[0])
    assert 0 < sum(outcome.greedy for outcome in outcomes) < ITEMS


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
@pytest.mark.parametrize("who", ["base", "adapter"])
@pytest.mark.parametrize("name, few_shot", [("gsm8k", None), ("gsm8k", 1), ("hendrycks_math_algebra", None)])
def test_completions_are_the_harnesss(variants, name, few_shot, who, chat):
    model, tokenizer, adapters = variants
    with adapted(model, adapters[who]) as variant:
        samples = theirs(variant, tokenizer, name, chat, few_shot)
        asker, rows, outcomes = ours(variant, tokenizer, name, chat, few_shot)
    metrics = {"strict-match": "strict-match", "flexible-extract": "flexible-extract", "none": "exact_match"}
    seen = set()
    for sample in samples:
        row, outcome = rows[sample["doc_id"]], outcomes[sample["doc_id"]]
        assert sample["arguments"][0][0] == asker.text(row)
        assert sample["resps"] == [[outcome.completions[0]]]
        assert outcome.metrics[metrics[sample["filter"]]] == sample["exact_match"]
        seen.add(outcome.completions[0])
    assert not OWN_BASE or len(seen) > ITEMS // 10, "the outputs are all alike"


def test_extraction_and_comparison_are_the_harnesss_on_made_up_answers():
    """The model's own answers are poor; these are answers that people and models write."""
    from lm_eval.filters.extraction import RegexFilter
    from lm_eval.tasks.hendrycks_math import utils as math_utils

    from factory.benchmarks import _math_text, gsm8k
    from factory.benchmarks._harness import extracted

    rng = random.Random(0)
    parts = ["#### ", "18", "-3", "1,234", "$5.50", "\n", " apples", "####", "0.", ".5", "so ", "%", "#### -2", " = "]
    texts = ["".join(rng.choices(parts, k=rng.randint(0, 7))) for _ in range(3000)]
    for pattern, which in ((gsm8k.STRICT, 0), (gsm8k.FLEXIBLE, -1)):
        filtered = RegexFilter(pattern.pattern, which).apply([[text] for text in texts], [{}] * len(texts))
        assert [one[0] for one in filtered] == [extracted(pattern, text, which) for text in texts]
    pieces = [
        *("\\frac", "\\dfrac", "{1}", "{2}", "12", "1", "a", "/", "3/4", "x=", "y = ", "\\sqrt", "\\sqrt{2}", "0.5"),
        *(".5", "\\text{ cm}", "\\%", "\\$", "^\\circ", "\\left(", "\\right)", " ", "\\!", "\n", "-", "$", "{.5}"),
        *("\\\\", "+"),
    ]
    for _ in range(20000):
        one, two = ("".join(rng.choices(pieces, k=rng.randint(0, 5))) for _ in range(2))
        assert _math_text.same(one, two) == math_utils.is_equiv(one, two), (one, two)
        try:
            spelled = math_utils.strip_string(one)
        except Exception:  # noqa: BLE001
            continue
        assert _math_text.spelled(one) == spelled


def test_every_math_gold_is_the_harnesss():
    from lm_eval.tasks.hendrycks_math import utils as math_utils

    from factory.benchmarks import _math_text
    from factory.tasks.math import DATASET

    for plain in DATASET.rows("test", Source(Path(DATA))):
        solution = plain["solution"]
        theirs_gold = math_utils.remove_boxed(math_utils.last_boxed_only_string(solution))
        assert _math_text.gold_of(solution) == theirs_gold.strip()
