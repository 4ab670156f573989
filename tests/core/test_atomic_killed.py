"""Atomic files: killed with -9 at any moment, what is there is the whole old thing or the whole new one."""

import random
import subprocess
import sys
import time

from factory.core.atomic import write_bytes

SIZE = 16 << 20
FILES = 40

WRITES = f"""
import sys
from pathlib import Path
from factory.core.atomic import write_bytes
contents = [bytes([n]) * {SIZE} for n in (1, 2)]
while True:
    for content in contents:
        write_bytes(Path(sys.argv[1]), content)
"""

PUBLISHES = f"""
import sys
from pathlib import Path
from factory.core.atomic import publish_folder
destination, turn = Path(sys.argv[1]), 0
while True:
    turn += 1
    built = destination.parent / "built"
    built.mkdir()
    for n in range({FILES}):
        (built / str(n)).write_text(str(turn) * 1000)
    publish_folder(built, destination, replace=True)
"""


def killed_when(script, destination, seen, delay):
    """Run the script, wait until `seen()`, then `delay` seconds, and kill it with -9."""
    process = subprocess.Popen([sys.executable, "-c", script, str(destination)], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not seen():
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < deadline
        time.sleep(delay)
    finally:
        process.kill()
        _, said = process.communicate()
    assert process.returncode == -9, said


def partials(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".partial-")]


def test_a_file_whose_writer_is_killed_is_the_whole_old_or_the_whole_new(tmp_path):
    destination = tmp_path / "file"
    draw, torn = random.Random(0), 0
    for _ in range(8):
        before = destination.exists()
        killed_when(WRITES, destination, lambda: partials(tmp_path), draw.uniform(0, 0.03))
        left = partials(tmp_path)
        torn += any(path.stat().st_size < SIZE for path in left)
        for path in left:
            path.unlink()
        if not destination.exists():
            assert not before, "what was there is gone"
            continue
        content = destination.read_bytes()
        assert content in (bytes([1]) * SIZE, bytes([2]) * SIZE)
        write_bytes(destination, bytes([1]) * SIZE)
    assert torn, "no kill hit a half-written file, so this test has shown nothing"


def test_a_folder_whose_publisher_is_killed_is_whole_or_absent(tmp_path):
    destination = tmp_path / "there" / "folder"
    destination.parent.mkdir()
    draw, interrupted = random.Random(1), 0
    for turn in range(8):
        first = turn % 2 == 0  # killed around the first publication, or among the replacements
        built = destination.parent / "built"
        seen = built.exists if first else destination.exists
        killed_when(PUBLISHES, destination, seen, draw.uniform(0, 0.03 if first else 0.1))
        if destination.exists():
            texts = {path.read_text() for path in destination.iterdir()}
            assert len(list(destination.iterdir())) == FILES
            assert len(texts) == 1, "files of two generations in one folder"
            assert len(texts.pop()) % 1000 == 0
        interrupted += built.exists() or bool(partials(destination.parent))
        subprocess.run(["rm", "-rf", destination.parent], check=True)
        destination.parent.mkdir()
    assert interrupted, "no kill hit a half-made folder, so this test has shown nothing"
