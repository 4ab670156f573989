"""A step as the trainer gets it: whole groups, padding that does not count, rows that come back in order."""

from types import SimpleNamespace

import pytest

from factory.core.recipes import AdapterRecipe
from factory.core.records import Row, Verdict
from factory.rewards import Pool, Scorer
from factory.tasks._task import Task
from factory.training.filler import Filler
from factory.training.queues import Queues
from factory.training.strategies import dapo, joint
from factory.training.strategy import declared_sizes

ROWS = [Row(str(n), f"prompt {n}", "yes", {}, 1 + n % 3) for n in range(9)]


def verify(completion: str, row: Row) -> Verdict:
    return Verdict.of(completion == "yes", format=1.0)


def filler_of(strategy, texts, group=2, **options) -> Filler:
    """A filler whose model says `texts[place % len(texts)]` for the completion at a place of each group."""
    tasks = {name: Task(name, 1, "", "", "", lambda split, source: ROWS, verify) for name in ("a", "b")}
    pools = {name: Pool(task, ROWS) for name, task in tasks.items()}
    recipe = AdapterRecipe(tasks=["a", "b"], strategy="x", strategy_options=options)
    return Filler(
        pools=pools,
        strategy=strategy.build(recipe, declared_sizes(tasks)),
        scorer=Scorer(pools, {"correct": 1.0}, 0.0),
        tokens=lambda row: [int(row.id), 100],
        texts=lambda ids: ["yes" if one[0] == 7 else "no" for one in ids],
        sample=lambda trainer, prompts: [
            [[7 if texts(prompt[0])[place] == "yes" else 8, 9] for place in range(group)] for prompt in prompts
        ],
        group=group,
        seed=0,
    )


def at(step: int):
    return SimpleNamespace(state=SimpleNamespace(global_step=step))


def test_it_returns_whole_groups_for_as_many_rows_as_it_was_given():
    filler = filler_of(joint, lambda row: ["yes", "no"])
    out = filler(["placeholder"] * 8, at(0))
    assert {len(value) for key, value in out.items() if key != "logprobs"} == {8}
    assert out["task"].count("a") == out["task"].count("b") == 4
    for place in range(0, 8, 2):
        assert out["prompt_ids"][place] == out["prompt_ids"][place + 1]
        assert out["prompt_ids"][place][0] == int(ROWS[out["row"][place]].id)
        assert [verdict.correct for verdict in out["verdict"][place : place + 2]] == [True, False]
    assert out["env_mask"] == [[1, 1]] * 8


def test_padding_counts_for_nothing():
    """Only row 4 has a mixed group: the rest of the step is made up, and none of its tokens are in the loss."""
    filler = filler_of(dapo, lambda row: ["yes", "no"] if row == 4 else ["no", "no"], max_rounds=2)
    out = filler([None] * 16, at(0))
    real = sum(mask == [1, 1] for mask in out["env_mask"])
    assert 0 < real < 16
    for mask, row in zip(out["env_mask"], out["row"], strict=True):
        assert mask == ([1, 1] if row == 4 else [0, 0])
    assert filler.step is not None
    assert len(filler.step.padding) == (16 - real) // 2


def test_a_step_without_any_signal_keeps_its_tokens_for_nothing_else_would_be_left_to_divide_by():
    out = filler_of(dapo, lambda row: ["no", "no"], max_rounds=1)([None] * 4, at(0))
    assert out["env_mask"] == [[1, 1]] * 4


def test_a_restored_filler_goes_on_where_it_was():
    one, two = (filler_of(joint, lambda row: ["yes", "no"]) for _ in range(2))
    for step in range(3):
        one([None] * 6, at(step))
    two.restore(one.state())
    assert two([None] * 6, at(3)) == one([None] * 6, at(3))
    assert two.used("a") == one.used("a")


def test_all_rows_come_before_any_comes_again_and_difficulties_keep_their_share():
    queues = Queues({"a": ROWS[:7]}, seed=5)
    drawn = queues.draw("a", 7)
    assert sorted(drawn) == list(range(7))
    assert queues.draw("a", 7) != drawn
    within = Queues({"a": ROWS}, seed=5).draw("a", 6, (2, 3))
    assert sorted(ROWS[row].difficulty for row in within) == [2, 2, 2, 3, 3, 3]
    with pytest.raises(Exception, match="no rows of difficulty 7 to 9; it has 1, 2, 3"):
        queues.draw("a", 1, (7, 9))
