"""A user's own tasks as the command line finds them: a file, rows, an installed package; and held to the laws."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
PLUS = """
from factory.tasks._style import Question, Worded
from factory.tasks._task import Task
from factory.verifiers import numeric

def questions(split, source):
    start = {"train": 0, "dev": 100, "test": 200}[split]
    return [Question(f"plus-{n}", f"What is {n} plus {n % 7 + 2}?", str(n + n % 7 + 2), {"answer": str(n + n % 7 + 2)})
            for n in range(start, start + 60)]

def verify(completion, row):
    return numeric.verify(completion, row.reference)

TASK = Task("plus", 1, "small sums", "Apache-2.0", "made here", Worded(questions, "tag"), verify)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What is kept between commands."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def factory(tmp_path, cache):
    """Runs the command line in a fresh folder; gives (exit code, stdout, stderr)."""

    def run(*arguments, path=()):
        environment = {key: value for key, value in os.environ.items() if key != "FACTORY_DATA"}
        environment["PYTHONPATH"] = os.pathsep.join(map(str, (*path, HERE)))
        environment["XDG_CACHE_HOME"] = str(cache)
        command = [sys.executable, "-m", "factory", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        return done.returncode, done.stdout, done.stderr

    (tmp_path / "tasks").mkdir()
    return run


def broken(stdout):
    return [law["law"] for law in json.loads(stdout)["laws"] if not law["holds"]]


def test_a_python_file_beside_the_study_is_listed_shown_and_checked(factory, tmp_path):
    path = tmp_path / "tasks" / "plus.py"
    path.write_text(PLUS)
    code, out, err = factory("tasks", "--json")
    assert code == 0, err
    (entry,) = [entry for entry in json.loads(out) if entry["name"] == "plus"]
    assert (entry["rows"], entry["licence"]) == ({"train": 60, "dev": 60, "test": 60}, "Apache-2.0")
    code, out, err = factory("tasks", "plus@boxed")
    assert code == 0, err
    assert "verdict  score 1.0, equal" in out and "\\boxed{206}" in out
    code, out, err = factory("tasks", "plus", "--check")
    assert (code, err) == (0, "")
    assert out.count("holds ") == 7 and "BROKEN" not in out

    # Three ways to be wrong, each found by the law that says so.
    for wrong, law in (
        ("return numeric.verify('#### ' + row.reference['answer'], {**row.reference, 'style': 'hashes'})", "others"),
        ("return numeric.verify(completion, {**row.reference, 'answer': '0'})", "gold"),
        ("import json; json.loads(completion)", "gold"),
    ):
        path.write_text(PLUS.replace("return numeric.verify(completion, row.reference)", wrong))
        code, out, _ = factory("tasks", "plus", "--check", "--json")
        assert code == 1
        assert law in broken(out)
        assert json.loads(out)["holds"] is False
    path.write_text(PLUS.replace('return [Question(f"plus-{n}"', 'return [Question(f"plus-{hash(str(n))}"'))
    code, out, _ = factory("tasks", "plus", "--check", "--json")
    assert (code, broken(out)) == (1, ["same_rows"])


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("1 / 0", "tasks/plus.py: cannot be imported: ZeroDivisionError: division by zero"),
        ("TASKS = 3", "tasks/plus.py: a task file defines TASK, a Task, or task(member, settings); it has neither"),
        (
            "TASK = 3",
            "tasks/plus.py: a task file defines TASK, a Task, or task(member, settings); TASK or task() is a int",
        ),
    ],
)
def test_a_bad_python_file_is_one_line(factory, tmp_path, source, says):
    (tmp_path / "tasks" / "plus.py").write_text(source)
    code, out, err = factory("tasks", "plus")
    assert (code, out) == (2, "")
    assert says in err and len(err.splitlines()) == 1


def test_the_list_has_a_bad_file_with_what_is_wrong_and_all_the_others(factory, tmp_path):
    (tmp_path / "tasks" / "plus.py").write_text("1 / 0")
    (tmp_path / "tasks" / "rows.jsonl").write_text("{}")
    code, out, _ = factory("tasks")
    assert code == 0
    assert "ZeroDivisionError" in out and "no header" in out and "tiny_math" in out


def test_rows_with_a_header_are_checked_line_by_line(factory, tmp_path):
    head = "---\nsummary: s\nlicence: l\nprompt: '{q}?'\nanswer: a\nverifier: exact\n---\n"
    rows = [json.dumps({"q": f"Question {n}", "a": f"answer {n}"}) for n in range(50)]
    path = tmp_path / "tasks" / "mine.jsonl"
    path.write_text(head + "\n".join(rows))
    code, out, err = factory("tasks", "mine", "--check", "--limit", "20")
    assert code == 0, err
    path.write_text(head + "\n".join([*rows, '{"q": 1}']))
    code, out, err = factory("tasks", "mine", "--check")
    assert (code, out) == (2, "")
    assert err.strip() == "error: tasks/mine.jsonl, line 58: no 'a'; the row has q"


def test_an_installed_package_brings_a_task_by_its_entry_point(factory, tmp_path):
    wheel = tmp_path / "plus_tasks-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        about = "plus_tasks-1.2.dist-info"
        file.writestr("plus_tasks.py", PLUS)
        file.writestr("plus_broken.py", "import no_such_library")
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: plus-tasks\nVersion: 1.2\n")
        file.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        points = "[factory.tasks]\nplus = plus_tasks\nplus_itself = plus_tasks:TASK\nplus_broken = plus_broken\n"
        file.writestr(f"{about}/entry_points.txt", points)
        file.writestr(f"{about}/RECORD", "")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    code, out, err = factory("tasks", "plus", "--json", path=[site])
    assert code == 0, err
    assert json.loads(out)["rows"] == {"train": 60, "dev": 60, "test": 60, "refused": 0}
    code, out, err = factory("tasks", "plus_itself", "--check", path=[site])
    assert code == 0, out + err
    code, out, err = factory("tasks", "plus_broken", path=[site])
    assert code == 2
    assert "entry point plus_broken = plus_broken of plus-tasks: cannot be loaded: ModuleNotFoundError" in err
    said = subprocess.run(
        [sys.executable, "-c", "from factory.tasks._find import source_digest; print(source_digest('plus'))"],
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{HERE}"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == "plus-tasks 1.2"


def test_the_list_imports_nothing_heavy(cache, tmp_path):
    code = "import sys; from factory.cli import main\ntry: main(['tasks'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('torch', 'transformers', 'datasets', 'trl', 'pyarrow') if name in sys.modules])"
    environment = {key: value for key, value in os.environ.items() if key != "FACTORY_DATA"}
    environment |= {"PYTHONPATH": str(HERE), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-c", code]
    said = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert said.stdout.splitlines()[-1] == "[]"
