"""Attacks fail and harm nothing, honest completions pass: as this user, as nobody, and without namespaces."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.sandbox import probe

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NOBODY = 65534

pytestmark = pytest.mark.skipif(not probe().usable, reason=f"no usable sandbox on this machine: {probe().missing}")


def tables() -> list[Path]:
    shared = os.environ.get("FACTORY_CASES")
    return [HERE / "attacks.jsonl", *([Path(shared) / "python.jsonl"] if shared else [])]


@pytest.fixture
def escape() -> Iterator[Path]:
    """A folder outside the sandbox; not pytest's own, which only this user may enter."""
    with tempfile.TemporaryDirectory(prefix="escape-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def run(python: str, table: Path, escape: Path, user: int | None, extra: dict[str, str]) -> list[dict]:
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": str(escape), **extra}
    done = subprocess.run(
        [python, "-B", str(HERE / "attacks.py"), str(table), str(escape)],
        capture_output=True, text=True, timeout=280, check=False, cwd="/", env=environment,
        user=user, group=user, extra_groups=[] if user else None,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def judge(results: list[dict], table: Path) -> None:
    wanted = len(table.read_text().splitlines()) + 1
    assert len(results) == wanted
    wrong = []
    for one in results:
        accepted = one["correct"] is True
        late = one["expect"] != "timeout" or "timed out" in one["reason"] or "CPU" in one["reason"]
        if one["correct"] is None or accepted is not (one["expect"] == "accept") or one["harm"] or not late:
            wrong.append(one)
    assert wrong == []


def unprivileged_python() -> str:
    """An interpreter that nobody can start: the one we run if its folder is open to all, else the system's."""
    for python in (sys.executable, "/usr/bin/python3"):
        probe_ = "import sys; import sqlite3; sys.exit(sys.version_info < (3, 11))"
        try:
            done = subprocess.run(
                [python, "-c", probe_], user=NOBODY, group=NOBODY, extra_groups=[], check=False, cwd="/"
            )
        except PermissionError:
            continue
        if done.returncode == 0:
            return python
    pytest.skip("no Python 3.11 that an unprivileged user can start")


@pytest.mark.parametrize("table", tables(), ids=lambda path: path.stem)
def test_no_attack_is_accepted_and_no_harm_is_done(table: Path, escape: Path) -> None:
    judge(run(sys.executable, table, escape, None, {}), table)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("table", tables(), ids=lambda path: path.stem)
def test_the_same_as_an_unprivileged_user(table: Path, escape: Path) -> None:
    judge(run(unprivileged_python(), table, escape, NOBODY, {}), table)


@pytest.mark.parametrize("table", tables(), ids=lambda path: path.stem)
def test_the_same_without_namespaces(table: Path, escape: Path) -> None:
    """A machine that forbids user namespaces gives the layer `good`, which must hold as well."""
    judge(run(sys.executable, table, escape, None, {"FACTORY_SANDBOX_WITHOUT": "namespaces"}), table)
