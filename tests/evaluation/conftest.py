"""Variants whose answers differ from the base's."""

import pytest
import torch


@pytest.fixture(scope="session")
def loud_adapter(pico_base, tmp_path_factory):
    """The folder of an adapter whose one large random update makes the pico base say other things."""
    from peft import LoraConfig, get_peft_model

    from factory.models.load import load_model

    torch.manual_seed(0)
    wrapped = get_peft_model(load_model(str(pico_base)), LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.15)
    folder = tmp_path_factory.mktemp("adapter")
    wrapped.save_pretrained(folder)
    return folder
