"""The door to PEFT: a written adapter is loaded the way users load it, and compared with what was meant.

`PeftModel.from_pretrained` only warns about missing keys, so an adapter can be "loaded" and do nothing.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from factory.core.errors import WorkFailed
from factory.store.factors import AdapterFactors


def check_loads(adapter: Path, base: Path, expected: AdapterFactors) -> None:
    """Load an adapter onto its base's architecture and compare every factor; the base's weights are not read.

    Args:
        adapter: folder in PEFT's format, as `write_adapter` left it.
        base: folder of the base model.
        expected: what it should hold; scale 1.

    Raises:
        WorkFailed: PEFT adapts other modules, or applies other factors or another scale.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        skeleton = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # everything they could say is compared below
        model = PeftModel.from_pretrained(skeleton, str(adapter), low_cpu_mem_usage=True, torch_device="cpu")
    loaded = {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if "default" in getattr(module, "lora_A", {})
    }
    lacking, extra = sorted(set(expected.modules) - set(loaded)), sorted(set(loaded) - set(expected.modules))
    if lacking or extra:
        raise WorkFailed(
            f"{adapter}: PEFT does not adapt {lacking[:3] or 'nothing'} and adapts {extra[:3] or 'nothing'} besides; "
            f"is {base} really its base?"
        )
    for name, module in loaded.items():
        factors = expected.modules[name]
        # Equal up to the sign of zero and no further: both come from the same file.
        same = torch.equal(module.lora_A["default"].weight.float(), factors.lora_A) and torch.equal(
            module.lora_B["default"].weight.float() * module.scaling["default"], factors.lora_B
        )
        if not same:
            raise WorkFailed(f"{adapter}: PEFT applies other factors to module '{name}' than were written")
        weight = module.get_base_layer().weight
        shape = tuple(weight.shape[::-1] if expected.fan_in_fan_out else weight.shape)
        if shape != factors.shape:
            raise WorkFailed(f"{adapter}: module '{name}' is {shape} in {base} and {factors.shape} in the adapter")
