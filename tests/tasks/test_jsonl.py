"""Tasks that are a file of rows: what a header can say, how rows are split and checked, what is said of a bad file."""

import json

import pytest

from factory.core import discover
from factory.core.errors import BadInput
from factory.tasks import _laws
from factory.tasks._find import demonstration_of, find_task, source_digest, task_names
from factory.tasks._subject import Subject
from factory.tasks._task import Source

HEADER = {
    "summary": "capitals of countries",
    "licence": "CC0-1.0",
    "prompt": "What is the capital of {country}?",
    "answer": "capital",
    "verifier": "exact",
    "options": {"fold": True},
    "style": "tag",
}
NAMES = [(f"{a}{b}ia", f"{b}{a}ville") for a in ("Ar", "Bo", "Cu", "De", "Em", "Fo") for b in ("la", "mo", "ni", "ru")]
ROWS = [{"country": country, "capital": capital} for country, capital in NAMES]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a task of rows into the user's folder; gives its file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(discover, "_user_root", tmp_path)
    (tmp_path / "tasks").mkdir()

    def write_file(rows=ROWS, name="mine", text=None, **header):
        path = tmp_path / "tasks" / f"{name}.jsonl"
        said = {key: value for key, value in {**HEADER, **header}.items() if value is not None}
        lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in said.items()), "---", *map(json.dumps, rows)]
        path.write_text(text if text is not None else "\n".join(lines) + "\n")
        return path

    return write_file


def every_row(name):
    task = find_task(name)
    return [row for split in task.splits for row in task.rows(split, Source())]


def test_a_file_of_rows_is_a_task_that_keeps_the_laws(write):
    path = write()
    assert "mine" in task_names()
    task = find_task("mine")
    rows = every_row("mine")
    assert len(rows) == 24
    assert {row.prompt for row in rows} >= {
        "What is the capital of Arlaia? Think step by step and give the answer as <answer>ANSWER</answer>."
    }
    row = next(row for row in rows if "Arlaia" in row.prompt)
    assert row.gold == "<answer>laArville</answer>"
    assert task.verify("<answer>LAarVILLE</answer>", row).correct  # fold
    assert not task.verify("<answer>moArville</answer>", row).correct
    assert not task.verify("laArville", row).correct
    assert [finding for finding in _laws.check(Subject.of("mine", Source())) if finding.problem] == []
    assert source_digest("mine") == task.fingerprint(Source())
    assert demonstration_of("mine") is None
    before = task.fingerprint(Source())
    path.write_text(path.read_text() + '{"country": "Newland", "capital": "Newtown"}\n')
    assert find_task("mine").fingerprint(Source()) != before
    assert len(every_row("mine")) == 25


def test_other_styles_and_words(write):
    write(ask="Say only <answer>NAME</answer>.")
    assert every_row("mine")[0].prompt.endswith("? Say only <answer>NAME</answer>.")
    assert every_row("mine@boxed")[0].prompt.endswith("\\boxed{}.")
    write(ask="")
    assert every_row("mine")[0].prompt.endswith("ia?")


def test_the_rows_own_splits_and_the_shares(write):
    write(
        [{**row, "part": ("train", "train", "validation", "test")[n % 4]} for n, row in enumerate(ROWS)], split="part"
    )
    task = find_task("mine")
    assert {split: len(task.rows(split, Source())) for split in task.splits} == {"train": 12, "dev": 6, "test": 6}
    write([{**row, "part": "test"} for row in ROWS], split="part")
    assert find_task("mine").splits == ("test",)
    with pytest.raises(BadInput, match="mine has no train split, only test"):
        find_task("mine").rows("train", Source())
    many = [{"country": f"C{n}", "capital": f"T{n}"} for n in range(1000)]
    write(many, split={"test": 0.5, "dev": 0.25})
    task = find_task("mine")
    counts = {split: len(task.rows(split, Source())) for split in task.splits}
    assert sum(counts.values()) == 1000
    assert abs(counts["test"] - 500) < 64 and abs(counts["dev"] - 250) < 55  # four standard deviations
    write(many[:500], split={"test": 0.5, "dev": 0.25})
    shorter = {row.prompt for row in find_task("mine").rows("test", Source())}
    assert shorter == {row.prompt for row in task.rows("test", Source())} & {row.prompt for row in every_row("mine")}


def test_numbers_formulas_choices_queries_and_code(write):
    sums = [{"a": n, "sum": n + 3, "how": f"{n} + 3", "hard": n % 3} for n in range(40)]
    write(sums, prompt="What is {a} + 3?", answer="sum", verifier="numeric", options=None, style=None, work="how",
          difficulty="hard")  # fmt: skip
    row = every_row("mine")[0]
    assert row.gold.endswith(f"+ 3\n#### {row.reference['answer']}") and row.difficulty in (0, 1, 2)
    assert find_task("mine").counts(Source())["difficulty"] == [0, 2]

    write([{"a": n, "half": f"\\frac{{{n}}}{{2}}"} for n in range(1, 30)], prompt="Halve ${a}$.", answer="half",
          verifier="math", options=None, style=None)  # fmt: skip
    row = next(row for row in every_row("mine") if "$3$" in row.prompt)
    assert row.prompt.startswith("Halve $3$.") and row.gold == "\\boxed{\\frac{3}{2}}"
    assert find_task("mine").verify("\\boxed{1.5}", row).correct

    choices = [{"q": f"Question {n}", "key": "AB"[n % 2]} for n in range(30)]
    write(choices, prompt="{q}: A or B?", answer="key", verifier="choice", options={"choices": ["A", "B"]}, chance=0.5,
          answer_in_prompt=True)  # fmt: skip
    assert [one.problem for one in _laws.check(Subject.of("mine", Source())) if one.problem] == []

    table = ["CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1), (2), (5)"]
    write([{"n": n, "sql": f"SELECT a FROM t WHERE a > {n}", "tables": table} for n in range(4)],
          prompt="t(a): a over {n}", answer="sql", verifier="sql", options=None, reference={"schema": "tables"},
          style=None)  # fmt: skip
    row = next(row for row in every_row("mine") if "over 0" in row.prompt)
    assert find_task("mine").verify("SELECT a FROM t WHERE a >= 1", row).correct
    assert not find_task("mine").verify("SELECT 7", row).correct

    code = [
        {"n": n, "code": f"def add(x):\n    return x + {n}", "tests": [f"assert add(1) == {n + 1}"]} for n in range(3)
    ]
    write(code, prompt="Write add(x), which adds {n}.", answer="code", verifier="python", options=None,
          reference={"tests": "tests"}, style="tag")  # fmt: skip
    row = every_row("mine")[0]
    assert find_task("mine").verify(row.gold, row).correct
    assert not find_task("mine").verify("<answer>def add(x): return 99</answer>", row).correct


def test_rows_whose_answer_the_verifier_refuses_are_left_out_and_named(write):
    path = write([{"a": 1, "sum": 2}, {"a": 2, "sum": "many"}, {"a": 3, "sum": 4}, {"a": 1, "sum": 2}],
                 prompt="{a} + 1?", answer="sum", verifier="numeric", options=None, style=None)  # fmt: skip
    task = find_task("mine")
    assert len(every_row("mine")) == 2
    found = {one.where: one.reason for one in task.refused(Source())}
    assert found[f"{path}, line 11"] == f"the same question as {path}, line 8"
    assert "the gold answer 'many' is not a number" in found[f"{path}, line 9"]
    assert len(found) == 2


BAD_HEADERS = [
    ({"answer": None}, "mine.jsonl, header: 'answer' is missing"),
    ({"promt": "x"}, "mine.jsonl, header: unknown key 'promt'; did you mean 'prompt'?"),
    ({"verifier": "exakt"}, "mine.jsonl, header: unknown verifier 'exakt'; did you mean 'exact'?"),
    ({"options": {"case": 1}}, "unknown option of verifier exact 'case'; known: fold"),
    ({"style": "box"}, "unknown style of verifier exact 'box'; did you mean 'boxed'?"),
    ({"prompt": "What?"}, "prompt: no {field} in it"),
    ({"prompt": "{country.x}"}, "{country.x} is no plain field"),
    ({"prompt": "a set {1, 2}: {country}"}, "{1, 2} is no plain field; braces that are no field are doubled"),
    ({"prompt": "{country"}, "braces that are no field are doubled"),
    ({"split": {"test": 0.6, "dev": 0.5}}, "leave no rows for training"),
    ({"chance": 3}, "chance: input should be less than or equal to 1, got 3"),
]


@pytest.mark.parametrize(("header", "says"), BAD_HEADERS)
def test_a_bad_header_is_one_line_that_names_the_key(write, header, says):
    write(**header)
    with pytest.raises(BadInput) as error:
        find_task("mine")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


HEAD = "---\nsummary: s\nlicence: l\nprompt: '{q}?'\nanswer: a\nverifier: exact\n---\n"
BAD_FILES = [
    ('{"q": 1, "a": 2}\n', "mine.jsonl: no header; expected a line '---'"),
    ("---\nsummary: s\n", "no header; expected a line '---'"),
    ("---\nsummary: [\n---\n", "mine.jsonl, header: not valid YAML"),
    (HEAD, "no rows after the header"),
    (HEAD + '{"q": "1", "a": "2"}\n{"q": "1", \n', "mine.jsonl, line 9: not valid JSON"),
    (HEAD + '["1", "2"]\n', "line 8: expected an object with named fields, got a list"),
    (HEAD + '{"q": "1", "A": "2"}\n', "line 8: no 'a'; the row has A, q"),
    (HEAD + '{"q": "1", "a": null}\n', "line 8: 'a' should be a text or a number, got null"),
    (HEAD + '{"q": ["1"], "a": "2"}\n', "line 8: 'q' should be a text or a number, got [\"1\"]"),
    (HEAD.replace("answer", "split: p\nanswer") + '{"q": "1", "a": "2", "p": "trian"}\n', "line 9: 'p' is \"trian\""),
    (
        HEAD.replace("answer", "difficulty: d\nanswer") + '{"q": 1, "a": 2, "d": "hard"}\n',
        "'d' should be a whole",
    ),
    (HEAD.replace("exact", "numeric") + '{"q": "1", "a": "two"}\n', "no row can be used; "),
]


@pytest.mark.parametrize(("text", "says"), BAD_FILES)
def test_a_bad_file_is_one_line_that_names_the_place(write, text, says):
    write(text=text)
    with pytest.raises(BadInput) as error:
        every_row("mine")
    assert says in str(error.value)
    assert "mine" in str(error.value)
    assert "\n" not in str(error.value)


def test_python_wins_over_rows_of_the_same_name(write):
    path = write()
    path.with_suffix(".py").write_text("from factory.tasks.tiny_math import TASK\n")
    assert find_task("mine").summary == find_task("tiny_math").summary
    assert task_names().count("mine") == 1


def test_a_broken_task_of_rows_breaks_the_law_that_it_breaks(write):
    write([{"country": f"C{n} whose capital is T{n}", "capital": f"T{n}"} for n in range(60)])
    broken = {finding.law: finding.problem for finding in _laws.check(Subject.of("mine", Source())) if finding.problem}
    assert list(broken) == ["no_leak"]
    write([{"country": f"C{n}", "capital": "yes"} for n in range(60)])
    broken = {finding.law: finding.problem for finding in _laws.check(Subject.of("mine", Source())) if finding.problem}
    assert "declare 'chance'" in broken["others"]
