"""What this machine can do, what is missing, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from factory.core.memory import free_bytes
from factory.core.provenance import versions
from factory.core.recipes import recipe_names

NEEDED_DISK_GIB, NEEDED_MEMORY_GIB = 1.0, 3.0
HUB_SECONDS = 3.0
LIBRARIES = ("torch", "transformers", "trl", "peft", "datasets", "mergekit", "huggingface_hub")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        state: `ok`; `limited`: something cannot be done here; `problem`: the default study cannot run.
        remedy: what to do about it, "" where there is nothing to do.
    """

    name: str
    state: Literal["ok", "limited", "problem"]
    found: str
    remedy: str = ""


def examine(store: Path, data: Path | None) -> list[Check]:
    """Look at everything; nothing is changed, and the network is waited for a few seconds at most."""
    return [
        _python(),
        *_libraries(),
        _memory(),
        _store(store),
        _gpu(),
        _quantization(),
        _sandbox(),
        _recipes(),
        _data(data),
        _hub(),
    ]


def _python() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {cores} cores"
    return Check("python", "ok", found)


def _libraries() -> list[Check]:
    found = versions(LIBRARIES)
    missing = [name for name, version in found.items() if version is None]
    text = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    if missing:
        return [Check("libraries", "problem", text, f"missing {', '.join(missing)}: run 'make setup'")]
    return [Check("libraries", "ok", text)]


def _memory() -> Check:
    free = free_bytes() / 2**30
    text = f"{free:.1f} GiB free"
    if free < NEEDED_MEMORY_GIB:
        return Check(
            "memory", "limited", text, f"the default study takes about {NEEDED_MEMORY_GIB:g} GiB; use --jobs 1"
        )
    return Check("memory", "ok", text)


def _store(store: Path) -> Check:
    place = store if store.exists() else next((p for p in store.absolute().parents if p.exists()), Path("/"))
    if not place.is_dir():
        return Check("store", "problem", f"{store} is a file", "choose a folder with --store")
    if not os.access(place, os.W_OK | os.X_OK):
        return Check("store", "problem", f"{place} cannot be written to", "choose another folder with --store")
    free = shutil.disk_usage(place).free / 2**30
    if free < NEEDED_DISK_GIB:
        return Check("store", "problem", f"{free:.2f} GiB free at {store}", "free some space, or choose --store")
    return Check("store", "ok", f"{store}, {free:.0f} GiB free")


def _gpu() -> Check:
    if versions(("torch",))["torch"] is None:
        return Check("gpu", "limited", "cannot be told without torch", "run 'make setup'")
    import torch

    if not torch.cuda.is_available():
        return Check("gpu", "limited", "none", "the embedded base trains on the CPU; a real base wants a GPU")
    names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
    return Check("gpu", "ok", f"{torch.cuda.device_count()} x {', '.join(sorted(names))}")


def _quantization() -> Check:
    from factory.models.quantize import LIBRARY, check_works

    number = versions((LIBRARY,))[LIBRARY]
    if number is None:
        return Check("quantizing", "limited", f"no {LIBRARY}", f"'pip install {LIBRARY}' for quantization: nf4 | int8")
    problem = check_works()
    if problem is not None:
        return Check("quantizing", "limited", f"{LIBRARY} {number} does not work here: {problem}", "install it again")
    return Check("quantizing", "ok", f"nf4 and int8 by {LIBRARY} {number}")


def _sandbox() -> Check:
    from factory import sandbox

    layers = sandbox.probe()
    found = f"{layers.level}{f': {layers.missing}' if layers.missing else ''}"
    if layers.usable:
        return Check("sandbox", "ok", found)
    remedy = "model-written code cannot be held here; use Linux 5.13 or later with Landlock and seccomp"
    return Check("sandbox", "problem", found, remedy)


def _recipes() -> Check:
    kinds = {kind: len(recipe_names(kind)) for kind in ("study", "adapter recipe", "merge recipe")}
    text = f"{kinds['study']} studies, {kinds['adapter recipe']} adapter and {kinds['merge recipe']} merge recipes"
    if not all(kinds.values()):
        return Check("recipes", "problem", text, "install the package again: its recipes are missing")
    return Check("recipes", "ok", text)


def _data(data: Path | None) -> Check:
    if data is None:
        return Check("data", "limited", "no offline mirror", "real rows come from the Hub, or set FACTORY_DATA")
    if not data.is_dir():
        return Check("data", "limited", f"{data}: no such folder", "set FACTORY_DATA to the mirror's folder")
    return Check("data", "ok", f"{data}: {', '.join(sorted(p.name for p in data.iterdir() if p.is_dir()))}")


def _hub() -> Check:
    from huggingface_hub import constants, get_token

    token = "a token is set" if get_token() else "no token"
    if constants.HF_HUB_OFFLINE:
        return Check("hub", "limited", f"offline by HF_HUB_OFFLINE, {token}", "unset it to download bases")
    problem = _unreachable(constants.ENDPOINT)
    if problem is None:
        return Check("hub", "ok", f"{constants.ENDPOINT}, {token}")
    remedy = "give bases as folders (--base DIR) and real rows as a mirror (--data DIR)"
    return Check("hub", "limited", f"{constants.ENDPOINT} cannot be reached: {problem}; {token}", remedy)


def _unreachable(url: str) -> str | None:
    """Why the Hub does not answer; None if it does. In a thread of its own: looking up a name knows no timeout."""
    import threading

    from huggingface_hub import get_session

    answer: list[str | None] = []

    def ask() -> None:
        try:
            code = get_session().head(url, timeout=HUB_SECONDS, follow_redirects=True).status_code
            answer.append(f"it answers {code}" if code >= 400 else None)
        except Exception as error:  # noqa: BLE001  (whatever the reason is, it is what is shown)
            answer.append(type(error).__name__)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(HUB_SECONDS + 1)
    return answer[0] if answer else f"no answer in {HUB_SECONDS:g} seconds"
