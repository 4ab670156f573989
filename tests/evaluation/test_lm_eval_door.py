"""Tasks of lm-evaluation-harness: the variant is scored, every item is kept, files that change are noticed."""

import importlib
import json

import pytest
import torch

pytest.importorskip("lm_eval")

from factory.benchmarks._benchmark import load_benchmark
from factory.core.errors import BadInput, CorruptFile, UnknownName
from factory.core.study import Decoding
from factory.engine.plan import check_benchmark
from factory.evaluation import lm_eval_door
from factory.evaluation.variants import adapted
from factory.models.load import load_model, load_tokenizer
from factory.tasks._task import Source

CHOICES = """\
task: pick
dataset_path: json
dataset_kwargs: {data_files: {test: DATA, train: DATA}}
test_split: test
fewshot_split: train
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: choices
doc_to_target: gold
metric_list: [{metric: acc}, {metric: acc_norm}]
"""
WRITTEN = """\
task: write
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8, do_sample: false}
filter_list:
  - {name: whole, filter: [{function: take_first}]}
  - {name: first_letter, filter: [{function: regex, regex_pattern: "(.)"}, {function: take_first}]}
metric_list: [{metric: exact_match}]
"""
GROUP = """\
group: both
task: [pick, write]
aggregate_metric_list:
  - {metric: acc, weight_by_size: true, filter_list: none}
"""
QUESTIONS = [f"{a} + {b} =" for a, b in ((1, 2), (3, 4), (5, 5), (7, 1), (2, 9), (8, 6))]
WORDS = [" 3", " 7", " seventeen", " 10 or so"]


@pytest.fixture(scope="module")
def model(pico_base):
    return load_model(str(pico_base))


@pytest.fixture(scope="module")
def tokenizer(pico_base):
    return load_tokenizer(str(pico_base))


def written(folder, name, text, rows):
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = folder / f"{name}.yaml"
    file.write_text(text.replace("DATA", str(data)))
    return file


def answer(model, tokenizer, prompt):
    """What the model says greedily, up to the end of the line, by plain transformers."""
    tokens = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
    said = model.generate(tokens, max_new_tokens=8, do_sample=False, pad_token_id=tokenizer.eos_token_id)
    return tokenizer.decode(said[0, tokens.shape[1] :], skip_special_tokens=True).split("\n")[0]


@pytest.fixture
def files(tmp_path, model, tokenizer):
    """A task of choices, one of written answers whose even golds are what the base says, and a group of both."""
    written(
        tmp_path, "pick", CHOICES, [{"question": q, "choices": WORDS, "gold": n % 4} for n, q in enumerate(QUESTIONS)]
    )
    said = [answer(model, tokenizer, question) for question in QUESTIONS]
    golds = [text if n % 2 == 0 else text + "x" for n, text in enumerate(said)]
    written(tmp_path, "write", WRITTEN, [{"question": q, "answer": a} for q, a in zip(QUESTIONS, golds, strict=True)])
    (tmp_path / "both.yaml").write_text(GROUP)
    return tmp_path


def ran(model, tokenizer, file, **decoding):
    pinned = load_benchmark(f"lm_eval:{file}").decoding()
    return lm_eval_door.run(model, tokenizer, str(file), Decoding(**{**pinned, **decoding}))


def log_likelihood(model, tokenizer, prompt, continuation):
    start = len(tokenizer(prompt, add_special_tokens=False).input_ids)
    tokens = tokenizer(prompt + continuation, add_special_tokens=False, return_tensors="pt").input_ids
    with torch.no_grad():
        scores = model(tokens).logits.log_softmax(-1)[0, start - 1 : -1]
    return scores.gather(1, tokens[0, start:, None]).sum().item()


def test_choices_are_scored_by_the_variants_own_likelihoods(files, model, tokenizer, loud_adapter):
    found = {}
    for who, folder in (("base", None), ("adapter", loud_adapter)):
        with adapted(model, folder) as variant:
            found[who] = ran(variant, tokenizer, files / "pick.yaml")
            likely = [[log_likelihood(variant, tokenizer, q, " " + word) for word in WORDS] for q in QUESTIONS]
        best = [row.index(max(row)) for row in likely]
        per_letter = [[one / len(word) for one, word in zip(row, WORDS, strict=True)] for row in likely]
        best_norm = [row.index(max(row)) for row in per_letter]
        metrics = [outcome["metrics"] for outcome in found[who]["outcomes"]]
        assert [one["acc,none"] for one in metrics] == [float(n % 4 == pick) for n, pick in enumerate(best)]
        assert [one["acc_norm,none"] for one in metrics] == [float(n % 4 == pick) for n, pick in enumerate(best_norm)]
        assert [outcome["greedy"] for outcome in found[who]["outcomes"]] == [one["acc,none"] for one in metrics]
    assert found["base"]["outcomes"] != found["adapter"]["outcomes"]
    assert ran(model, tokenizer, files / "pick.yaml") == found["base"], "the base comes back untouched"


def test_written_answers_are_the_variants_and_kept(files, model, tokenizer):
    found = ran(model, tokenizer, files / "write.yaml")
    assert [outcome["greedy"] for outcome in found["outcomes"]] == [1.0, 0.0] * 3
    said = [answer(model, tokenizer, question) for question in QUESTIONS]
    assert [outcome["completions"] for outcome in found["outcomes"]] == [[text] for text in said]
    assert all("exact_match,first_letter" in outcome["metrics"] for outcome in found["outcomes"])
    assert list(found["prompts"].values()) == QUESTIONS
    other = ran(model, tokenizer, files / "write.yaml", metric="exact_match,first_letter", limit=4)
    golds = [json.loads(line)["answer"] for line in (files / "write.jsonl").read_text().splitlines()[:4]]
    expected = [float(text[:1] == gold) for text, gold in zip(said, golds, strict=False)]
    assert [outcome["greedy"] for outcome in other["outcomes"]] == expected


def test_a_group_is_all_its_items_and_the_harnesss_own_aggregate_stands_beside(files, model, tokenizer):
    found = ran(model, tokenizer, files / "both.yaml")
    items = {outcome["item"]: outcome["greedy"] for outcome in found["outcomes"]}
    assert list(items) == [f"{task}/{n}" for task in ("pick", "write") for n in range(6)]
    picked = sum(items[f"pick/{n}"] for n in range(6)) / 6
    assert found["harness"]["groups"]["both"]["acc,none"] == pytest.approx(picked)
    assert found["harness"]["results"]["pick"]["acc,none"] == pytest.approx(picked)
    assert found["harness"]["results"]["write"]["exact_match,whole"] == pytest.approx(0.5)


def test_worked_examples_are_those_asked_for(files, model, tokenizer):
    none = ran(model, tokenizer, files / "pick.yaml")
    two = ran(model, tokenizer, files / "pick.yaml", few_shot=2)
    assert none["harness"]["few_shot"] == {"pick": 0}
    assert two["harness"]["few_shot"] == {"pick": 2}
    for item, question in enumerate(QUESTIONS):
        assert none["prompts"][str(item)] == question
        examples = two["prompts"][str(item)].split("\n\n")
        assert len(examples) == 3
        assert examples[2] == question
        assert question not in examples[:2]
        assert all(any(one.startswith(other) for other in QUESTIONS) for one in examples[:2])
    fixed = files / "fixed.yaml"
    fixed.write_text((files / "pick.yaml").read_text() + "num_fewshot: 0\n")
    with pytest.raises(BadInput, match="without examples; take few_shot out"):
        ran(model, tokenizer, fixed, few_shot=1)


def test_a_cell_is_stale_when_any_file_of_its_task_changes(files, monkeypatch):
    monkeypatch.chdir(files)
    shared = (files / "write.yaml").read_text().replace("task: write\n", "process_docs: !function docs.all_of\n")
    (files / "common.yaml").write_text(shared)
    (files / "docs.py").write_text("def all_of(rows):\n    return rows\n")
    (files / "deep").mkdir()
    (files / "deep" / "mine.yaml").write_text("include: ../common.yaml\ntask: mine\n")

    def told(name):
        return load_benchmark(f"lm_eval:{name}").fingerprint(Source())

    of_file, of_group = told("deep/mine.yaml"), told("both.yaml")
    assert told("deep/mine.yaml") == of_file
    (files / "notes.txt").write_text("of nobody")
    assert (told("deep/mine.yaml"), told("both.yaml")) == (of_file, of_group)
    for changed, extra in (("deep/mine.yaml", "#"), ("common.yaml", "#"), ("docs.py", "#"), ("write.jsonl", "\n")):
        kept = (files / changed).read_text()
        (files / changed).write_text(kept + extra)
        assert told("deep/mine.yaml") != of_file, changed
        assert (told("both.yaml") != of_group) == (changed == "write.jsonl")
        (files / changed).write_text(kept)
    for changed, extra in (("pick.jsonl", "\n"), ("pick.yaml", "#"), ("both.yaml", "#")):
        kept = (files / changed).read_text()
        (files / changed).write_text(kept + extra)
        assert told("both.yaml") != of_group, changed
        (files / changed).write_text(kept)


def test_what_a_group_says_for_all_its_tasks_counts_too(files):
    (files / "other.jsonl").write_text((files / "write.jsonl").read_text())
    data = f"dataset_kwargs: {{data_files: {{test: {files / 'other.jsonl'}}}}}\n"
    (files / "over.yaml").write_text(f"group: over\ntask: [write]\n{data}")
    benchmark = load_benchmark(f"lm_eval:{files / 'over.yaml'}")
    before = benchmark.fingerprint(Source())
    (files / "other.jsonl").write_text("{}\n")
    assert benchmark.fingerprint(Source()) != before


def test_a_changed_data_file_makes_another_cell_with_the_new_items(files, pico_base):
    from factory.core.progress import silent
    from factory.engine.single import plan_cells
    from factory.store.store import Store

    store = Store(files / "store")

    def built():
        planned = plan_cells(store.root, ["base"], [f"lm_eval:{files / 'write.yaml'}"], str(pico_base), {}, 0, None)
        (job,) = planned.plan.jobs
        if not store.has(job.ref):
            from factory.evaluation.score import build_cell

            build_cell(store, job.ref, dict(job.spec), silent)
        items = (store.path(job.ref) / "items.jsonl").read_text().splitlines()
        return job.ref, [json.loads(line)["greedy"] for line in items], store.card(job.ref)

    first, scores, card = built()
    assert scores == [1.0, 0.0] * 3
    assert card["metrics"]["greedy"] == 0.5
    assert card["metrics"]["harness"]["results"]["write"]["exact_match,whole"] == 0.5
    assert built()[0] == first
    rows = [json.loads(line) for line in (files / "write.jsonl").read_text().splitlines()]
    rows[1]["answer"] = rows[1]["answer"].removesuffix("x")
    (files / "write.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    second, scores, _ = built()
    assert second != first
    assert scores == [1.0, 1.0, 1.0, 0.0, 1.0, 0.0]


def checked(name, **asked):
    benchmark = load_benchmark(f"lm_eval:{name}")
    check_benchmark(benchmark, Decoding(**{**benchmark.decoding(), **asked}), Source(), "study s")


def test_names_of_the_harness_are_known_and_the_nearest_is_suggested(files):
    checked("arc_easy")
    with pytest.raises(
        UnknownName, match=r"^study s: unknown lm_eval task 'arc_chalenge'; did you mean 'arc_challenge'\?$"
    ):
        checked("arc_chalenge")
    (files / "mixed.yaml").write_text("group: mixed\ntask: [pick, arc_easi]\n")
    with pytest.raises(UnknownName, match="'arc_easi'; did you mean 'arc_easy'"):
        checked(files / "mixed.yaml")
    # A group of the harness is looked through for tasks that run code.
    with pytest.raises(BadInput, match=r"longproc.*runs model code unprotected.*humaneval and mbpp"):
        checked("longproc_pseudo_to_code_2k")


@pytest.mark.parametrize(
    "name, ours",
    [
        ("humaneval", "take benchmark humaneval"),
        ("mbpp_instruct", "take benchmark mbpp"),
        ("cruxeval_input", "humaneval and mbpp"),
    ],
)
def test_tasks_that_run_model_code_are_refused_by_name(name, ours):
    with pytest.raises(BadInput, match=f"^study s: lm_eval:{name}: .* runs model code unprotected; .*{ours}"):
        checked(name)


def test_files_that_run_model_code_are_refused(files):
    text = (files / "write.yaml").read_text()
    for unsafe in (text + "unsafe_code: true\n", text.replace("metric: exact_match", "metric: code_eval")):
        (files / "mine.yaml").write_text(unsafe)
        with pytest.raises(BadInput, match="runs model code unprotected"):
            checked(files / "mine.yaml")
    for group in ("group: g\ntask: [pick, humaneval]\n", "group: g\ntask: [{task: write, unsafe_code: true}]\n"):
        (files / "g.yaml").write_text(group)
        with pytest.raises(BadInput, match="runs model code unprotected"):
            checked(files / "g.yaml")


def test_without_the_harness_it_is_one_line(monkeypatch):
    monkeypatch.setattr("sys.path", [])
    importlib.invalidate_caches()
    with pytest.raises(BadInput) as caught:
        load_benchmark("lm_eval:arc_easy")
    told = "benchmark lm_eval:arc_easy: lm-evaluation-harness is missing; pip install 'lora-factory[lm-eval]'"
    assert str(caught.value) == told


@pytest.mark.parametrize(
    "text, error, says",
    [
        ("task: x\ndataset_kwargs: {data_files: {test: gone.jsonl}}\n", BadInput, "gone.jsonl is not there"),
        ("task: [x\n", CorruptFile, "not valid YAML"),
        ("- x\n", CorruptFile, "got a list"),
        ("include: gone.yaml\n", BadInput, "gone.yaml, which is not there"),
        ("include: bad.yaml\ntask: x\n", BadInput, "includes itself"),
        ("output_type: generate_until\n", BadInput, "needs 'task: NAME'"),
        ("group: g\ntask: [g]\n", BadInput, "in itself"),
        ("group: g\ntask: [3]\n", BadInput, "no name"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, text, error, says):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(error, match=says) as caught:
        checked(tmp_path / "bad.yaml")
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_and_options_without_effect_are_refused(files):
    with pytest.raises(BadInput, match="no such file"):
        checked(files / "gone.yaml")
    with pytest.raises(BadInput, match="has its own max_new_tokens; leave it out"):
        checked(files / "write.yaml", max_new_tokens=9)
    with pytest.raises(BadInput, match="draws no samples"):
        checked(files / "write.yaml", samples=2)


@pytest.mark.parametrize(
    "change, asked, says",
    [
        (("{{question}}", "{{topic + 1}}"), {}, "cannot be run"),
        (("generate_until", "generate_untill"), {}, "cannot be run"),
        ((), {"metric": "acc"}, "no metric 'acc' to score by; it has exact_match"),
        (("exact_match}", "exact_match, higher_is_better: false}"), {}, "better when it is more"),
    ],
)
def test_a_task_that_cannot_be_scored_says_why(files, model, tokenizer, change, asked, says):
    text = (files / "write.yaml").read_text()
    (files / "odd.yaml").write_text(text.replace(*change) if change else text)
    with pytest.raises(BadInput, match=says):
        ran(model, tokenizer, files / "odd.yaml", **asked)


def test_a_damaged_data_file_is_bad_input(files, model, tokenizer):
    (files / "write.jsonl").write_text('{"question": "1 + 1 =", "answer": \n')
    with pytest.raises(BadInput, match=r"write\.yaml: cannot be run"):
        ran(model, tokenizer, files / "write.yaml")
