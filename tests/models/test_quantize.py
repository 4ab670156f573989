"""Bases in 4 and 8 bit: what is held how, that it is quiet, and one line where it cannot be done."""

import importlib.machinery as machinery
import logging
import sys
from pathlib import Path

import pytest
import torch

from factory.cli import main
from factory.core.errors import BadInput
from factory.models.load import load_model
from factory.models.quantize import check_quantization, check_works, described

TOKENS = torch.arange(60).reshape(2, 30) + 20


def logits(model):
    with torch.no_grad():
        return model(input_ids=TOKENS).logits


def test_linear_layers_are_quantized_and_nothing_else(pico_base):
    whole, nf4, int8 = (load_model(str(pico_base), quantization=how) for how in ("full", "nf4", "int8"))
    for model, held in ((nf4, torch.uint8), (int8, torch.int8)):
        for name, parameter in model.named_parameters():
            expected = held if "_proj" in name else torch.float32
            assert parameter.dtype == expected, name
        assert not torch.equal(logits(model), logits(whole))
    config = nf4.config.quantization_config
    assert (config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == ("nf4", True)
    assert config.bnb_4bit_compute_dtype == torch.float32
    # Half of int8's 256 levels each way are finer than nf4's 16.
    far = [float((logits(model) - logits(whole)).abs().mean()) for model in (int8, nf4)]
    assert 0 < far[0] < far[1] / 3


def test_int8_does_not_say_a_line_for_every_product(pico_base, caplog):
    model = load_model(str(pico_base), quantization="int8")
    with caplog.at_level(logging.INFO):
        logits(model)
    assert [record for record in caplog.records if "MatMul8bitLt" in record.getMessage()] == []


def test_what_a_card_says():
    assert described("full", "cpu") == {"kind": "full"}
    assert described("nf4", "cpu") == {
        "kind": "nf4",
        "bitsandbytes": "0.50.2",
        "double_quant": True,
        "compute_dtype": "float32",
    }
    assert check_works() is None


def test_a_base_that_is_quantized_already_is_one_line_and_loads_as_it_is(pico_base, tmp_path, capsys):
    once = load_model(str(pico_base), quantization="nf4")
    once.save_pretrained(tmp_path / "base")
    with pytest.raises(BadInput, match="is quantized already, by bitsandbytes; take quantization: full"):
        load_model(str(tmp_path / "base"), quantization="int8")
    torch.testing.assert_close(logits(load_model(str(tmp_path / "base"))), logits(once))
    arguments = ["run", "embedded", "--base", str(tmp_path / "base"), "--store", str(tmp_path / "store"), "--dry-run"]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--set", "quantization=nf4"])
    assert stop.value.code == 2 and "is quantized already" in capsys.readouterr().err


@pytest.fixture
def without_bitsandbytes(monkeypatch):
    """The import system as it is where the package is not installed."""

    class Without(machinery.PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None if name == "bitsandbytes" else machinery.PathFinder.find_spec(name, path, target)

    for name in [name for name in sys.modules if name.partition(".")[0] == "bitsandbytes"]:
        monkeypatch.delitem(sys.modules, name)
    finders = [Without if finder is machinery.PathFinder else finder for finder in sys.meta_path]
    monkeypatch.setattr(sys, "meta_path", finders)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "embedded", "--set", "quantization=nf4"),
        ("run", "embedded", "--set", "scored_on=[full, int8]", "--dry-run"),
        ("run", "embedded", "--set", "adapters.sql.quantization=int8", "--dry-run"),
        ("train", "math", "--set", "quantization=int8"),
        ("score", "base", "--quantization", "nf4"),
        ("generate", "base", "--prompt", "x", "--quantization", "nf4"),
    ],
)
def test_without_bitsandbytes_it_is_one_line_before_any_work(
    arguments, without_bitsandbytes, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1 and "Traceback" not in err
    assert "needs bitsandbytes, which is not installed; 'pip install bitsandbytes'" in err
    assert list(Path.cwd().iterdir()) == []


def test_full_needs_nothing(without_bitsandbytes):
    check_quantization("full", "study")
    with pytest.raises(BadInput, match="study: quantization 'nf4' needs bitsandbytes"):
        check_quantization("nf4", "study")
