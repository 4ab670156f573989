"""A full disk: one clear line and exit code 1, and after there is space again the run goes on to its end."""

import subprocess
import sys
from pathlib import Path

import pytest

PICO = Path(__file__).parents[1] / "studies" / "pico.yaml"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 KiB, if this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True, check=False
    ).returncode:
        pytest.skip("this user may not mount a file system to fill")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def run(store):
    command = [sys.executable, "-m", "factory", "run", str(PICO), "--store", str(store)]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)


def test_a_full_disk_is_one_line_and_loses_nothing(small_disk):
    store = small_disk / "store"
    stopped = run(store)
    assert stopped.returncode == 1
    assert "the disk is full; free some space and run the same command again" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)
    done = run(store)
    assert done.returncode == 0, done.stderr


def test_a_read_only_file_system_is_one_line(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    stopped = run(small_disk / "store")
    assert stopped.returncode == 1
    assert "the file system is read-only; choose another folder with --store" in stopped.stderr
