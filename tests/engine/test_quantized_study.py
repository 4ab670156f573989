"""A study on a quantized base: what is another thing for it, and where its adapters go."""

import json

import pytest
import torch

from factory.analysis.cells import load_matrix
from factory.analysis.notes import notes
from factory.analysis.transfer import base_of, changes
from factory.core.errors import BadInput
from factory.core.progress import silent
from factory.engine.run import write_study
from factory.engine.worker import run_job
from factory.evaluation.variants import adapted
from factory.merging.plan import plan_merge
from factory.merging.run import run_plan
from factory.models.load import load_model
from factory.store.factors import read_factors

NF4 = ("quantization=nf4", "scored_on=[nf4, full]")
LEARNS = ("adapters.math.learning_rate=0.02", "adapters.math.max_completion_length=12")


def jobs(prepared, stage):
    return {(job.ref.name, job.spec["base"]["quantization"]): job for job in prepared.plan.jobs if job.stage == stage}


def test_what_is_made_on_a_quantized_base_is_another_thing_and_the_base_is_the_same(planned):
    plain, quantized = planned(), planned(*NF4)
    assert plain.plan.bases[0].hash == quantized.plan.bases[0].hash
    for stage in ("adapters", "matrix"):
        ours = {job.ref.key for job in jobs(plain, stage).values()}
        theirs = {job.ref.key for (_, how), job in jobs(quantized, stage).items() if how == "nf4"}
        assert ours and theirs and not ours & theirs
    cells = jobs(quantized, "matrix")
    assert len(cells) == 2 * len(jobs(plain, "matrix"))
    titles = {job.spec["variant"] for job in cells.values()}
    assert {
        "base",
        "adapter:math",
        "merge:linear",
        "base [full]",
        "adapter:math [full]",
        "merge:linear [full]",
    } <= titles
    # The base itself, as its files are, is the same cell in both studies.
    same = {job.ref.key for job in jobs(plain, "matrix").values() if job.spec["variant"] == "base"}
    assert same == {job.ref.key for job in cells.values() if job.spec["variant"] == "base [full]"}


def test_an_adapter_may_be_trained_otherwise_than_the_study_is(planned):
    prepared = planned("quantization=nf4", "adapters.sql.quantization=full")
    found = dict(jobs(prepared, "adapters").keys())
    assert found == {"math": "nf4", "sql": "full"}
    assert {how for _, how in jobs(prepared, "matrix")} == {"nf4"}


@pytest.mark.parametrize(
    "setting, says",
    [
        (("quantization=nf5",), "quantization: .*'full', 'nf4' or 'int8'"),
        (("quantization=nf4", "scored_on=[full]"), "have it among them"),
        (("scored_on=[full, full]",), "names one twice"),
        (("quantization=nf4", "adapters.math.lora.init_lora_weights=pissa"), "which are nf4 here"),
        (("quantization=int8", "adapters.math.lora.use_dora=true"), "use_dora together with int8"),
    ],
)
def test_bad_settings_are_one_line_when_planned(setting, says, planned):
    with pytest.raises(BadInput, match=says):
        planned(*setting)


@pytest.fixture(scope="module")
def finished(pico_base, tmp_path_factory):
    """A 4-bit study of one adapter and its merge, on a base that is a folder; (prepared, jobs by title)."""
    from pathlib import Path

    from factory.engine.study import prepare

    name = str(Path(__file__).parents[1] / "studies" / "pico.yaml")
    settings = [*NF4, *LEARNS, "merges.linear.adapters=[math]", "merges.linear.search=null", "benchmarks={tiny_math: }"]
    store = tmp_path_factory.mktemp("quantized") / "store"
    prepared = prepare(store, name, settings, {"base": str(pico_base)}, None)
    prepared.study.adapters.pop("sql", None)
    done = [job for job in prepared.plan.jobs if job.stage != "report" and job.ref.name != "sql"]
    for job in done:
        if "sql" not in job.ref.name:
            run_job(prepared.store, job.ref, job.run, job.spec, silent)
    prepared.plan.cells[:] = [ref for ref in prepared.plan.cells if "sql" not in ref.name]
    prepared.plan.variants[:] = [one for one in prepared.plan.variants if "sql" not in one[1]]
    return prepared, {job.ref.title.partition("/")[2]: job for job in done}


def test_the_card_says_how_and_the_history_is_the_full_bases(finished, pico_base):
    prepared, made = finished
    card = prepared.store.card(made["adapter:math#0"].ref)
    assert card["quantization"]["kind"] == "nf4"
    assert card["base"]["hash"] == prepared.plan.bases[0].hash == card["parents"][0]
    assert "warning" not in card or card["warning"] is None, "it learned nothing, so the rest says nothing"


def test_it_merges_into_the_full_base_and_never_into_the_4_bit_one(finished, pico_base, tmp_path):
    prepared, made = finished
    store, adapter = prepared.store, prepared.store.path(made["adapter:math#0"].ref)
    merged = store.card(made["merge:linear#0"].ref)
    assert merged["base"]["quantization"] == "full"
    plan = plan_merge(store, "linear", ["math"], base=str(pico_base))
    folder = run_plan(store, plan, silent, model=True)
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    tokens = torch.arange(40).reshape(4, 10) + 20
    whole, baked = load_model(str(pico_base)), load_model(str(folder))
    with torch.no_grad(), adapted(whole, adapter) as variant:
        torch.testing.assert_close(
            baked(input_ids=tokens).logits, variant(input_ids=tokens).logits, rtol=1e-4, atol=1e-4
        )
    assert any(bool(factors.lora_B.any()) for factors in read_factors(adapter).modules.values())


def test_variants_are_compared_with_the_base_that_is_loaded_as_theirs(finished):
    prepared, _ = finished
    matrix = load_matrix(prepared.store, write_study(prepared.store, prepared.study, prepared.plan, {}))
    against = {effect.variant: effect.against for effect in changes(matrix, "sampled")}
    assert against == {
        "adapter:math": "base",
        "merge:linear": "base",
        "base [full]": "base",
        "adapter:math [full]": "base [full]",
        "merge:linear [full]": "base [full]",
    }
    assert base_of("merge:linear [nf4]") == "base [nf4]"
    text = "\n".join(notes(matrix, "sampled"))
    assert "The base is loaded in nf4." in text
    assert "adapter:math [full] − adapter:math, paired on the same items: tiny_math" in text
