"""A merge recipe: a mergekit configuration, checked; what mergekit ignores silently is refused here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from factory.core.config import Strict, parse, read_yaml
from factory.core.errors import BadInput, UnknownName
from factory.core.recipes import find_recipe, recipe_names
from factory.merging.calibration import load_calibration
from factory.merging.contract import Contract, Settings, contract_of, method_names
from factory.merging.parameters import Setting, Value, has_gradient, place_of, value_at

Dtype = Literal["float32", "bfloat16", "float16"]

_UNSUPPORTED = {
    "slices": "layers of adapters cannot be restacked",
    "modules": "all modules of the adapters are merged; there is nothing to choose",
    "tokenizer": "a merge of adapters keeps its base's tokenizer",
    "chat_template": "a merge of adapters keeps its base's chat template",
}


class ModelEntry(Strict):
    """One input: an adapter (store name, folder, hub id, or mergekit's `base+adapter`) and its own parameters."""

    model: str
    parameters: dict[str, Any] = {}


class MergeRecipe(Strict):
    """How adapters are merged, in mergekit's schema.

    Attributes:
        merge_method: a file of `factory/merging/methods/`.
        models: the inputs; left out, those named on the command line or in the study, in order.
        base_model: hub id or folder of the base that all of them were trained on.
        parameters: the method's; a model's own parameters go before these.
        dtype: of the result's tensors; arithmetic is fp32 and better whatever it says.
        out_dtype: goes before `dtype`.
        tokenizer_source: `base` is the only one that makes sense for adapters.
        calibration: a file of `factory/merging/calibrations/`, done to the inputs before the method; mergekit has none.
    """

    merge_method: str
    models: list[ModelEntry] | None = None
    base_model: str | None = None
    parameters: dict[str, Any] = {}
    dtype: Dtype | None = None
    out_dtype: Dtype | None = None
    tokenizer_source: Literal["base"] | None = None
    calibration: str | None = None

    @property
    def stored_dtype(self) -> str:
        """The dtype of the result on disk."""
        return self.out_dtype or self.dtype or "float32"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A method's parameters for a number of inputs, complete and checked; some may differ from module to module.

    Attributes:
        shared: one setting for the whole merge.
        each: one setting for each input, in their order.
        fallback: what counts where none of a setting's filters matches, by parameter: the recipe's own setting after
            a model's, then the method's default; None where something has to match.
    """

    shared: dict[str, Setting]
    each: dict[str, list[Setting]]
    fallback: dict[str, list[Setting]]

    def at(
        self,
        module: str,
        layers: int,
        order: Sequence[int] | None = None,
        seeds: Sequence[int] = (),
        *,
        dense: bool = False,
    ) -> Settings:
        """The values for one module.

        Args:
            module: its name, `model.layers.0.self_attn.q_proj`.
            layers: how many the base has, for gradients.
            order: of the inputs; as they were named if left out.
            seeds, dense: passed on.

        Raises:
            BadInput: no filter of a weight matches the module.
        """
        tensor, t = f"{module}.weight", place_of(module, layers)
        shared = {name: self._value(name, setting, tensor, t) for name, setting in self.shared.items()}
        each = {
            name: [float(self._value(name, settings[i], tensor, t)) for i in (order or range(len(settings)))]
            for name, settings in self.each.items()
        }
        return Settings(shared, each, seeds, dense)

    def _value(self, name: str, setting: Setting, tensor: str, t: float) -> Value:
        for candidate in (setting, *self.fallback[name]):
            value = value_at(candidate, tensor, t) if candidate is not None else None
            if value is not None:
                return value
        raise BadInput(f"no filter of '{name}' matches tensor '{tensor}'; end its list with an entry without a filter")

    @property
    def needs_layers(self) -> bool:
        """Whether any setting is a gradient, so that the number of layers matters."""
        every = [*self.shared.values(), *(item for items in self.each.values() for item in items)]
        return any(map(has_gradient, [*every, *(item for items in self.fallback.values() for item in items)]))

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, for the card."""
        return {"parameters": self.shared, "inputs": self.each}


def read_recipe(name: str) -> tuple[MergeRecipe, Path]:
    """Read a merge recipe by name or file; a method's name alone is that method with its defaults.

    Raises:
        UnknownName: no such recipe, no such method, or a parameter its method does not have; the nearest is suggested.
        BadInput: the file is not a valid recipe; one line says where and why.
    """
    try:
        path = find_recipe("merge recipe", name)
    except UnknownName:
        try:
            return parse_recipe({"merge_method": name}, f"merge recipe {name}"), Path(f"{name}.yaml")
        except UnknownName:
            known = dict.fromkeys([*recipe_names("merge recipe"), *method_names()])
            raise UnknownName("merge recipe", name, list(known)) from None
    return parse_recipe(read_yaml(path), str(path)), path


def parse_recipe(plain: Mapping[str, Any], where: str) -> MergeRecipe:
    """Check a recipe, its method and every parameter in it.

    Raises:
        UnknownName, BadInput: as `read_recipe`.
    """
    for key, reason in _UNSUPPORTED.items():
        if plain.get(key) is not None:
            raise BadInput(f"{where}: '{key}' is not supported for adapters: {reason}; remove it")
    recipe = parse(MergeRecipe, plain, where)
    contract = contract_of(recipe.merge_method, where)
    if recipe.calibration is not None:
        load_calibration(recipe.calibration, where)
    _check(recipe.parameters, contract, recipe.merge_method, where, each=False)
    for entry in recipe.models or []:
        _check(entry.parameters, contract, recipe.merge_method, f"{where}, model {entry.model}", each=True)
    if recipe.models is not None and not recipe.models:
        raise BadInput(
            f"{where}: 'models' is empty; name the inputs, or leave it out and name them on the command line"
        )
    return recipe


def resolve(recipe: MergeRecipe, inputs: int, weights: Sequence[float] | None = None) -> Resolved:
    """Every parameter's value: the recipe's, a model's own, `weights` before both, else the method's default.

    Args:
        inputs: how many there are.
        weights: one for each input.

    Raises:
        BadInput: no input, too few or too many for the method, another number of weights or models than inputs, or
            weights for a method that has none.
    """
    contract = contract_of(recipe.merge_method)
    least, most = contract.inputs
    if inputs < max(least, 1) or (most is not None and inputs > most):
        expected = f"exactly {least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        raise BadInput(f"{recipe.merge_method} takes {expected} adapters, got {inputs}; name them after the recipe")
    if weights is not None and len(weights) != inputs:
        raise BadInput(f"{len(weights)} weights for {inputs} adapters; give one weight for each adapter")
    if recipe.models is not None and len(recipe.models) != inputs:
        raise BadInput(f"the recipe's 'models' names {len(recipe.models)} inputs and there are {inputs} adapters")
    if weights is not None and "weight" not in contract.parameters:
        raise BadInput(f"{recipe.merge_method} weighs its inputs itself and takes no weights; leave --weights out")
    entries = recipe.models or [ModelEntry(model="")] * inputs
    shared: dict[str, Setting] = {}
    each: dict[str, list[Setting]] = {}
    fallback: dict[str, list[Setting]] = {}
    for name, parameter in contract.parameters.items():
        own = [name in entry.parameters for entry in entries] if parameter.each else []
        given = name in recipe.parameters or (name == "weight" and weights is not None)
        if parameter.required and not given and not (own and all(own)):
            raise BadInput(f"{recipe.merge_method} needs '{name}' and there is no default; give it in 'parameters'")
        common = parameter.check(recipe.parameters.get(name, parameter.default), name)
        # mergekit has no default weight: where filters are given, one of them has to match.
        given = name in recipe.parameters or name != "weight"
        fallback[name] = [common if given else None, None if name == "weight" else parameter.default]
        if parameter.each:
            values = [entry.parameters.get(name, common) for entry in entries]
            if name == "weight" and weights is not None:
                values = list(weights)
            each[name] = [parameter.check(value, name) for value in values]
        else:
            shared[name] = common
    return Resolved(shared, each, fallback)


def _check(parameters: Mapping[str, Any], contract: Contract, method: str, where: str, *, each: bool) -> None:
    for name, value in parameters.items():
        parameter = contract.parameters.get(name)
        if parameter is None:
            raise UnknownName(f"parameter of {method}", name, contract.parameters, where)
        if each and not parameter.each:
            raise BadInput(f"{where}: '{name}' holds for the whole merge; move it to the recipe's own 'parameters'")
        parameter.check(value, f"{where}: {name}")
