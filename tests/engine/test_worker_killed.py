"""A worker that the kernel kills (out of memory, say): one clear line, exit code 1, and the next run finishes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PICO = Path(__file__).parents[1] / "studies" / "pico.yaml"


def command(store):
    options = ["--store", str(store), "--jobs", "1", "--only", "adapters"]
    return [sys.executable, "-m", "factory", "run", str(PICO), *options]


def worker_of(process, seconds=60):
    """The worker of a running study, once it is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        for child in psutil.Process(process.pid).children():
            if "factory.engine.worker" in child.cmdline():
                return child
        time.sleep(0.02)
    pytest.fail("no worker was started")


def until(folder, pattern, process, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if any(folder.rglob(pattern)):
            return
        time.sleep(0.02)
    pytest.fail(f"no {pattern} appeared")


def test_a_killed_worker_is_one_clear_line_and_the_next_run_finishes(tmp_path):
    store = tmp_path / "store"
    process = subprocess.Popen(command(store), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        worker = worker_of(process)
        until(store, "checkpoint-*", process)
        worker.kill()
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1, err
    assert out == ""
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert err.rstrip().endswith(errors[0])
    assert "/adapter:" in errors[0]
    assert "was killed by SIGKILL" in errors[0]
    assert "run the same command again" in errors[0]
    assert "Traceback" not in err
    assert worker.pid not in psutil.pids() or psutil.Process(worker.pid).status() == psutil.STATUS_ZOMBIE

    again = subprocess.run(command(store), capture_output=True, text=True, timeout=200, check=False)
    assert again.returncode == 0, again.stderr
    assert "found 2 finished" in again.stdout, "the base and the check were not done twice"


def test_a_stopped_parent_takes_its_worker_along(tmp_path):
    process = subprocess.Popen(command(tmp_path / "store"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        worker = worker_of(process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        worker.wait(timeout=10)
    finally:
        process.kill()
        process.wait()
