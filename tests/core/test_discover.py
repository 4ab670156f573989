"""Plug-ins: a file in a folder is one, the user's own wins, and one that fails to import is named with its reason."""

import subprocess
import sys

import pytest

from factory.core import discover
from factory.core.errors import BadInput, UnknownName
from factory.core.hashing import file_digest

TASKS = "factory.tasks"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The user's folder of tasks."""
    monkeypatch.setattr(discover, "_user_root", tmp_path)
    (tmp_path / "tasks").mkdir()
    yield tmp_path / "tasks"
    for name in [name for name in sys.modules if name.startswith("_user_")]:
        del sys.modules[name]


def test_the_users_file_wins_over_ours_and_beside_it_ours_stay(folder):
    assert "tiny_math" in discover.names(TASKS)
    ours = discover.load(TASKS, "tiny_math", kind="task")
    (folder / "tiny_math.py").write_text("WHOSE = 'mine'")
    (folder / "aaa.py").write_text("WHOSE = 'new'")
    assert discover.load(TASKS, "tiny_math", kind="task").WHOSE == "mine"
    assert discover.load(TASKS, "aaa", kind="task").WHOSE == "new"
    assert discover.load(TASKS, "tiny_sql", kind="task").__name__ == "factory.tasks.tiny_sql"
    names = discover.names(TASKS)
    assert names[0] == "aaa" and names.count("tiny_math") == 1 and names == sorted(names)
    (folder / "tiny_math.py").unlink()
    assert discover.load(TASKS, "tiny_math", kind="task") is ours


def test_a_users_file_has_a_digest_and_ours_a_version(folder):
    path = folder / "aaa.py"
    path.write_text("A = 1")
    assert discover.source_digest(TASKS, "aaa") == file_digest(path)
    assert discover.source_digest(TASKS, "tiny_math") is None


def test_listing_imports_nothing(folder):
    (folder / "bomb.py").write_text("raise SystemExit('imported')")
    (folder / "_private.py").write_text("")
    (folder / "notes.txt").write_text("")
    names = discover.names(TASKS)
    assert "bomb" in names
    assert not {"_private", "notes", "__init__"} & set(names)
    heavy = "import sys; from factory.core import discover; discover.names('factory.tasks'); "
    heavy += "print([n for n in sys.modules if n.startswith('factory.tasks.') or n in ('torch', 'datasets')])"
    said = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_library_at_all", "ModuleNotFoundError: No module named 'no_such_library_at_all'"),
        ("from factory.core.errors import Nope", "ImportError: cannot import name 'Nope'"),
        ("def (", "SyntaxError: invalid syntax"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_that_cannot_be_imported_is_shown_with_its_reason(folder, source, reason):
    path = folder / "broken.py"
    path.write_text(source)
    for _ in range(2):  # a half-imported module must not be found the second time
        with pytest.raises(BadInput) as caught:
            discover.load(TASKS, "broken", kind="task")
        assert str(caught.value).startswith(f"{path}: cannot be imported: {reason}")
        assert isinstance(caught.value.__cause__, Exception)
    path.write_text("FIXED = True")
    assert discover.load(TASKS, "broken", kind="task").FIXED


def test_a_file_is_imported_once(folder):
    (folder / "once.py").write_text("VALUES = []")
    discover.load(TASKS, "once", kind="task").VALUES.append(1)
    assert discover.load(TASKS, "once", kind="task").VALUES == [1]


def test_an_unknown_name_suggests_the_nearest(folder):
    (folder / "countdown_mine.py").write_text("")
    with pytest.raises(UnknownName) as caught:
        discover.load(TASKS, "countdwn_mine", kind="task", where="study s")
    assert str(caught.value) == "study s: unknown task 'countdwn_mine'; did you mean 'countdown_mine'?"
    with pytest.raises(LookupError, match=r"unknown task 'zzzzzzzz'; known: .*tiny_math"):
        discover.load(TASKS, "zzzzzzzz", kind="task")
    with pytest.raises(UnknownName):  # no way out of the folder
        discover.load(TASKS, "../tasks/countdown_mine", kind="task")
