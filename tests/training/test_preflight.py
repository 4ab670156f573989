"""Before training: a verifier that rejects every gold answer, rewards that pay nothing for being right."""

import pytest

from factory.core.errors import BadInput
from factory.core.records import Row, Verdict
from factory.rewards import Pool, Scorer
from factory.tasks._task import Task
from factory.training.preflight import check_golds

ROWS = [Row(str(n), "Say yes.", "yes", {}) for n in range(20)]


def pool(accepts: str, gold: str = "yes") -> Pool:
    def verify(completion: str, row: Row) -> Verdict:
        return Verdict.of(completion == accepts, "another word", format=1.0)

    rows = [Row(row.id, row.prompt, gold, {}) for row in ROWS]
    return Pool(Task("yes", 1, "", "", "", lambda split, source: rows, verify), rows)


def checked(one: Pool, rewards=None) -> None:
    check_golds({"yes": one}, Scorer({"yes": one}, rewards or {"correct": 1.0, "format": 0.1}, 0.0))


def test_golds_that_are_accepted_and_paid_pass():
    checked(pool("yes"))


def test_a_verifier_that_rejects_them_all_is_named_with_its_reason():
    with pytest.raises(BadInput, match=r"task yes: its verifier rejects .* first 8 training rows \(another word\)"):
        checked(pool("no"))


def test_rewards_that_pay_the_empty_answer_as_well_are_refused():
    with pytest.raises(BadInput, match=r"a right answer is paid 0\.1 and an empty one 0\.1"):
        checked(pool("yes"), {"format": 0.1})


def test_a_task_without_gold_answers_is_not_judged_by_them():
    checked(pool("no", gold=""))
