"""`factory merge` as people call it: what it prints, where it writes, and exit code 2 with one line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from factory.cli import main
from factory.store.factors import AdapterFactors, Factors, read_factors
from factory.store.write_adapter import write_adapter


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as error:
        code = int(error.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two adapters of a base that is not here, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(["math", "sql"]):
        torch.manual_seed(number)
        factors = {"model.layers.0.q": Factors(torch.randn(2, 6), torch.randn(5, 2))}
        write_adapter(Path(name), AdapterFactors(factors, base="Some/Base"))
    return ["./math", "./sql"]


def test_merge_into_the_store(capsys: pytest.CaptureFixture[str], pair: list[str]) -> None:
    code, out, _ = call(capsys, "merge", "--recipe", "linear", *pair, "--weights", "0.5,-1", "--store", "s")
    assert code == 0 and "linear of ./math, ./sql" in out and "energy kept 100.0%" in out
    folder = Path(out.splitlines()[0])
    assert folder.parent == Path("s/Some--Base/merges") and folder.name.startswith("linear-math-sql-s0-")
    one, two, merged = (read_factors(p).modules["model.layers.0.q"].delta() for p in [*pair, folder])
    torch.testing.assert_close(merged, 0.5 * one - two)


def test_json_and_out(capsys: pytest.CaptureFixture[str], pair: list[str]) -> None:
    arguments = ["merge", "--recipe", "ties", *pair, "--rank", "1", "--out", "o", "--json", "--store", "s"]
    code, out, _ = call(capsys, *arguments)
    result = json.loads(out)
    assert code == 0 and result["method"] == "ties" and result["merge"]["rank"] == 1 and Path(result["folder"]).is_dir()
    assert not Path("s").exists()
    code, out, err = call(capsys, *arguments)
    assert code == 2 and out == "" and err.startswith("error: --out o: is not empty") and err.count("\n") == 1


def test_dry_run_and_print_mergekit_write_nothing(capsys: pytest.CaptureFixture[str], pair: list[str]) -> None:
    before = sorted(Path().rglob("*"))
    code, out, _ = call(capsys, "merge", "--recipe", "dare", *pair, "--dry-run", "--json", "--store", "s")
    plan = json.loads(out)
    assert code == 0 and plan["method"] == "dare_linear" and plan["settings"]["inputs"]["density"] == [0.5, 0.5]
    code, out, _ = call(capsys, "merge", "--recipe", "linear", *pair, "--print-mergekit", "--store", "s")
    printed = yaml.safe_load(out)
    assert code == 0 and printed["merge_method"] == "linear"
    assert printed["models"][0]["model"] == f"Some/Base+{Path('math').resolve()}"
    # Whole weights: base + math + base + sql - base.
    assert printed["models"][2] == {"model": "Some/Base", "parameters": {"weight": -1.0}}
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--recipe", "tiess", "./math"], "unknown merge recipe 'tiess'; did you mean 'ties'?"),
        (["--recipe", "linear"], "linear takes 1 or more adapters, got 0"),
        (["--recipe", "linear", "./math", "./sql", "--weights", "1"], "1 weights for 2 adapters"),
        (["--recipe", "linear", "./math", "--weights", "1;2"], "--weights '1;2': expected numbers"),
        (["--recipe", "linear", "./math", "--weights", "nan"], "weight is nan"),
        (["--recipe", "linear", "./math", "--rank", "0"], "--rank '0': expected a positive number, auto, auto:SHARE"),
        (["--recipe", "linear", "./math", "--rank", "many"], "--rank 'many'"),
        (["--recipe", "linear", "./maths"], "no such folder"),
        (["--recipe", "linear", "maths"], "unknown variant 'maths'"),
        (["--recipe", "linear", "./math", "./other"], "only adapters of one base can be merged"),
        (["--recipe", "linear", "./broken"], "not a whole safetensors file"),
        (["--recipe", "nothing.yaml", "./math"], "nothing.yaml: no such file"),
        (["--recipe", "linear", "./math", "--to", "model"], None),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], pair: list[str], arguments: list[str], says: str | None
) -> None:
    torch.manual_seed(1)
    factors = {"model.layers.0.q": Factors(torch.randn(2, 6), torch.randn(5, 2))}
    write_adapter(Path("other"), AdapterFactors(factors, base="Other/Base"))
    write_adapter(Path("broken"), AdapterFactors(factors, base="Some/Base"))
    path = Path("broken/adapter_model.safetensors")
    path.write_bytes(path.read_bytes()[:-9])
    if says is None:
        write_adapter(Path("math"), AdapterFactors(factors))
        says = "--to model needs the base and the adapters do not name one; give --base"
    code, out, err = call(capsys, "merge", *arguments, "--store", "s")
    assert code == 2 and out == "" and says in err and "Traceback" not in err
    assert [line for line in err.splitlines() if line.startswith("error: ")] == err.splitlines()[-1:]
    assert not Path("s").exists() or not list(Path("s").glob("*/merges/*"))
