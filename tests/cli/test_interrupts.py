"""Ctrl-C and damage, on a real run: the right exit code, one line, nothing left running, and the next run goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PICO = Path(__file__).parents[1] / "studies" / "pico.yaml"


def command(*arguments):
    return [sys.executable, "-m", "factory", *map(str, arguments)]


def factory(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=250, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A pico study that has run, at a seed of its own."""
    store = tmp_path_factory.mktemp("cli") / "store"
    done = factory("run", PICO, "--store", store)
    assert done.returncode == 0, done.stderr
    return store


def interrupt_at(store: Path, stage: str) -> tuple[int, str, int]:
    """Start a run, press Ctrl-C as soon as a stage has started; gives exit code, stderr and the process group."""
    process = subprocess.Popen(
        command("run", PICO, "--store", store), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith(stage):
            time.sleep(0.3)
            os.killpg(process.pid, signal.SIGINT)
            break
    seen.append(process.stderr.read())
    process.wait(timeout=30)
    return process.returncode, "".join(seen), process.pid


def test_ctrl_c_in_each_stage_and_then_on_to_the_end(tmp_path):
    store = tmp_path / "store"
    # The cells have no line when they start; the merge's end is where they begin.
    for stage in ("base: ", "adapters: ", "merges: "):
        code, err, group = interrupt_at(store, stage)
        assert code == 130, err
        assert "stopped; run the same command again to go on" in err
        assert "Traceback" not in err
        with pytest.raises(ProcessLookupError):
            os.killpg(group, 0)
    done = factory("run", PICO, "--store", store)
    assert done.returncode == 0, done.stderr


def test_a_truncated_adapter_is_refused_by_name_and_can_be_removed(finished, tmp_path):
    weights = next(finished.glob("*/adapters/math-*/adapter_model.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    try:
        for arguments in (("run", PICO), ("merge", "--recipe", "linear", "math", "sql", "--out", tmp_path / "m")):
            done = factory(*arguments, "--store", finished)
            assert done.returncode == 2, done.stderr
            assert "adapter_model.safetensors" in done.stderr
            assert "factory rm" in done.stderr
            assert len(done.stderr.strip().splitlines()) == 1
        listed = factory("ls", "--store", finished)
        assert "damaged" in listed.stdout
    finally:
        weights.write_bytes(whole)


def test_changed_weights_of_the_right_size_are_noticed_when_they_are_read(finished, tmp_path):
    weights = next(finished.glob("*/adapters/math-*/adapter_model.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        done = factory("merge", "--recipe", "linear", "math", "sql", "--out", tmp_path / "m", "--store", finished)
        assert done.returncode == 2
        assert "not what its card says" in done.stderr
        assert not (tmp_path / "m").exists()
    finally:
        weights.write_bytes(whole)


def test_weights_that_do_not_match_the_adapters(finished):
    done = factory("merge", "--recipe", "linear", "math", "sql", "--weights", "1", "--store", finished)
    assert done.returncode == 2
    assert "1 weights for 2 adapters" in done.stderr


def test_forcing_one_adapter_rebuilds_what_depends_on_it_with_the_same_bits(finished):
    before = {p: p.read_bytes() for p in finished.glob("*/*/*/adapter_model.safetensors")}
    done = factory("run", PICO, "--force", "math", "--store", finished)
    assert done.returncode == 0, done.stderr
    # The adapter and its two cells, the search, the merge and its two cells.
    assert "built 7" in done.stdout
    assert {p: p.read_bytes() for p in finished.glob("*/*/*/adapter_model.safetensors")} == before


def test_looking_at_what_is_there(finished):
    shown = factory("show", "merge:linear", "--store", finished)
    assert shown.returncode == 0, shown.stderr
    for part in ("adapter:math#0", "adapter:sql#0", "base:embedded#0", "versions"):
        assert part in shown.stdout
    said = factory("generate", "adapter:math", "--prompt", "Find 2 + 3 + 4.", "--compare", "base", "--store", finished)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[0].startswith("adapter:math")
    kept = factory("rm", "math", "--store", finished)
    assert kept.returncode == 2
    assert "--force" in kept.stderr


def test_a_read_only_store_is_one_line(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    done = factory("run", PICO, "--store", tmp_path / "store")
    assert done.returncode == 1
    assert "permission denied" in done.stderr
