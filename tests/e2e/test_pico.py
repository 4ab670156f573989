"""The whole chain on a pico base, as a user runs it: from nothing to a report, again for nothing, and through kills."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kills import killed, results

STUDY = Path(__file__).parents[1] / "studies" / "pico.yaml"


def factory(*arguments, **options):
    command = [sys.executable, "-m", "factory", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, **options)


def files(store: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(store)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(store.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    store = tmp_path_factory.mktemp("e2e") / "store"
    done = factory("run", STUDY, "--store", store)
    assert done.returncode == 0, done.stderr
    return store, done


def test_the_run_ends_with_the_matrix_and_the_report(finished):
    _, done = finished
    assert "merge:linear" in done.stdout
    assert "tiny_math" in done.stdout
    assert "total" in done.stdout
    report = Path(done.stdout.strip().rpartition("report: ")[2])
    assert "http" not in report.read_text().replace("http://www.w3.org/", "")
    card = json.loads((report.parent / "card.json").read_text())
    assert set(card["stages"]) == {"check", "base", "adapters", "merges", "matrix"}
    assert len(card["cells"]) == len(card["variants"]) * len(card["study"]["benchmarks"])


def test_a_second_run_finds_everything_done_and_changes_no_file(finished):
    store, _ = finished
    before = files(store)
    start = time.monotonic()
    again = factory("run", STUDY, "--store", store)
    assert again.returncode == 0, again.stderr
    assert time.monotonic() - start < 20
    assert "built 0" in again.stdout
    assert files(store) == before


def test_the_merge_loads_in_peft_with_no_key_missing(finished, tmp_path):
    import warnings

    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    store, _ = finished
    out = tmp_path / "merged"
    done = factory("merge", "--recipe", "ties", "math", "sql", "--rank", 2, "--out", out, "--store", store)
    assert done.returncode == 0, done.stderr
    base = next(store.glob("*/bases/*"))
    model = AutoModelForCausalLM.from_pretrained(base)
    with warnings.catch_warnings():
        # PEFT only warns of keys that are missing or unexpected.
        warnings.filterwarnings("error", message="(?i).*(missing|unexpected).*key")
        PeftModel.from_pretrained(model, out)


def test_killed_at_ten_random_moments_it_ends_with_the_same_bits(finished, tmp_path):
    reference, _ = finished
    store = tmp_path / "store"
    count = killed(STUDY, store, kills=10, longest=9.0)
    done = factory("run", STUDY, "--store", store)
    assert done.returncode == 0, done.stderr
    assert count >= 3
    assert results(store) == results(reference)
