"""Who teaches a student: adapters planned beside it, of the store, in a folder or on the Hub; all on its own base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.core.errors import BadInput, UnknownName
from factory.core.hashing import file_digest, key_of
from factory.core.recipes import AdapterRecipe
from factory.models.bases import Base
from factory.store.factors import WEIGHTS
from factory.store.fetch import adapter_folder
from factory.store.find import find
from factory.store.peft_config import read_config
from factory.store.ref import Ref
from factory.store.store import Store

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Teacher:
    """One teacher.

    Attributes:
        path: its adapter's folder.
        key: hash of its content, or of all that makes it.
        ref: the job that makes it, or the thing in the store; None for a folder.
    """

    path: str
    key: str
    ref: Ref | None = None


def teachers_of(recipe: AdapterRecipe) -> list[str]:
    """The teachers that a recipe names, each once."""
    named = recipe.strategy_options.get("teachers")
    return list(dict.fromkeys(map(str, named.values()))) if isinstance(named, Mapping) else []


def in_order(recipes: Mapping[str, AdapterRecipe]) -> list[str]:
    """The recipes' names, teachers before their students.

    Raises:
        BadInput: some teach one another.
    """
    done: list[str] = []
    left = list(recipes)
    while left:
        ready = [name for name in left if not any(plain(one) in left for one in teachers_of(recipes[name]))]
        if not ready:
            raise BadInput(
                f"adapters {', '.join(left)} are one another's teachers; one of them has to be trained first"
            )
        done += ready
        left = [name for name in left if name not in ready]
    return done


def plain(text: str) -> str:
    """A study's adapter by its name alone."""
    return text.removeprefix("adapter:")


def find_teacher(text: str, planned: Mapping[str, Ref], store: Store, base: Base, where: str) -> Teacher:
    """What a recipe's name of a teacher means.

    Args:
        planned: adapters of the same plan.
        base: the student's.

    Raises:
        UnknownName: nothing has that name.
        BadInput: it was made on another base, or has another tokenizer.
    """
    ref = planned.get(plain(text))
    if ref is not None:
        return Teacher(str(store.path(ref).resolve()), ref.key, ref)
    if "/" in text and ":" not in text:
        return _folder(text, base, where)
    try:
        ref = find(store, text, base=base.label, kinds=("adapter", "merge"))
    except UnknownName as error:
        raise BadInput(f"{where}: teacher '{text}' is no adapter of this plan, and {error}") from error
    made_on = store.card(ref)["base"]
    if made_on["hash"] not in (None, base.hash):
        raise BadInput(
            f"{where}: teacher '{text}' was made on base {made_on.get('label') or ref.base}, the student's is "
            f"{base.label}; both need the same base"
        )
    return Teacher(str(store.path(ref).resolve()), ref.key, ref)


def _folder(text: str, base: Base, where: str) -> Teacher:
    own = Path(text).expanduser()
    folder = own if own.is_dir() else adapter_folder(text)
    named = str(read_config(folder).get("base_model_name_or_path") or "")
    same = named in ("", base.label, base.path) or (Path(named).exists() and Path(named).samefile(base.path))
    if not same:
        raise BadInput(
            f"{where}: teacher {text} was made on base {named}, the student's is {base.label}; both need the same base"
        )
    tokenizers = [path for path in (folder / TOKENIZER, Path(base.path) / TOKENIZER) if path.is_file()]
    if len({file_digest(path) for path in tokenizers}) > 1:
        raise BadInput(f"{where}: teacher {text} has another tokenizer than base {base.label}; both need the same one")
    return Teacher(str(folder.resolve()), key_of("folder", file_digest(folder / WEIGHTS)))
