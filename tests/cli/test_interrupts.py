"""Ctrl-C and damage, on a real run: the right exit code, one line, nothing left running, and the next run goes on."""

import json
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
def both(tmp_path_factory):
    """Two runs of the pico study at the same time on one store; gives the store and what they said as JSON."""
    store = tmp_path_factory.mktemp("cli") / "store"
    arguments = command("run", PICO, "--store", store, "--jobs", 1, "--json")
    processes = [
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = []
    for process in processes:
        out, err = process.communicate(timeout=280)
        assert process.returncode == 0, err
        said.append(json.loads(out))
    return store, said


@pytest.fixture
def finished(both):
    """A store in which the pico study has run."""
    return both[0]


def test_two_runs_at_once_share_one_store(both):
    store, (one, two) = both
    # Each thing was made by one of them, so both read the same cost from the same cards.
    assert one["stages"] == two["stages"]
    assert [int(stage["jobs"]) for stage in one["stages"].values()] == [1, 1, 2, 2, 8]
    assert not any((store / ".work").iterdir())
    again = factory("run", PICO, "--store", store)
    assert "built 0, found 14 finished" in again.stdout


def interrupt_at(store: Path, sign: str, seconds: float) -> tuple[int, str, int]:
    """Start a run, press Ctrl-C a while after a sign of a stage; gives exit code, stderr and the process group."""
    # A shell's background jobs ignore Ctrl-C, and so would what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command("run", PICO, "--store", store), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    seen = []
    for line in process.stderr:
        seen.append(line)
        if sign in line:
            time.sleep(seconds)
            os.killpg(process.pid, signal.SIGINT)
            break
    seen.append(process.stderr.read())
    process.wait(timeout=30)
    return process.returncode, "".join(seen), process.pid


def test_ctrl_c_in_each_stage_and_then_on_to_the_end(tmp_path):
    store = tmp_path / "store"
    # The cells have no line when they start; where the merge ends only cells are left.
    for sign, seconds in (("base: ", 0.3), ("adapters: ", 0.3), ("merges: ", 0.3), ("/merge:linear#0 done", 0.0)):
        code, err, group = interrupt_at(store, sign, seconds)
        assert code == 130, err
        assert err.splitlines()[-1] == "stopped; run the same command again to go on"
        assert "Traceback" not in err
        assert "error: " not in err
        with pytest.raises(ProcessLookupError):
            os.killpg(group, 0)
    done = factory("run", PICO, "--store", store)
    assert done.returncode == 0, done.stderr
    assert "built 0" not in done.stdout, "the matrix was interrupted before its end"


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


def test_a_read_only_store_is_one_line(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    done = factory("run", PICO, "--store", tmp_path / "store")
    assert done.returncode == 1
    assert "permission denied" in done.stderr
