"""The door to PEFT: a written adapter is loaded the way users load it, and compared with what was meant.

`PeftModel.from_pretrained` only warns about missing keys, so an adapter can be "loaded" and do nothing. The steps here
are the ones it takes, onto a base without weights.
"""

from __future__ import annotations

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
    from peft import PeftConfig, get_peft_model, load_peft_weights, set_peft_model_state_dict
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        skeleton = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    model = get_peft_model(skeleton, PeftConfig.from_pretrained(adapter))
    loaded = {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if "default" in getattr(module, "lora_A", {}) or "default" in getattr(module, "lora_embedding_A", {})
    }
    lacking, extra = sorted(set(expected.modules) - set(loaded)), sorted(set(loaded) - set(expected.modules))
    if lacking or extra:
        raise WorkFailed(
            f"{adapter}: PEFT does not adapt {lacking[:3] or 'nothing'} and adapts {extra[:3] or 'nothing'} besides; "
            f"is {base} really its base?"
        )
    for name, module in loaded.items():
        weight, factors = module.get_base_layer().weight, expected.modules[name]
        shape = tuple(weight.shape[::-1] if expected.fan_in_fan_out else weight.shape)
        if shape != factors.shape:
            raise WorkFailed(f"{adapter}: module '{name}' is {shape} in {base} and {factors.shape} in the adapter")
        if name in expected.embeddings:
            for table in (module.lora_embedding_A, module.lora_embedding_B):
                table["default"] = torch.nn.Parameter(torch.full(table["default"].shape, torch.nan))
            continue
        for side in (module.lora_A, module.lora_B):
            torch.nn.init.constant_(side["default"].to_empty(device="cpu").weight, torch.nan)
    result = set_peft_model_state_dict(model, load_peft_weights(str(adapter), device="cpu"))
    if result.unexpected_keys:
        raise WorkFailed(f"{adapter}: PEFT has no place for tensor '{result.unexpected_keys[0]}'")
    for name, module in loaded.items():
        factors, scale = expected.modules[name], module.scaling["default"]
        if name in expected.embeddings:
            A, B = module.lora_embedding_B["default"].T.float(), module.lora_embedding_A["default"].T.float() * scale
        else:
            A, B = module.lora_A["default"].weight.float(), module.lora_B["default"].weight.float() * scale
        # Bit for bit: both come from the same file. What PEFT left out is still NaN and equals nothing.
        if not (torch.equal(A, factors.lora_A) and torch.equal(B, factors.lora_B)):
            raise WorkFailed(f"{adapter}: PEFT applies other factors to module '{name}' than were written")
