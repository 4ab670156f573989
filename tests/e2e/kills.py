"""A study killed at random moments, started again each time, and compared with one that was left alone.

`python tests/e2e/kills.py studies/embedded.yaml REFERENCE_STORE STORE 10 45` kills ten runs, each after at most 45 s.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

RESULTS = ("adapter_model.safetensors", "model.safetensors", "items.jsonl", "choice.json", "matrix.json")


def command(study, store):
    """The run, as a user starts it."""
    return [sys.executable, "-m", "factory", "run", str(study), "--store", str(store)]


def results(store: Path) -> dict[str, bytes]:
    """What must not depend on how often the run was interrupted: weights, every item's outcome, the matrix.

    The matrix's file tells costs too, which do.
    """
    found = (path for path in sorted(store.rglob("*")) if path.name in RESULTS and ".work" not in path.parts)
    return {str(path.relative_to(store)): _lasting(path) for path in found}


def _lasting(path: Path) -> bytes:
    if path.name != "matrix.json":
        return path.read_bytes()
    matrix = json.loads(path.read_bytes())
    assert matrix.pop("costs")
    return json.dumps(matrix).encode()


def killed(study, store: Path, kills: int, longest: float) -> int:
    """Start a run and kill -9 it at a random moment, `kills` times or until it is done; gives how many were killed.

    Only the parent is killed: its workers must not outlive it.
    """
    moments = random.Random(20260101)
    for done in range(kills):
        process = subprocess.Popen(
            command(study, store), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(timeout=moments.uniform(1.0, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            assert _gone(process.pid), "a worker outlived its parent"
        else:
            return done
    return kills


def _gone(session: int, seconds: float = 10.0) -> bool:
    """Whether no process of a session is left, within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    os.killpg(session, signal.SIGKILL)
    return False


def main() -> None:
    """Compare a killed study with a reference; exits 1 if a bit differs."""
    study, reference, store, kills, longest = sys.argv[1:]
    count = killed(study, Path(store), int(kills), float(longest))
    subprocess.run(command(study, store), check=True, stdout=subprocess.DEVNULL)
    one, two = results(Path(reference)), results(Path(store))
    differing = sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
    print(f"{count} kills, {len(two)} files compared, {len(differing)} differ")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
