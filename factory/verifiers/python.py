"""Python code, judged by tests that it never sees: the code and the tests run in separate, locked-up processes.

reference, all but the tests optional:
  `tests`: asserts, one text or a list of them (MBPP's test_list); or `check`: HumanEval's text that defines
  `check(candidate)`; or `io`: `[{"input", "output"}]` for a whole program that reads and prints (compared line by line,
  blanks at line ends aside).
  `entry_point`: the tested name; found from the asserts if it is not given.
  `prompt`: code that comes before the completion (HumanEval); the tests get their own copy, so that a helper defined
  there and used by them cannot be forged.
  `setup`: statements before the tests, run after the code (MBPP's test_setup_code), `imports`: a list of the same.
  `style`: `tag` (the answer envelope) or `plain`; `seconds`: the limit.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.sandbox.check import SECONDS, Outcome, check
from factory.sandbox.pool import LanesDied
from factory.verifiers import _extract

LONGEST_REASON = 500


def _defines(code: str, name: str) -> bool:
    if name not in code:
        return False
    made = rf"(?m)^\s*(?:(?:async\s+)?def|class)\s+{name}\b|^{name}\s*[:=]"
    return bool(re.search(rf"{made}|\bas\s+{name}\b|^\s*from\s.*\simport\s.*\b{name}\b", code))


def answer_of(completion: str, reference: Mapping[str, Any]) -> list[str] | None:
    """The Python texts to execute, in order; None where the completion has none.

    The last fenced block that defines the tested name, else the whole completion. After a prompt that ends in a
    function's head a completion that does not define the name again is the function's body.
    """
    text = _extract.outside_reasoning(completion).removeprefix("\ufeff")
    entry, prompt = entry_of(reference), reference.get("prompt", "")
    if reference.get("style") == "tag":
        tagged = _extract.answer_tag(text)
        text = "" if tagged is None else tagged
    blocks = list(_extract.fenced_blocks(text))
    code = next((block for block in reversed(blocks) if not entry or _defines(block, entry)), None)
    if code is None:
        is_body = text.startswith((" ", "\t"))  # fences in it are in a docstring
        code = blocks[-1] if blocks and prompt and not is_body else text
    if not code.strip():
        return None
    if not prompt:
        return [code]
    return [_prelude(prompt), code] if _defines(code, entry) else [prompt + code]


@lru_cache(maxsize=4096)
def tested_name(tests: str) -> str:
    """The function that asserts test: the one name called in them that is no builtin, else the outermost call.

    Raises:
        BadInput: the tests do not compile, or call nothing.
    """
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError) as error:
        raise BadInput(f"the tests do not compile: {error}; tests: {tests[:80]!r}") from error
    known = {name.asname or name.name for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
             for name in node.names}  # fmt: skip
    known |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    known |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    called = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    own = [name for name in called if not hasattr(builtins, name) and name not in known]
    if not called:
        raise BadInput(f"the tests call no function; tests: {tests[:80]!r}")
    return max(own, key=own.count) if own else called[0]


def entry_of(reference: Mapping[str, Any]) -> str:
    """The tested name; "" for whole programs."""
    if reference.get("entry_point"):
        return str(reference["entry_point"])
    if "io" in reference:
        return ""
    return tested_name("\n".join(_tests(reference)))


def _tests(reference: Mapping[str, Any]) -> list[str]:
    if "check" in reference:
        if not reference.get("entry_point"):
            raise BadInput("a row with 'check' needs 'entry_point'")
        if not _defines(reference["check"], "check"):
            raise BadInput(f"the tests do not define check(candidate); tests: {reference['check'][:80]!r}")
        return [f"{reference['check']}\n\ncheck({reference['entry_point']})\n"]
    tests = reference.get("tests")
    if not tests:
        raise BadInput("the row has no tests: expected 'tests' (asserts), 'check' or 'io'")
    return [tests] if isinstance(tests, str) else [str(test) for test in tests]


@lru_cache(maxsize=4096)
def _must_compile(text: str) -> None:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise BadInput(f"the tests do not compile: {error}; tests: {text[:80]!r}") from error


@lru_cache(maxsize=4096)
def _prelude(prompt: str) -> str:
    """A prompt as code of its own, for the tests' copy: a head without a docstring gets a body.

    Raises:
        BadInput: it is no beginning of a Python program.
    """
    for body in ("", "\n    pass\n", "\n        pass\n"):
        try:
            ast.parse(prompt.rstrip() + body if body else prompt)
        except (SyntaxError, ValueError) as error:
            said = error
        else:
            return prompt.rstrip() + body if body else prompt
    raise BadInput(f"the row's prompt is not the beginning of a Python program: {said}; prompt: {prompt[:80]!r}")


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the code passes all tests.

    Components: `format` (there is code and it compiles), `runs` (it runs and defines the name), `tests` (the share
    passed before the first failure). A timeout, a crash or a kill is the code's own fault and scores 0.

    Raises:
        BadInput: the tests are missing, do not compile, or never call the code.
        WorkFailed: this machine cannot isolate code.
    """
    programs = "io" in reference
    tests = reference["io"] if programs else _tests(reference)
    if not programs:
        _must_compile("\n".join(tests))
    sources = answer_of(completion, reference)
    if sources is None:
        return Verdict.of(False, "no code found", format=0.0, runs=0.0, tests=0.0)
    setup = "\n".join([*reference.get("imports", ()), reference.get("setup") or ""])
    try:
        outcome = check(
            sources,
            tests,
            entry=entry_of(reference),
            prelude=_prelude(reference.get("prompt", "")),
            setup=setup,
            programs=programs,
            seconds=reference.get("seconds", SECONDS),
        )
    except LanesDied as error:
        return Verdict.unscorable(str(error))
    if outcome.status == "tests":
        raise BadInput(f"the tests cannot be used: {outcome.reason}")
    return _verdict(outcome)


def _verdict(outcome: Outcome) -> Verdict:
    passed = outcome.status == "passed"
    compiles = not (
        outcome.status == "load" and outcome.reason.startswith(("SyntaxError", "IndentationError", "TabError"))
    )
    return Verdict.of(
        passed,
        outcome.reason[:LONGEST_REASON],
        seconds=outcome.seconds,
        format=float(compiles),
        runs=float(outcome.status in ("passed", "failed")),
        tests=1.0 if passed else min(outcome.passed, outcome.total - 1) / outcome.total,
    )
