"""A measurement in a process of its own, so that neither imports nor memory of another one are in it."""

import json
import os
import subprocess
import sys


def child(file: str, *arguments: str) -> dict:
    """Run a file of this folder with `--child`, one thread; gives the JSON of its last line."""
    process = subprocess.run(
        [sys.executable, file, "--child", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return json.loads(process.stdout.strip().splitlines()[-1])
