"""Who teaches a student: planned first, part of its key, and always on the student's own base."""

import json
import shutil

import pytest

from factory.core.errors import BadInput, UnknownName
from factory.core.recipes import AdapterRecipe
from factory.engine.teachers import find_teacher, in_order
from factory.models.bases import Base
from factory.store.ref import Ref
from factory.store.store import Store

STUDENT = [
    "adapters.student.tasks=[tiny_math, tiny_sql]",
    "adapters.student.strategy=distil",
    "adapters.student.strategy_options.teachers={tiny_math: math, tiny_sql: 'adapter:sql'}",
    "adapters.student.max_steps=3",
]


def refs(prepared):
    return {job.ref.name: job.ref for job in prepared.plan.jobs if job.ref.kind == "adapter"}


def taught(*teachers):
    options = {"teachers": {f"t{place}": name for place, name in enumerate(teachers)}}
    return AdapterRecipe(tasks=[f"t{place}" for place in range(len(teachers))], strategy="distil",
                         strategy_options=options)  # fmt: skip


PLAIN = AdapterRecipe(tasks=["a"])


def test_teachers_are_planned_before_their_student_and_are_part_of_its_key(planned):
    before = planned(*STUDENT)
    jobs = {job.ref: job for job in before.plan.jobs}
    own = refs(before)
    assert {own["math"], own["sql"]} <= set(jobs[own["student"]].needs)
    order = list(jobs)
    assert order.index(own["student"]) > max(order.index(own["math"]), order.index(own["sql"]))
    after = refs(planned(*STUDENT, "adapters.sql.learning_rate=0.01"))
    assert {name for name in own if own[name] != after[name]} == {"sql", "student"}
    assert refs(planned())["math"] == own["math"]  # a student changes nothing about its teachers


def test_the_order_of_names_is_kept_but_for_teachers():
    recipes = {"c": taught("b"), "b": taught("a", "adapter:a"), "a": PLAIN, "d": PLAIN}
    assert in_order(recipes) == ["a", "d", "b", "c"]
    for circle in ({"a": taught("b"), "b": taught("a")}, {"a": taught("a")}):
        with pytest.raises(BadInput, match=f"adapters {', '.join(circle)} are one another's teachers"):
            in_order({**circle, "d": PLAIN})


@pytest.fixture
def base(pico_base):
    return Base("pico", str(pico_base), None, "hash-of-pico")


@pytest.fixture
def folder(tmp_path, pico_base):
    """A teacher in PEFT's format, made on the pico base, with the tokenizer beside it as trainers leave it."""

    def make(name, base=pico_base):
        path = tmp_path / name
        path.mkdir()
        config = {"peft_type": "LORA", "base_model_name_or_path": str(base), "r": 2, "lora_alpha": 4}
        (path / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["q_proj"]}))
        (path / "adapter_model.safetensors").write_bytes(b"weights")
        shutil.copy(pico_base / "tokenizer.json", path)
        return path

    return make


def test_a_folder_is_told_by_its_content(folder, base, tmp_path):
    def key(path):
        return find_teacher(str(path), {}, Store(tmp_path / "s"), base, "here").key

    one, two = folder("one"), folder("two")
    assert key(one) == key(two)
    (two / "adapter_model.safetensors").write_bytes(b"other weights")
    assert key(one) != key(two)


def test_a_teacher_of_another_base_or_tokenizer_is_refused(folder, base, tmp_path):
    store = Store(tmp_path / "store")
    with pytest.raises(BadInput, match=r"here: teacher .* was made on base other/model, the student's is pico; both"):
        find_teacher(str(folder("elsewhere", "other/model")), {}, store, base, "here")
    path = folder("words")
    tokenizer = json.loads((path / "tokenizer.json").read_text())
    (path / "tokenizer.json").write_text(json.dumps({**tokenizer, "added_tokens": []}))
    with pytest.raises(BadInput, match=r"here: teacher .* has another tokenizer than base pico; both need the same"):
        find_teacher(str(path), {}, store, base, "here")
    ref = Ref("pico", "adapter", "old", 0, "a" * 16)
    made = {"base": {"label": "pico of yesterday", "hash": "another"}, "parents": []}
    store.build(ref, lambda out, state: dict(made))
    with pytest.raises(BadInput, match="teacher 'adapter:old' was made on base pico of yesterday"):
        find_teacher("adapter:old", {}, store, base, "here")


def test_a_teacher_that_is_nowhere(base, tmp_path):
    planned = {"math": Ref("pico", "adapter", "math", 0, "b" * 16)}
    with pytest.raises((BadInput, UnknownName), match="here: teacher 'adapter:mth' is no adapter of this plan"):
        find_teacher("adapter:mth", planned, Store(tmp_path / "s"), base, "here")


def test_a_file_of_demonstrations_is_told_by_its_content(planned, tmp_path):
    path = tmp_path / "mine.jsonl"
    given = ["adapters.math.strategy=sft", f"adapters.math.strategy_options.demonstrations={path}"]
    with pytest.raises(BadInput, match=r"demonstrations: no file .*mine\.jsonl"):
        planned(*given)
    keys = []
    for text in ("one\n", "two\n", "one\n"):
        path.write_text(text)
        keys.append(refs(planned(*given))["math"].key)
    assert keys[0] == keys[2] != keys[1]
