"""Several adapters as one teacher: each sequence is read under its own task's, and under no other."""

from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from factory.core.errors import BadInput
from factory.training.teachers import Teachers

PROMPTS = {(5, 6): "math", (5, 6, 7): "sql", (8, 9, 10): "math", (11,): "python"}
"""One begins as another does: the longer one decides."""
BATCH = [([5, 6, 7], [20, 21]), ([5, 6], [22, 23, 24]), ([11], [20]), ([8, 9, 10], [30, 31, 32]), ([5, 6, 7], [40])]


@pytest.fixture(scope="module")
def folders(pico_base, tmp_path_factory):
    """Three adapters on the pico base, none of which is the base; two tasks may share one."""
    root, found = tmp_path_factory.mktemp("teachers"), {}
    for place, name in enumerate(("of.math", "of-sql")):
        torch.manual_seed(place)
        config = LoraConfig(r=2 + place, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
        get_peft_model(AutoModelForCausalLM.from_pretrained(pico_base), config).save_pretrained(root / name)
        found[name] = str(root / name)
    return found


@pytest.fixture(scope="module")
def routed(pico_base, folders):
    work = SimpleNamespace(load=lambda: AutoModelForCausalLM.from_pretrained(pico_base), teachers=folders)
    return Teachers.load(work, {"math": "of.math", "sql": "of-sql", "python": "of-sql"}, PROMPTS)


def padded(rows):
    """Prompts padded on the left and completions on the right, as TRL lays them out."""
    before, after = max(len(prompt) for prompt, _ in rows), max(len(own) for _, own in rows)
    ids = [[0] * (before - len(p)) + p + c + [0] * (after - len(c)) for p, c in rows]
    mask = [[0] * (before - len(p)) + [1] * len(p + c) + [0] * (after - len(c)) for p, c in rows]
    return torch.tensor(ids), torch.tensor(mask)


def test_hidden_states_are_those_of_the_rows_own_adapter_alone(routed, folders, pico_base):
    ids, mask = padded(BATCH)
    with torch.no_grad():
        hidden = routed.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    alone = {name: PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(pico_base), folder).eval()
             for name, folder in folders.items()}  # fmt: skip
    apart = []
    for row, owner in enumerate(("of-sql", "of.math", "of-sql", "of.math", "of-sql")):
        for name, model in alone.items():
            with torch.no_grad():
                whole = model.get_base_model().model(
                    input_ids=ids[row : row + 1], attention_mask=mask[row : row + 1], use_cache=False
                )
            gap = float((hidden[row] - whole.last_hidden_state[0])[mask[row].bool()].abs().max())
            if name == owner:
                assert gap < 1e-5
            else:
                apart.append(gap)
    assert min(apart) > 1e-2  # the other teacher would have been noticed


def test_nothing_of_a_teacher_is_trained(routed):
    assert not [name for name, parameter in routed.named_parameters() if parameter.requires_grad]


def test_a_prompt_that_is_no_students_is_refused(routed):
    ids, mask = padded([([5, 6], [1]), ([99, 98], [1])])
    with pytest.raises(BadInput, match="tokenised otherwise by TRL"):
        routed.base_model(input_ids=ids, attention_mask=mask)
