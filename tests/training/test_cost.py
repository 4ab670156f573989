"""What a training cost, by hand."""

from factory.training.cost import cost_of

GRPO = {"prompts": 4, "kept": 2, "completions": 8, "length": 5.0, "reward": 0.5}
WRITTEN = {"prompts": 3, "kept": 3, "completions": 3, "length": 4.0, "reward": None, "trained_tokens": 12}
GIVEN = {"prompts": 2, "kept": 2, "completions": 0, "length": 6.0, "reward": None, "trained_tokens": 12}


def line(generation, scoring, update, **tasks):
    return {"tasks": tasks, "seconds": {"generation": generation, "scoring": scoring, "update": update}}


def test_grpo_is_trained_on_the_kept_share_of_what_it_verified():
    lines = [line(1, 0.5, 2, a=GRPO), line(1, 0.25, 2, a=GRPO, b=GRPO)]
    assert cost_of(lines, {}) == {
        "completions": 24,
        "tokens": 120,
        "trained_tokens": 60,  # two of four groups kept
        "verified": 24,
        "seconds": {"generation": 2, "scoring": 0.75, "update": 4},
    }


def test_what_a_student_writes_is_sampled_and_trained_and_judged_by_nobody():
    found = cost_of([line(1, 0, 2, a=WRITTEN)], {})
    assert (found["completions"], found["tokens"], found["trained_tokens"], found["verified"]) == (3, 12, 12, 0)


def test_what_was_spent_before_the_first_step_counts():
    before = {"completions": 32, "tokens": 100, "verified": 32, "seconds": {"generation": 3.0, "scoring": 1.0}}
    assert cost_of([line(0, 0, 2, a=GIVEN)], before) == {
        "completions": 32,
        "tokens": 100,
        "trained_tokens": 12,
        "verified": 32,
        "seconds": {"generation": 3, "scoring": 1, "update": 2},
    }
