"""The layers are found by attacks, and what is not enough is refused unless opted in by name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from factory.sandbox import probe

ROOT = Path(__file__).parents[2]
needs_strong = pytest.mark.skipif(probe().level != "strong", reason=f"this machine is not strong: {probe().missing}")

SAY = "from factory.sandbox import probe; l = probe(); print(l.level, l.usable, l.missing, sep='|')"
RUN = """
from factory.verifiers import python
print(python.verify("def f(): return 1", {"tests": "assert f() == 1"}).correct)
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, **environment},
    )  # fmt: skip


@needs_strong
@pytest.mark.parametrize(
    "without, level, named",
    [("", "strong", ""), ("namespaces", "good", "namespaces"), ("seccomp", "weak", "seccomp"),
     ("landlock", "weak", "landlock"), ("landlock,namespaces", "weak", "landlock")],
)  # fmt: skip
def test_a_missing_layer_is_found(without: str, level: str, named: str) -> None:
    found, usable, missing = run(SAY, FACTORY_SANDBOX_WITHOUT=without).stdout.strip().split("|")
    assert (found, usable) == (level, str(level in ("strong", "good")))
    assert named in missing


@needs_strong
def test_too_little_is_refused_by_default() -> None:
    refused = run(RUN, FACTORY_SANDBOX_WITHOUT="seccomp")
    assert refused.returncode != 0 and "cannot isolate untrusted code" in refused.stderr
    allowed = run(RUN, FACTORY_SANDBOX_WITHOUT="seccomp", FACTORY_SANDBOX="weak")
    assert allowed.stdout.strip() == "True"


def test_other_systems_get_a_clear_statement(monkeypatch) -> None:
    from factory.sandbox import probe as probe_
    from factory.sandbox.probe import _probed

    monkeypatch.setattr("sys.platform", "darwin")
    _probed.cache_clear()
    layers = probe_()
    _probed.cache_clear()
    assert layers.level == "none" and not layers.usable and "need Linux" in layers.missing
