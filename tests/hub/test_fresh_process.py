"""As a user has it: a process that knows nothing but HF_ENDPOINT; weights go and come through Xet's own client."""

import os
import subprocess
import sys
from pathlib import Path

from hub_server import served
from hub_state import TOKEN, Hub

SCRIPT = """
import sys, warnings
from factory.cli import main

store, other = sys.argv[1:]
for arguments in (["push", "math", "--repo", "me/math", "--with-base", "me/tiny", "--store", store],
                  ["pull", "me/tiny", "--store", other], ["pull", "me/math", "--store", other]):
    main(arguments)

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

warnings.filterwarnings("error", message="(?i).*(missing|unexpected).*key")
def answers(base, adapter):
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    with torch.no_grad():
        logits = model(torch.arange(12)[None]).logits
        with model.disable_adapter():
            assert not torch.allclose(logits, model(torch.arange(12)[None]).logits)
    return logits

from factory.store.find import find
from factory.store.store import Store
place = Store(store)
base, adapter = (str(place.path(find(place, name, kinds=("base", "adapter")))) for name in ("base", "math"))
assert torch.equal(answers("me/tiny", "me/math"), answers(base, adapter))
print("the same answers")
"""


def test_peft_loads_what_was_pushed_by_its_name(store, tmp_path):
    root, refs = store
    hub = Hub(tmp_path / "hub", xet=True)
    hub.clients.append(root)
    with served(hub):
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",
            "HF_XET_LOG_DEST": str(tmp_path / "xet.log"),
        }
        command = [sys.executable, "-c", SCRIPT, str(root), str(tmp_path / "other")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "the same answers" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    assert len(hub.xet_hash) >= 2 and not hub.uploaded, "weights went some other way than Xet"
    assert hub.count("GET /api/models/me/math/xet-read-token") >= 1
    assert hub.repos["model", "me/math"].log[1:] == [f"adapter math, content key {refs['math'].key}"]
    here = tmp_path / "other" / refs["math"].folder / "adapter_model.safetensors"
    assert here.read_bytes() == (root / refs["math"].folder / "adapter_model.safetensors").read_bytes()
    assert Path(here).stat().st_nlink == 1
