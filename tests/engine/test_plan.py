"""Planning: it writes nothing, and a key changes when and only when something that goes into the thing changes."""

import pytest

from factory.core.errors import BadInput, UnknownName
from factory.engine.plan import STAGES
from factory.engine.run import missing
from factory.engine.show import dry_run_result, dry_run_text


def keys(prepared):
    """key by title of every job but the contamination gate, which is the study's and no seed's."""
    return {job.ref.title: job.ref.key for job in prepared.plan.jobs if job.ref.kind != "gate"}


def changed(before, after):
    """Titles without base and seed (`adapter:math`) of the jobs whose key is another one."""
    one, two = keys(before), keys(after)
    assert one.keys() == two.keys()
    return {title.partition("/")[2].partition("#")[0] for title in one if one[title] != two[title]}


ALL = {
    "base:embedded",
    "adapter:math",
    "adapter:sql",
    "search:linear",
    "merge:linear",
    *(
        f"cell:{variant}-on-{benchmark}"
        for variant in ("base", "adapter.math", "adapter.sql", "merge.linear")
        for benchmark in ("tiny_math", "tiny_ops")
    ),
}
CELLS = {title for title in ALL if title.startswith("cell:")}
MERGED = {"search:linear", "merge:linear", "cell:merge.linear-on-tiny_math", "cell:merge.linear-on-tiny_ops"}
MATH = {"adapter:math", "cell:adapter.math-on-tiny_math", "cell:adapter.math-on-tiny_ops", *MERGED}


def test_planning_writes_nothing(planned, tmp_path):
    prepared = planned()
    dry_run_text(prepared, None, ())
    assert missing(prepared.store, prepared.plan)
    assert list(tmp_path.iterdir()) == []


def test_the_whole_study_is_there_once_and_in_order(planned):
    prepared = planned(seeds="0,1")
    jobs = prepared.plan.jobs
    titles = [job.ref.title for job in jobs if job.ref.kind != "gate"]
    assert {title.partition("/")[2].partition("#")[0] for title in titles} == ALL
    assert len(set(titles)) == len(titles) == 2 * len(ALL)
    todo = missing(prepared.store, prepared.plan)
    assert todo == jobs
    done = set()
    for job in todo:
        assert set(job.needs) <= done, f"{job.ref.title} comes before what it needs"
        assert all(STAGES.index(job.stage) >= STAGES.index(one.stage) for one in jobs if one.ref in job.needs)
        done.add(job.ref)
    by_seed = [job.ref for job in jobs if job.ref.seed == 1]
    assert all(need.seed == 1 for job in jobs if job.ref in by_seed for need in job.needs)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("description=other words", set()),
        ("adapters.math.max_steps=4", MATH),
        ("adapters.math.lora.r=3", MATH),
        ("adapters.math.rewards.format=0.25", MATH),
        ("adapters.math.learning_rate=0.01", MATH),
        ("merges.linear.search.items=5", MERGED),
        ("merges.linear.rank=2", MERGED),
        ("embedded.steps=61", ALL),
        # The search scores candidates as the matrix scores variants, so decoding is an input of both.
        ("decoding.temperature=0.5", CELLS | MERGED),
        ("decoding.limit=7", CELLS | MERGED),
        ("benchmarks.tiny_ops.samples=3", {title for title in CELLS if title.endswith("tiny_ops")}),
    ],
)
def test_a_key_changes_when_and_only_when_its_inputs_do(planned, setting, expected):
    before = planned()
    assert changed(before, planned()) == set()
    after = planned(setting)
    if setting.startswith("embedded."):  # another base has another label, and so other titles
        assert not set(keys(before).values()) & set(keys(after).values())
    else:
        assert changed(before, after) == expected


def test_no_key_is_shared_between_seeds_or_bases(planned, pico_base):
    one, two = planned(), planned(seeds="1")
    assert not set(keys(one).values()) & set(keys(two).values())
    elsewhere = planned(base=str(pico_base))
    assert not set(keys(one).values()) & set(keys(elsewhere).values())
    # A folder is told by its content: the base is not built, and the same content has the same keys.
    assert not [job for job in elsewhere.plan.jobs if job.stage == "base"]
    assert keys(elsewhere) == keys(planned(base=str(pico_base)))


def test_another_folder_for_the_store_is_another_place_for_the_same_things(planned, tmp_path):
    from factory.engine.study import prepare

    elsewhere = prepare(tmp_path / "other", str(planned.study), (), {}, None)
    assert keys(planned()) == keys(elsewhere)


def test_two_seeds_on_one_base_build_it_once(planned):
    prepared = planned(seeds="0,1", base="embedded@3")
    assert [job.ref.seed for job in prepared.plan.jobs if job.stage == "base"] == [3]
    assert len({base.hash for base in prepared.plan.bases.values()}) == 1
    adapters = [job.ref.key for job in prepared.plan.jobs if job.stage == "adapters"]
    assert len(set(adapters)) == 4


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("adapters.math.tasks=[tiny_mathh]", "did you mean 'tiny_math'"),
        ("adapters.math.strategy=singel", "did you mean 'single'"),
        ("adapters.math.rewards.formt=1", "did you mean 'format'"),
        ("merges.linear.adapters=[math, slq]", "did you mean 'sql'"),
        ("merges.linear.recipe=liner", "did you mean 'linear'"),
        ("benchmarks.tiny_opps=null", "did you mean 'tiny_ops'"),
    ],
)
def test_an_unknown_name_is_found_before_any_work(planned, tmp_path, setting, says):
    with pytest.raises(UnknownName, match=says):
        planned(setting)
    assert list(tmp_path.iterdir()) == []


def test_a_base_that_is_no_model(planned, tmp_path):
    with pytest.raises(BadInput, match=r"no config\.json"):
        planned(base=str(tmp_path))


@pytest.mark.parametrize("only", STAGES)
def test_only_stops_after_its_stage(planned, only):
    prepared = planned()
    todo = missing(prepared.store, prepared.plan, only)
    wanted = STAGES[: STAGES.index(only) + 1]
    assert todo == [job for job in prepared.plan.jobs if job.stage in wanted]
    assert dry_run_result(prepared, only, ())["to_build"] == len(todo)


def test_only_and_force_suggest_the_nearest_name(planned):
    prepared = planned()
    with pytest.raises(UnknownName, match="did you mean 'merges'"):
        missing(prepared.store, prepared.plan, "merge")
    with pytest.raises(UnknownName, match="did you mean 'math'"):
        missing(prepared.store, prepared.plan, None, ["maht"])
    with pytest.raises(UnknownName):  # it exists, but not before this stage
        missing(prepared.store, prepared.plan, "base", ["math"])


def test_learning_curves_add_cells_of_the_steps_between_and_change_no_other_cell(planned):
    plain, curved = planned(), planned("curves={every: 2, limit: 4, benchmarks: [tiny_math], adapters: [math]}")
    one, two = keys(plain), keys(curved)
    assert two.keys() - one.keys() == {"embedded-e366-s0/cell:adapter.math@2-on-tiny_math#0"}
    assert {title.partition("/")[2].partition("#")[0] for title in one if one[title] != two[title]} == MATH
    assert keys(planned("curves.every=3")) == one  # the third step is the last: there is nothing between
    point = next(job for job in curved.plan.jobs if "@2" in job.ref.title)
    assert point.spec["decoding"] == {**point.spec["decoding"], "limit": 4, "samples": 2, "greedy": False}
    assert [ref.key for ref in curved.plan.points] == [point.ref.key]


def test_curves_and_comparisons_of_what_is_not_there_are_refused(planned):
    with pytest.raises(BadInput, match=r"curves.benchmarks: unknown benchmark 'tiny_mth'; did you mean 'tiny_math'"):
        planned("curves.benchmarks=[tiny_mth]")
    with pytest.raises(BadInput, match=r"joint.against: unknown adapter 'mat'; did you mean 'math'"):
        planned("joint.against=[mat]")
