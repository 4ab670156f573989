"""Searching a merge: what is tried, what is chosen, and that rows chosen on are not rows reported on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from factory.analysis import search
from factory.analysis.optimiser import STEP, Space, optimise
from factory.core.config import parse
from factory.core.errors import BadInput
from factory.core.progress import silent
from factory.core.study import WeightSearch

SPACE = Space({"linear": (True, False), "ties": (True, True)}, 2, 0.1, 1.5, True)


def tried(budget: int, seed: int = 0, space: Space = SPACE, start: list[float] | None = None) -> list[dict[str, Any]]:
    """Choices tried where ties at weights 1.2 and 0.3 is best."""
    found = []

    def score(choice: dict[str, Any]) -> float:
        found.append(choice)
        one, two = choice["weights"]
        return (choice["method"] == "ties") - abs(one - 1.2) - abs(two - 0.3)

    optimise(space, budget, seed, start, score)
    return found


def test_the_budget_is_kept_the_start_comes_first_and_the_seed_decides() -> None:
    found = tried(25, start=[0.98, 7.0])
    assert len(found) == 25 and found[0] == {"method": "linear", "weights": [1.0, 1.5], "density": None}
    assert found == tried(25, start=[0.98, 7.0]) != tried(25, seed=1, start=[0.98, 7.0])
    for choice in found:
        assert all(
            0.1 <= weight <= 1.5 and abs(weight / STEP - round(weight / STEP)) < 1e-6 for weight in choice["weights"]
        )
        assert (choice["density"] is None) == (choice["method"] == "linear")


def test_it_learns() -> None:
    def distance(choices: list[dict[str, Any]]) -> float:
        return sum(abs(c["weights"][0] - 1.2) + abs(c["weights"][1] - 0.3) for c in choices) / len(choices)

    found = tried(60)
    assert distance(found[-20:]) < 0.6 * distance(found[:10])
    assert sum(choice["method"] == "ties" for choice in found[-20:]) > 12


def test_one_weight_for_all() -> None:
    same = tried(10, space=Space(SPACE.methods, 2, 0.1, 1.5, False), start=[0.4, 0.6])
    assert same[0]["weights"] == [0.5, 0.5] and all(len(set(choice["weights"])) == 1 for choice in same)


def test_a_choice_replaces_what_was_searched_and_nothing_else() -> None:
    models = [{"model": "a", "parameters": {"weight": 0.2, "density": 0.9}}, {"model": "b"}]
    recipe = {"merge_method": "ties", "models": models, "parameters": {"normalize": False, "lambda": 0.5}}
    spec = {"recipe": recipe, "rank": 8}
    made = search.chosen(spec, {"method": "ties", "weights": [1.0, 0.4], "density": 0.3})
    assert made["weights"] == [1.0, 0.4] and made["rank"] == 8
    assert made["recipe"]["parameters"] == {"normalize": False, "lambda": 0.5, "density": 0.3}
    assert made["recipe"]["models"][0]["parameters"] == {}
    linear = search.chosen(spec, {"method": "linear", "weights": [1.0, 0.4], "density": None})
    assert linear["recipe"]["parameters"] == {"normalize": False}  # linear has no lambda
    assert recipe["parameters"] == {"normalize": False, "lambda": 0.5}


def test_rows_chosen_on_and_rows_reported_on_are_disjoint() -> None:
    for count in (5, 10**6):
        spec = {"search": {"items": count}, "data": None}
        chosen, held = (search._rows(spec, "tiny_ops", held_out=part) for part in (False, True))
        assert chosen and held and not {row.id for row in chosen} & {row.id for row in held}
        assert len(chosen) in (count, len(held), len(held) + 1)


def test_trials_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = []
    monkeypatch.setattr(search, "_scores", lambda spec, choice, state, held_out: scored.append(choice) or {"t": 0.5})
    spec = {"search": {"budget": 3, "candidates": []}}
    choice = {"method": "linear", "weights": [1.0], "density": None}
    for _ in range(2):
        trials = search._Trials(spec, tmp_path, silent)
        trials.score(choice)
        trials.score(dict(choice))
        assert len(trials.done) == 2
    assert len(scored) == 1


def test_bad_options() -> None:
    with pytest.raises(BadInput, match="low has to be smaller"):
        parse(WeightSearch, {"budget": 3, "low": 2, "high": 1}, "here")
    with pytest.raises(BadInput, match="only searched with a budget"):
        parse(WeightSearch, {"methods": ["ties"]}, "here")
