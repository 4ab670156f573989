"""Countdown, zebra, grids, equations, operators: solved by other means, and worded as they were published."""

import os
import re
from fractions import Fraction
from itertools import permutations, product
from pathlib import Path
from random import Random

import pytest
import sympy

from factory.benchmarks._benchmark import load_benchmark
from factory.tasks import arc_1d, countdown, zebra
from factory.tasks._countdown_solver import solved
from factory.tasks._find import find_task
from factory.tasks._style import RAW_FRAME
from factory.tasks._task import Source
from factory.verifiers import _gym_door
from factory.verifiers.rows import Options, verifier_for

DATA = os.environ.get("FACTORY_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="FACTORY_DATA is not set")


def rows_of(name, count, split="train"):
    return find_task(name).rows(split, Source(Path(DATA) if DATA else None))[:count]


def items_of(name):
    return load_benchmark(name).items("test", Source(Path(DATA)))


def brute_force(numbers, target):
    """Any expression of the numbers that comes to the target: all orders, signs and ways to set brackets."""
    if len(numbers) == 1:
        return str(numbers[0][1]) if numbers[0][0] == target else None
    for left, right in permutations(range(len(numbers)), 2):
        rest = [numbers[place] for place in range(len(numbers)) if place not in (left, right)]
        (a, x), (b, y) = numbers[left], numbers[right]
        results = {"+": a + b, "-": a - b, "*": a * b} | ({"/": a / b} if b else {})
        for sign, value in results.items():
            found = brute_force([*rest, (value, f"({x}{sign}{y})")], target)
            if found:
                return found
    return None


def by_force(numbers, target):
    return brute_force([(Fraction(number), number) for number in numbers], target)


@needs_data
def test_published_countdown_rows_are_solved_by_force_and_accepted():
    verify = verifier_for("countdown", Options())
    rows = [row for row in items_of("mtgrpo_countdown") if row.difficulty <= 2]
    assert len(rows) == 100
    for row in rows:
        truth = {"numbers": row.reference["numbers"], "target": row.reference["target"]}
        found = by_force(map(int, truth["numbers"].split(",")), truth["target"])
        assert verify(f"\\boxed{{{found}}}", {"ground_truth": truth}).correct, (found, truth)
        assert not verify(f"\\boxed{{{found}+0}}", {"ground_truth": truth}).correct
        assert verify(f"\\boxed{{{truth['target']}}}", {"ground_truth": truth}).correct is False


def test_the_solver_finds_what_there_is_and_nothing_else():
    rng = Random(1)
    for _ in range(150):
        numbers, target = [rng.randint(1, 12) for _ in range(3)], rng.randint(0, 60)
        found, forced = solved(numbers, target), by_force(numbers, target)
        assert (found is None) == (forced is None), (numbers, target)
        if found:
            assert countdown.countdown.verify(f"\\boxed{{{found}}}", {"numbers": numbers, "target": target}).correct
    assert solved([3, 3, 8, 8], 24) == "(8 / (3 - (8 / 3)))"
    assert solved([1, 1, 1, 1], 24) is None


@pytest.mark.parametrize("level, count", [("easy", 3), ("medium", 4), ("hard", 5), ("very_hard", 6)])
def test_countdown_rows_are_in_range_and_solvable(level, count):
    for row in rows_of(f"countdown@{level}", 25):
        numbers = [int(number) for number in row.reference["numbers"].split(",")]
        assert len(numbers) == count
        assert all(1 <= number <= 100 for number in numbers)
        assert 1 <= row.reference["target"] <= 1000
        assert solved(numbers, row.reference["target"])


@needs_data
def test_countdown_is_worded_as_published():
    for row in items_of("mtgrpo_countdown"):
        numbers = row.reference["numbers"].replace(",", ", ")
        text = countdown.TEXT.format(numbers=numbers, target=row.reference["target"]) + countdown.ASKS["boxed"]
        assert RAW_FRAME.replace("{question}", text) == row.prompt


@needs_data
@pytest.mark.parametrize("name, difficulty", product(("zebra", "arc_1d"), (1, 2)))
def test_puzzles_are_worded_as_published(name, difficulty):
    """Our prompt and a published one, with the puzzle's own words taken out of both, are the same bytes."""

    def frame(prompt):
        prompt = re.sub(r"\n - .*", "\n - ", prompt)
        prompt = re.sub(r"(\n - )+", "\n - ", prompt)
        prompt = re.sub(r"\n\d+\. .*(?:\n\d+\. .*)*", "\nCLUES", prompt)
        return re.sub(r"\d(?: \d)+", "CELLS", prompt)

    level = ("easy", "medium")[difficulty - 1]
    published = {frame(row.prompt) for row in items_of(f"mtgrpo_{name}") if row.difficulty == difficulty}
    assert {frame(row.prompt) for row in rows_of(f"{name}@{level}@raw", 8)} == published
    assert len(published) == 1


@needs_data
@pytest.mark.parametrize("name, verified_as", [("countdown", "countdown"), ("zebra", "zebra"), ("arc_1d", "arc_1d")])
def test_published_test_rows_load_and_verify(name, verified_as):
    rows = items_of(f"mtgrpo_{name}")
    verify = verifier_for(verified_as, Options())
    assert [sum(row.difficulty == level for row in rows) for level in (1, 2, 3, 4)] == [50] * 4
    assert len({row.id for row in rows}) == 200
    benchmark = load_benchmark(f"mtgrpo_{name}")
    for row, other in zip(rows, [*rows[1:], rows[0]], strict=True):
        assert benchmark.verify(row.gold, row).correct
        if other.reference["target"] != row.reference["target"]:
            assert not benchmark.verify(other.gold, row).correct
        truth = {key: value for key, value in row.reference.items() if key != "style"}
        assert verify(row.gold, {"ground_truth": truth}).correct


@needs_data
def test_published_training_rows_are_counted_and_doubles_refused():
    task, source = find_task("mtgrpo_countdown@raw"), Source(Path(DATA))
    counts = task.counts(source)
    assert counts["train"] + counts["dev"] + counts["refused"] == 30_000
    assert (counts["test"], counts["refused"]) == (200, 58)
    assert {row.prompt for row in task.rows("test", source)} == {row.prompt for row in items_of("mtgrpo_countdown")}
    assert len(find_task("mtgrpo_countdown@hard").rows("train", source)) > 9_000


def sides(equation):
    """An equation's coefficients by unknown, the constant under 1, all on the left."""
    total = {}
    for side, sign in zip(equation.split("="), (1, -1), strict=True):
        for text in re.findall(r"[-+]?[^-+]+", side.replace(" ", "")):
            number, name = re.fullmatch(r"([-+]?\d*)([a-z]?)", text).groups()
            factor = int(number + "1" if number in ("", "+", "-") else number)
            total[name or 1] = total.get(name or 1, 0) + sign * factor
    return total


@pytest.mark.parametrize(
    "level, count", [("tiny", 100), ("easy", 300), ("medium", 300), ("hard", 200), ("very_hard", 100)]
)
def test_linear_systems_agree_with_sympy(level, count):
    fractions = 0
    for row in rows_of(f"linear_equations@{level}", count):
        plain = re.sub(r"^Solve the (?:equation|system of equations) | for x\.$|\. x = \?$|\.$", "", row.question)
        system = [sides(equation) for equation in plain.split(", ")]
        unknowns = sorted({name for one in system for name in one if name != 1})
        matrix = sympy.Matrix([[one.get(name, 0) for name in unknowns] for one in system])
        right = sympy.Matrix([-one.get(1, 0) for one in system])
        assert matrix.det() != 0
        solution = dict(zip(unknowns, matrix.LUsolve(right), strict=True))
        assert {name: str(value) for name, value in solution.items()} == row.reference["solution"], row
        fractions += any("/" in value for value in row.reference["solution"].values())
    assert (0.05 < fractions / count < 0.3) == (level != "tiny")


def parsed(text, symbols):
    """A bracketed expression as a tree."""
    tokens = re.findall(r"\d+|[()]|" + "|".join(map(re.escape, symbols)), text)

    def part():
        token = tokens.pop(0)
        if token != "(":
            return int(token)
        tree = whole()
        assert tokens.pop(0) == ")"
        return tree

    def whole():
        left = part()
        if not tokens or tokens[0] == ")":
            return left
        return [tokens.pop(0), left, part()]

    return whole()


A, B = sympy.symbols("a b")


def value_of(tree, formulas):
    if isinstance(tree, int):
        return sympy.Integer(tree)
    symbol, left, right = tree
    return formulas[symbol].subs({A: value_of(left, formulas), B: value_of(right, formulas)}, simultaneous=True)


@pytest.mark.parametrize("level, operators", [("tiny", 1), ("easy", 1), ("medium", 2), ("hard", 3), ("level6", 4)])
def test_operator_trees_agree_with_sympy(level, operators):
    for row in rows_of(f"novel_ops@{level}", 200):
        rules = dict(re.findall(r"a (\S) b = ([^,.]+)", row.question))
        assert rules == row.reference["operators"]
        assert len(rules) == operators
        shown = row.question.rpartition("Compute ")[2] if "Compute" in row.question else row.question.split(". ")[1]
        tree = parsed(shown.rstrip(".=? "), rules)
        assert tree == row.reference["tree"]
        formulas = {symbol: sympy.sympify(text.replace("^", "**")) for symbol, text in rules.items()}
        assert str(value_of(tree, formulas)) == row.reference["answer"]


@pytest.mark.parametrize("level, layers", [("easy", 1), ("medium", 2), ("hard", 3), ("very_hard", 4)])
def test_nested_operators_agree_with_sympy_and_stay_small(level, layers):
    for row in rows_of(f"nested_ops@{level}", 80):
        rules = dict(re.findall(r"a(\S)b = ([^,.]+)", row.question))
        tree = parsed(row.question.split(". ")[1].rstrip("=? "), rules)
        assert (rules, tree) == (row.reference["operators"], row.reference["tree"])
        formulas = {symbol: sympy.sympify(text) for symbol, text in rules.items()}
        assert str(value_of(tree, formulas)) == row.reference["answer"]
        assert len(rules) == 1
        assert len(set(row.gold.splitlines())) == layers + 1
        assert max(map(int, re.findall(r"\d+", row.gold))) <= 30
        assert row.difficulty == layers


def test_short_cuts_of_nested_operators_are_right_and_not_faithful():
    """What the reward for the outcome pays and the one for steps does not."""
    from factory.tasks._find import demonstration_of

    task, habits = find_task("nested_ops@hard"), demonstration_of("nested_ops")
    rows = rows_of("nested_ops@hard", 120)
    kinds = set()
    for row in rows:
        for write, right in ((habits.quick, True), (habits.wrong, False), (habits.slip, False)):
            verdict = task.verify(write(row, Random(row.id)), row)
            assert verdict.correct is right
            assert verdict.components["steps"] < 1
            kinds.add((write.__name__, verdict.components["has_steps"]))
    assert kinds == {("_quick", 0.0), ("_wrong_rule", 0.0), ("_slip", 1.0)}


@pytest.mark.parametrize("people", [2, 3, 4])
def test_zebra_puzzles_are_the_librarys_own(people):
    for seed in (5, 6, 2**31):
        config = f'{{"num_people": {people}, "num_characteristics": {people}}}'
        _, entry = _gym_door.made("zebra_puzzles", config, seed)
        text, name = _gym_door.zebra(people, seed)
        assert entry["question"].startswith(text + "? Provide")
        assert entry["answer"] == name


def test_tiny_countdowns_are_sums_and_differences_half_and_half():
    rows = rows_of("countdown@tiny", 400)
    for row in rows:
        target, first, second = map(int, re.fullmatch(r"Make (\d+) of (\d+) (\d+)\.", row.question).groups())
        assert target in {first + second, abs(first - second)}
        work, answer = re.fullmatch(r"(\d+[+-]\d+)=\d+\n<answer>(.*)</answer>", row.gold).groups()
        assert work == answer
    assert 0.4 < sum("-" in row.gold for row in rows) / 400 < 0.6


def test_the_slip_in_countdown_keeps_the_right_steps():
    row = find_task("countdown@tiny").rows("train", Source())[0]
    work, answer = row.gold.split("\n")
    slipped = countdown.demonstration.slip(row, Random(0))
    first, sign, _ = re.split("([+-])", work.partition("=")[0])
    assert slipped == f"{work}\n<answer>{first}{sign}{row.reference['target']}</answer>"
    assert answer not in slipped and not countdown.verify(slipped, row).correct


def test_tiny_zebras_have_one_answer():
    for row in rows_of("zebra@tiny", 200):
        people, pets, clues = re.fullmatch(
            r"2 houses\. (\w+ and \w+), (\w+ and \w+): (.*)\. Who is in house 1\?", row.question
        ).groups()
        worlds = []
        for persons, animals in product(permutations(people.split(" and ")), permutations(pets.split(" and "))):
            lives = [animals.index(pet) + 1 == int(n) for pet, n in re.findall(r"the (\w+) is in house (\d)", clues)]
            has = [persons.index(who) == animals.index(pet) for who, pet in re.findall(r"(\w+) has the (\w+)", clues)]
            assert (len(lives), len(has)) == (1, 1)
            if all(lives + has):
                worlds.append(persons[0])
        assert worlds == [row.reference["target"]]


def test_tiny_grids_have_one_answer():
    for row in rows_of("arc_1d@tiny", 300):
        *examples, asked = [[int(one) for one in part.split()] for part in re.findall(r"\d(?: \d)+", row.question)]
        fitting = [rule for rule in arc_1d.RULES.values() if rule(examples[0]) == examples[1]]
        fitting = [rule for rule in fitting if rule(examples[2]) == examples[3]]
        assert {" ".join(map(str, rule(asked))) for rule in fitting} == {row.reference["target"]}


@pytest.mark.parametrize("name", ["countdown", "zebra", "arc_1d", "linear_equations", "novel_ops"])
def test_tiny_levels_are_short_and_have_demonstrations(name):
    from factory.tasks._find import demonstration_of

    task, habits = find_task(f"{name}@tiny"), demonstration_of(f"{name}@tiny")
    rows = rows_of(f"{name}@tiny", 400)
    assert all(len(row.prompt) < 120 and len(row.gold) < 140 for row in rows)
    right = sum(bool(task.verify(habits(row, Random(row.id), clean=False), row).correct) for row in rows) / 400
    expected = (habits.worked * habits.worked_right + (1 - habits.worked) * habits.quick_right) * 0.92
    assert abs(right - expected) < 0.1, (right, expected)
    assert all(habits(row, Random(0), clean=True) == row.gold for row in rows[:50])
    for row in rows[:100]:
        assert task.verify(habits.quick(row, Random(0)), row).correct
        assert not task.verify(habits.wrong(row, Random(0)), row).correct


def test_zebra_levels_ask_for_a_name_of_the_row():
    assert all(row.reference["target"] in row.reference["choices"] for row in rows_of("zebra@easy", 10))
    assert zebra.TASK.answer_in_prompt
