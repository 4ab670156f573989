"""Rows from the Hub, for real: `datasets` and `huggingface_hub` in a fresh process, asking a small server of ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import served
from hub_state import Hub

NAME = "openai/gsm8k"
NOBODY = "http://127.0.0.1:9"

READ = """
import json, sys, time
from factory.core.errors import BadInput
from factory.tasks._find import find_task
from factory.tasks._task import Source
names, found = json.loads(sys.argv[1]), []
for name in names:
    source = Source.from_json(json.loads(sys.argv[2]))
    start = time.monotonic()
    try:
        task = find_task(name)
        commit = task.fingerprint(source)
        rows = {split: [row.prompt for row in task.rows(split, source)] for split in task.splits}
        found.append({"commit": commit, "source": source.to_json(), "rows": rows})
    except BadInput as error:
        found.append({"error": str(error), "seconds": time.monotonic() - start})
print(json.dumps(found))
"""


def gsm8k_files(scratch: Path, rows: int, answer_field: str = "answer") -> dict[str, bytes]:
    """A dataset as openai/gsm8k is laid out: a card with a configuration, a parquet file a split."""
    import pyarrow
    from pyarrow import parquet

    card = "---\nconfigs:\n- config_name: main\n  data_files:\n"
    files = {}
    for split, start in (("train", 0), ("test", rows)):
        name = f"main/{split}-00000-of-00001.parquet"
        card += f"  - split: {split}\n    path: {name}\n"
        numbers = range(start, start + rows)
        table = {
            "question": [f"What is {n} and {n}?" for n in numbers],
            answer_field: [f"{n}+{n}=<<{n}+{n}={2 * n}>>{2 * n}\n#### {2 * n}" for n in numbers],
        }
        parquet.write_table(pyarrow.table(table), scratch / "table.parquet")
        files[name] = (scratch / "table.parquet").read_bytes()
    return {"README.md": f"{card}---\n# sums\n".encode(), **files}


@pytest.fixture
def hub(tmp_path):
    with served(Hub(tmp_path / "hub")) as running:
        yield running


@pytest.fixture
def read(tmp_path, hub):
    """Reads tasks in a fresh process; gives for each what it printed."""

    def read_tasks(*names, source=None, **environment):
        plain = {key: value for key, value in os.environ.items() if key != "FACTORY_DATA"}
        places = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        settled = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1", **environment}
        done = subprocess.run(
            [sys.executable, "-c", READ, json.dumps(names), json.dumps(source)],
            env={**plain, **places, **settled},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return json.loads(done.stdout)

    return read_tasks


def numbers(found):
    return sorted(int(prompt.split()[2]) for prompts in found["rows"].values() for prompt in prompts)


def test_a_job_reads_the_commit_that_was_planned_and_a_pin_the_commit_it_names(tmp_path, hub, read):
    first = hub.put(NAME, gsm8k_files(tmp_path, 30), kind="dataset")
    (planned,) = read("gsm8k")
    assert planned["commit"] == first
    assert numbers(planned) == list(range(60))
    assert planned["source"] == {NAME: first}
    second = hub.put(NAME, gsm8k_files(tmp_path, 35), kind="dataset")
    now, pinned = read("gsm8k", f"gsm8k@revision={first}@boxed")
    assert (now["commit"], numbers(now)) == (second, list(range(70)))
    assert (pinned["commit"], numbers(pinned)) == (first, list(range(60)))
    # A job reads what was planned, with a network or without one.
    (job,) = read("gsm8k", source=planned["source"])
    assert (job["commit"], job["rows"]) == (first, planned["rows"])
    hub.asked.clear()
    (job,) = read("gsm8k", source=planned["source"], HF_ENDPOINT=NOBODY)
    assert job["rows"] == planned["rows"]
    old, new = read(f"gsm8k@revision={first}", f"gsm8k@revision={second}", HF_HUB_OFFLINE="1")
    assert (old["rows"], new["rows"]) == (planned["rows"], now["rows"])
    assert hub.asked == []


def test_what_cannot_be_had_is_one_line_at_once(tmp_path, hub, read):
    for environment in ({"HF_ENDPOINT": NOBODY}, {"HF_HUB_OFFLINE": "1"}):
        for said in read("gsm8k", f"gsm8k@revision={'a' * 40}", **environment):
            assert said["error"].startswith(f"dataset {NAME}")
            assert "--data DIR or FACTORY_DATA" in said["error"]
            assert "\n" not in said["error"] and len(said["error"]) < 500
            assert said["seconds"] < 15  # five retries with their pauses take longer
    hub.put("openai/other", gsm8k_files(tmp_path, 30), kind="dataset")
    (said,) = read("gsm8k")
    assert "the Hub has none of that name" in said["error"]
    hub.put(NAME, gsm8k_files(tmp_path, 30), kind="dataset")
    hub.put(NAME, gsm8k_files(tmp_path, 30, answer_field="solution"), kind="dataset", branch="changed")
    nowhere, changed = read("gsm8k@revision=nowhere", "gsm8k@revision=changed")
    assert "at revision nowhere" in nowhere["error"]
    assert changed["error"] == f"{NAME} test, row 0: no text in 'answer'; it has question, solution"
