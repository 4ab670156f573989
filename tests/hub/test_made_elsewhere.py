"""Adapters that others made: pulled without a card of ours, told apart from ours, handed on under their own terms."""

import json

import pytest
from peft import LoraConfig, get_peft_model
from small_store import save_base
from transformers import AutoModelForCausalLM

from factory.store.store import Store

README = "---\nlicense: cc-by-nc-4.0\nbase_model: someone/base\n---\n\n# theirs\n"


@pytest.fixture
def foreign(hub, tmp_path):
    """An adapter that PEFT itself made, on the hub, without a card; with a checkpoint and its base's tokenizer."""
    base = save_base(tmp_path / "base")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules=["q_proj"]))
    model.peft_config["default"].base_model_name_or_path = "someone/base"
    model.save_pretrained(tmp_path / "made")
    (tmp_path / "made" / "README.md").write_text(README)
    tokenizer = [path for path in base.iterdir() if path.name.startswith("tokenizer")]
    files = {path.name: path.read_bytes() for path in [*(tmp_path / "made").iterdir(), *tokenizer]}
    hub.put(
        "someone/theirs", {**files, "checkpoint-500/optimizer.safetensors": b"large", "training_args.bin": b"pickle"}
    )
    hub.put("someone/base", {path.name: path.read_bytes() for path in base.iterdir()})
    return files


def test_what_is_not_known_is_said(run, hub, foreign, tmp_path):
    store = tmp_path / "store"
    code, out, err = run("pull", "someone/theirs", "--name", "theirs", "--store", store, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert {"recipe", "seed", "base's revision"} <= set(told["unknown"])
    (ref,) = Store(store).refs("adapter")
    assert ref.title == told["title"] == "someone--base/adapter:theirs#0"
    assert (Store(store).open(ref) / "adapter_model.safetensors").read_bytes() == foreign["adapter_model.safetensors"]
    assert not hub.count("GET .*(optimizer|training_args)"), "checkpoints beside it are not fetched"
    code, out, err = run("show", "theirs", "--store", store)
    assert code == 0, err
    assert "pulled from someone/theirs at " in out and "unknown: [recipe" in out
    code, out, err = run("ls", "--store", store)
    assert "training not known" in out
    code, out, err = run("pull", "someone/theirs", "--name", "theirs", "--store", store, "--json")
    assert json.loads(out)["new"] is False
    code, _, err = run("score", "theirs", "--benchmark", "tiny_math", "--store", store)
    assert code == 2
    assert "a base that is not in the store; name it with --base someone/base" in err


def test_it_is_handed_on_under_its_own_licence_and_not_called_grpo(run, hub, foreign, tmp_path):
    store = tmp_path / "store"
    code, _, err = run("pull", "someone/theirs", "--store", store)
    assert code == 0, err
    code, _, err = run("push", "theirs", "--repo", "me/again", "--store", store)
    assert code == 0, err
    sent = hub.files("me/again")
    assert not [name for name in sent if "token" in name], "the tokenizer is its base's"
    assert "it was trained on is not known" in sent["README.md"].decode()
    front = sent["README.md"].decode().split("---")[1]
    assert "license: cc-by-nc-4.0" in front and "grpo" not in front
    # With a tokenizer of its own it brings that along.
    template = b"{{ messages }}"
    hub.put("someone/theirs", {"chat_template.jinja": template})
    code, _, err = run("pull", "someone/theirs", "--store", tmp_path / "two")
    assert code == 0, err
    code, _, err = run("push", "theirs", "--repo", "me/again", "--store", tmp_path / "two")
    assert code == 0, err
    assert hub.files("me/again")["chat_template.jinja"] == template
    assert "tokenizer.json" in hub.files("me/again")


def made_up(files=(), **changes):
    """A card that says it is one of ours."""
    ref = {"base": "b", "kind": "adapter", "name": "x", "seed": 0, "key": "0123456789abcdef", **changes}
    named = {name: {"bytes": 1, "sha256": "0"} for name in files}
    return {"card.json": json.dumps({"ref": ref, "files": named}).encode()}


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"adapter_model.safetensors": b"\x00" * 40}, "adapter_model.safetensors"),
        ({"adapter_config.json": b'{"peft_type": "IA3"}'}, "only LORA"),
        ({"adapter_config.json": b"{"}, "not valid JSON"),
        (made_up(base="../../x"), "does not say what it belongs to"),
        (made_up(name="a/../../../evil"), "does not say what it belongs to"),
        (made_up(kind="cell"), "does not say what it belongs to"),
        (made_up(["../../evil"]), "which cannot be"),
        (made_up(["/tmp/evil"]), "which cannot be"),
        (made_up(["adapter_config.json"]), "not what the repository's card says"),
        (made_up(["missing.json"]), "is not in the repository"),
        ({"card.json": b'{"ref": 1, "files": '}, "not valid JSON"),
    ],
)
def test_what_is_damaged_or_made_up_is_refused(run, hub, foreign, tmp_path, files, text):
    hub.put("someone/theirs", files)
    store = tmp_path / "store"
    code, _, err = run("pull", "someone/theirs", "--store", store)
    assert code == 2 and "Traceback" not in err
    assert text in err.strip().splitlines()[-1]
    assert not list(tmp_path.rglob("*evil*"))
    assert not store.exists() or not list(Store(store).refs())
