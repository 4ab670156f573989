"""What must not be published: tokens, and whatever names the machine or its user; looked for in every byte."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.core.errors import BadInput

TOKENS = {
    "a Hugging Face token": rb"\b(?:hf|api_org)_[A-Za-z0-9]{20,}",
    "a GitHub token": rb"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
    "a GitLab token": rb"\bglpat-[A-Za-z0-9_-]{16,}",
    "an API key": rb"\bsk-[A-Za-z0-9_-]{20,}",
    "an AWS key": rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a Google key": rb"\bAIza[A-Za-z0-9_-]{35}",
    "a Slack token": rb"\bxox[abposr]-[A-Za-z0-9-]{10,}",
    "an npm or PyPI token": rb"\b(?:npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,})",
    "a signed token (JWT)": rb"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    "a private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a password in an address": rb"\b[a-z][a-z0-9+.-]*://[^/\s:@\"']+:[^/\s:@\"']+@",
}
_TOPS = (
    rb"home|root|Users|Volumes|tmp|var|mnt|data|scratch|work|opt|srv|media|private|usr|etc|run|nix|app|workspaces?|content|"
    rb"kaggle|lustre|gpfs|fsx|nfs|net|shared?|storage|project|projects|cluster|export|dbfs|local"
)
ROOTS = rb"(?<![\w:/.~<-])/(?:" + _TOPS + rb")/[\w.@+-]+"
# JSON has two backslashes for one. Away from the users' folders it takes two parts: a lone one may be LaTeX.
WINDOWS = rb"(?<!\w)[A-Za-z]:(?:(?:\\{1,2}|/)(?:Users|Documents)[^\s\"']*|(?:\\{1,2}[\w.@+-]+){2,})"
# Names that say nothing of anybody.
_ANYBODY = {
    "root",
    "user",
    "admin",
    "ubuntu",
    "runner",
    "nobody",
    "localhost",
    "docker",
    "jovyan",
    "build",
    "ci",
    "test",
}
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASS|KEY|CREDENTIAL|AUTH|COOKIE", re.I)
_SHORTEST_VALUE, _SHORTEST_SECRET, _SHORTEST_NAME, _LONG = 8, 6, 4, 12
_PUBLIC_NAMES = {"HF_ENDPOINT", "LANG", "LC_ALL", "TERM", "SHELL", "TZ", "LANGUAGE", "COLORTERM", "DEBIAN_FRONTEND"}
_BLOCK = 1 << 24
_VOCABULARY = {"tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "added_tokens.json", "tokenizer.model"}
"""Files with every common word and name in them: that the user's is among them says nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be published: in which file, and what kind of thing; never the thing itself."""

    file: str
    what: str


def scan(folder: Path, public: Iterable[str], environment: Mapping[str, str] | None = None) -> list[Finding]:
    """Look through every file of a folder.

    Text is searched for everything. Of safetensors the header is, and the tensors for whatever is printable and long
    enough not to occur in numbers by chance.

    Args:
        folder: as it would be published.
        public: what is meant to be read by all (ids, names of tasks): part of one of these is no finding.
        environment: of the building machine; this process's if left out.
    """
    told = tuple(public)
    exact = dict(_of_machine(told, os.environ if environment is None else environment))
    findings: list[Finding] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(folder))
            known = {text: found for text, found in exact.items() if not found[1] or path.name not in _VOCABULARY}
            findings += [Finding(name, what) for what in dict.fromkeys(_in_file(path, known, told))]
            findings += [Finding(name, what) for what in _in_bytes(name.encode(), exact, told, words=True)]
    return findings


def refuse(findings: Iterable[Finding]) -> None:
    """Stop where something was found.

    Raises:
        BadInput: what and where, on one line.
    """
    told = [f"{finding.file} holds {finding.what}" for finding in findings]
    if told:
        more = f" and {len(told) - 5} more" if len(told) > 5 else ""
        remedy = "take it out of the recipe or the card's source"
        if any("the value of $" in text for text in told):
            remedy += ", or unset a variable that is no secret"
        raise BadInput(f"nothing was sent: {'; '.join(told[:5])}{more}; {remedy}")


def _of_machine(public: tuple[str, ...], environment: Mapping[str, str]) -> Iterator[tuple[bytes, tuple[str, bool]]]:
    """Exact texts that say where this was made: (text, (what it is, whether it counts only as a whole word))."""
    places = {"the home folder": Path.home(), "the working folder": Path.cwd(), "Python's folder": Path(sys.prefix)}
    places["the temporary folder"] = Path(tempfile.gettempdir())
    for what, place in places.items():
        for text in {str(place), str(place.resolve())}:
            if len(text) >= _SHORTEST_NAME and text.count("/") > 1:
                yield text.encode(), (f"the path of {what}", False)
    for what, name in (("the user's name", _user()), ("this machine's name", socket.gethostname())):
        if len(name) >= _SHORTEST_NAME and name.lower() not in _ANYBODY and not _is_public(name, public):
            yield name.encode(), (what, True)
    for key, value in environment.items():
        secret = bool(_SECRET_NAME.search(key))
        if key in _PUBLIC_NAMES or len(value) < (_SHORTEST_SECRET if secret else _SHORTEST_VALUE):
            continue
        if secret or not (value.isdigit() or _is_public(value, public)):
            yield value.encode(errors="surrogateescape"), (f"the value of ${key}", not secret)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in this container
        return ""


def _is_public(text: str, public: tuple[str, ...]) -> bool:
    return any(text in known for known in public)


def _in_file(path: Path, exact: Mapping[bytes, tuple[str, bool]], public: tuple[str, ...]) -> Iterator[str]:
    if path.suffix == ".safetensors":
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            yield from _in_bytes(file.read(min(size, _BLOCK)), exact, public, words=True)
            long = {text: found for text, found in exact.items() if len(text) >= _LONG}
            before = b""
            while block := file.read(_BLOCK):
                yield from _in_bytes(_texts_among(before + block), long, public, words=False)
                before = block[-4096:]
        return
    yield from _in_bytes(path.read_bytes(), exact, public, words=True)


def _texts_among(content: bytes) -> bytes:
    """Every run of at least `_LONG` printable characters, a line each: what a text among numbers would be part of.

    Patterns take a second for 10 MB; this takes one for some hundreds, and of weights it leaves next to nothing.
    """
    import numpy as np

    printable = np.frombuffer(content, np.uint8) - np.uint8(32) < 95  # wraps around below the space
    two = printable[:-1] & printable[1:]
    four = two[:-2] & two[2:]
    eight = four[:-4] & four[4:]
    starts = np.flatnonzero(eight[:-4] & four[8:])  # of windows of 12 = _LONG
    if not len(starts):
        return b""
    ends = np.flatnonzero(np.diff(starts) > 1)
    runs = zip(starts[[0, *(ends + 1)]], starts[[*ends, -1]] + _LONG, strict=True)
    return b"\n".join(content[start:end] for start, end in runs)


def _in_bytes(
    content: bytes, exact: Mapping[bytes, tuple[str, bool]], public: tuple[str, ...], *, words: bool
) -> Iterator[str]:
    # Also as JSON writes it: a path may have escapes there.
    for text, (what, whole) in exact.items():
        for form in {text, json.dumps(text.decode(errors="replace"))[1:-1].encode()}:
            if form in content and (not whole or _has_word(content, form)):
                yield what
                break
    for what, pattern in TOKENS.items():
        if words or "key" not in what:
            for match in re.finditer(pattern, content):
                if not _is_public(match[0].decode(errors="replace"), public):
                    yield what
                    break
    if words:
        for pattern in (ROOTS, WINDOWS):
            for match in re.finditer(pattern, content):
                if not _is_public(match[0].decode(errors="replace"), public):
                    yield "an absolute path of a machine"
                    break


def _has_word(content: bytes, text: bytes) -> bool:
    return re.search(rb"(?<![A-Za-z0-9])" + re.escape(text) + rb"(?![A-Za-z0-9])", content) is not None
