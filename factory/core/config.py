"""Hand-written YAML into checked records, with errors that name the file, the key and the nearest known one."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from factory.core.errors import BadInput


class Strict(BaseModel):
    """A record in which an unknown key is an error, numbers are finite and nothing can be changed after parsing."""

    # Not finite has no JSON, so neither a key nor a card.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


M = TypeVar("M", bound=BaseModel)


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a key given twice: the second would silently win."""


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if isinstance(key, list | dict):
            raise yaml.constructor.ConstructorError(None, None, f"a key is a list or a mapping (line {line})")
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key '{key}' is given twice (line {line})")
        seen.add(key)
    loader.flatten_mapping(node)  # `<<: *anchor`: what is merged in comes first, so that own keys win
    return dict(loader.construct_pairs(node, deep=True))


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        BadInput: no such file, not YAML, a key given twice, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except IsADirectoryError:
        raise BadInput(f"{path}: is a folder; expected a YAML file") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    return mapping_in(text, str(path))


def mapping_in(text: str, where: str) -> dict[str, Any]:
    """The mapping that a YAML text holds; an empty text is an empty one.

    Raises:
        BadInput: not YAML, a key given twice, or not a mapping.
    """
    value = _loaded(text, f"{where}: ")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"{where}: expected 'key: value' lines, got a {type(value).__name__}")
    return value


def _loaded(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _UniqueKeys)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: what looks like a date and is none
        raise BadInput(f"{where}not valid YAML: {' '.join(str(error).split())}") from error


def parse(model: type[M], value: Mapping[str, Any], where: str) -> M:
    """Check a mapping against a record.

    Raises:
        BadInput: the first problem, as one line: where, key, what was expected, what was given.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise BadInput(f"{where}: {_first_problem(model, error)}") from error


def with_overrides(value: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Apply `key.path=value` settings (values in YAML syntax) to a nested mapping; the input is left alone.

    Raises:
        BadInput: a setting without `=`, a value that is not YAML, or a path that goes through what is not a mapping.
    """
    result = _copy(value)
    for setting in settings:
        path, sign, text = setting.partition("=")
        *parents, last = path.strip().split(".")
        if not sign or not all([*parents, last]):
            raise BadInput(f"--set {setting}: expected key=value, for example adapters.math.max_steps=40")
        place = result
        for parent in parents:
            if place.get(parent) is None:
                place[parent] = {}
            place = place[parent]
            if not isinstance(place, dict):
                raise BadInput(f"--set {setting}: '{parent}' is not a mapping")
        place[last] = _loaded(text, f"--set {setting}: the value is ")
    return result


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, mapping by mapping; anything else in `over` replaces."""
    result = _copy(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def _copy(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(item) if isinstance(item, Mapping) else item for key, item in value.items()}


def _first_problem(model: type[BaseModel], error: ValidationError) -> str:
    problems = error.errors()
    # An unknown key is the most helpful thing to name: it is often why another one is missing.
    problem = next((item for item in problems if item["type"] == "extra_forbidden"), problems[0])
    location = [part for part in problem["loc"] if not _is_union_tag(part)]
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        known = sorted(_fields_at(model, location[:-1]))
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
        return f"unknown key '{key}'; {hint}"
    if problem["type"] == "missing":
        return f"'{key}' is missing"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    shown = "" if isinstance(given, Mapping | list) or problem["type"] == "value_error" else f", got {given!r}"
    return f"{key + ': ' if key else ''}{message[:1].lower()}{message[1:]}{shown}"


def _is_union_tag(part: Any) -> bool:
    """Pydantic adds the tried type of a union to the location (`literal[...]`, `constrained-int`, `int`)."""
    return isinstance(part, str) and (
        part in {"int", "float", "str", "bool"} or "[" in part or part.startswith(("function", "constrained-"))
    )


def _fields_at(model: type[BaseModel], location: Sequence[Any]) -> set[str]:
    here: Any = model
    for part in location:
        while get_origin(here) in (Union, types.UnionType):
            options = [option for option in get_args(here) if option is not type(None)]
            here = next((o for o in options if _is_model(o)), options[0])
        origin = get_origin(here)
        if _is_model(here):
            field = here.model_fields.get(part)
            here = field.annotation if field else None
        elif origin in (dict, Mapping):
            here = get_args(here)[1]
        elif origin in (list, tuple, Sequence):
            here = get_args(here)[0]
    while get_origin(here) in (Union, types.UnionType):
        here = next((o for o in get_args(here) if _is_model(o)), None)
    return {field.alias or name for name, field in here.model_fields.items()} if _is_model(here) else set()


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
