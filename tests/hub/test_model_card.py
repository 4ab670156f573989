"""The card is in good form by the Hub's own classes, its links lead somewhere, and a user can write his own."""

import json
import re

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard, eval_result_entries_to_yaml
from huggingface_hub._eval_results import parse_eval_result_entries

from factory.hub.assemble import Target, assemble
from factory.hub.figures import results_png
from factory.hub.front_matter import eval_results
from factory.store.store import Store, check_hashes
from factory.store.tensors import TensorReader

BASE = {"repo": "me/tiny", "revision": "a" * 40, "licence": "apache-2.0"}


@pytest.fixture(scope="module")
def assembled(kept_store, tmp_path_factory):
    """An adapter's folder and a merge's, as they would be sent."""
    root, refs = kept_store
    out = tmp_path_factory.mktemp("assembled")
    parents = {refs["math"].key: "me/math", refs["sql"].key: "me/sql"}
    made = {name: out / name for name in ("math", "merge")}
    for name, folder in made.items():
        assemble(Store(root), refs[name], Target(f"me/{name}", BASE, parents=parents), folder)
    return made


@pytest.mark.parametrize("name", ["math", "merge"])
def test_front_matter(assembled, name):
    data = ModelCard.load(assembled[name] / "README.md").data
    assert (data.library_name, data.base_model, data.base_model_relation) == ("peft", "me/tiny", "adapter")
    assert (data.pipeline_tag, data.license, data.language) == ("text-generation", "apache-2.0", ["en"])
    wanted = {"lora", "trl", "grpo", "base_model:adapter:me/tiny", *({"merge"} if name == "merge" else ())}
    assert wanted <= set(data.tags)


def test_model_index_goes_through_the_card_and_back(assembled):
    card = json.loads((assembled["math"] / "card.json").read_text())
    given = eval_results(card["evaluation"]["results"])
    back = ModelCard.load(assembled["math"] / "README.md").data.eval_results
    assert len(given) == 6  # three benchmarks, sampled and greedy
    assert sorted(map(repr, back)) == sorted(map(repr, given))
    one = next(r for r in back if r.dataset_name == "tiny_math" and r.metric_name == "accuracy, greedy")
    assert isinstance(one, EvalResult)
    told = {(r["benchmark"], r["mode"]): r for r in card["evaluation"]["results"]}["tiny_math", "greedy"]
    assert one.metric_value == round(100 * told["value"], 2)
    assert one.metric_args["n"] == 40
    assert one.metric_args["interval_95"] == [round(100 * told["low"], 2), round(100 * told["high"], 2)]
    assert "95 % interval" in one.metric_args["notes"] and one.metric_args["harness"].startswith("lora-factory ")
    known = next(r for r in back if r.dataset_name == "gsm8k")
    assert known.dataset_type == "openai/gsm8k"


def test_eval_results_of_benchmarks_the_hub_knows(assembled):
    (path,) = (assembled["math"] / ".eval_results").iterdir()
    assert path.name == "gsm8k.yaml"
    plain = yaml.safe_load(path.read_text())
    (entry,) = parse_eval_result_entries(plain)
    assert (entry.dataset_id, entry.task_id) == ("openai/gsm8k", "gsm8k")
    told = json.loads((assembled["math"] / "card.json").read_text())["evaluation"]["results"]
    (greedy,) = (one["value"] for one in told if (one["benchmark"], one["mode"]) == ("gsm8k", "greedy"))
    assert entry.value == round(100 * greedy, 2), "leaderboards are in %"
    assert "n = 40" in entry.notes
    assert eval_result_entries_to_yaml([entry]) == plain


@pytest.mark.parametrize("name", ["math", "merge"])
def test_links_and_pictures_are_there(assembled, name):
    folder = assembled[name]
    text = (folder / "README.md").read_text().split("---", 2)[2]
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in links:
        outside = re.fullmatch(r"https://huggingface.co/[\w-]+/[\w-]+", link)
        assert outside or (folder / link).is_file(), link
    assert {"figures/results.png", "recipe.yaml", "card.json"} <= set(links)
    pictures = {f"figures/{path.name}" for path in (folder / "figures").iterdir()}
    assert pictures <= set(links)
    assert "undefined" not in text.lower() and "None" not in text and "{{" not in text


def test_the_body_as_html(assembled):
    from markdown_it import MarkdownIt

    text = (assembled["merge"] / "README.md").read_text().split("---", 2)[2]
    page = MarkdownIt("commonmark").enable("table").render(text)
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "How to load it",
        "Results",
        "Interference",
        "How it was made",
        "Provenance",
        "Limits",
        "Licences",
    ]
    assert page.count("<table>") == 3
    (row,) = re.findall(r"<tr>\s*<td><strong>tiny_math</strong> v2</td>\s*<td>greedy</td>.*?</tr>", page, re.S)
    assert row.count("<td") == 6
    assert "|" not in re.sub(r"<[^>]*>", "", re.sub(r"<code.*?</code>", "", page, flags=re.S)), "a table fell apart"


def test_the_folder_is_what_the_store_can_take(assembled):
    for folder in assembled.values():
        check_hashes(folder)
        with TensorReader(folder / "adapter_model.safetensors") as reader:
            assert reader.entries


def test_the_same_store_gives_the_same_bytes(kept_store, assembled, tmp_path):
    root, refs = kept_store
    target = Target("me/math", BASE, parents={refs["math"].key: "me/math", refs["sql"].key: "me/sql"})
    assemble(Store(root), refs["math"], target, tmp_path / "again")
    for path in (tmp_path / "again").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (assembled["math"] / path.relative_to(tmp_path / "again")).read_bytes(), path


def test_a_row_without_its_base_can_be_drawn():
    result = {"benchmark": "x", "mode": "greedy", "value": 0.5, "low": 0.4, "high": 0.6, "base": None}
    assert results_png([result], "adapter:x").startswith(b"\x89PNG")


def test_what_was_not_trained_with_grpo_is_not_called_so(store, tmp_path):
    root, refs = store
    path = root / refs["math"].folder / "card.json"
    card = json.loads(path.read_text())
    card["recipe"]["strategy"] = "sft"
    path.write_text(json.dumps(card))
    for name in ("math", "merge"):
        assemble(Store(root), refs[name], Target(f"me/{name}", BASE), tmp_path / name)
    made = {name: ModelCard.load(tmp_path / name / "README.md") for name in ("math", "merge")}
    assert {"sft", "grpo"} & set(made["math"].data.tags) == {"sft"}
    assert {"sft", "grpo"} <= set(made["merge"].data.tags)
    assert "trained with SFT on tiny_math" in made["math"].text
    assert not re.search("GRPO|KL weight|rewards", made["math"].text)
    assert "(trained with GRPO, SFT)" in made["merge"].text


def test_an_older_evaluation_is_called_out_of_date(kept_store, tmp_path, monkeypatch):
    import small_store

    _, refs = kept_store

    monkeypatch.setitem(small_store.BENCHMARKS, "tiny_sql", 1)
    small_store.small_store(tmp_path / "store")
    made = assemble(Store(tmp_path / "store"), refs["math"], Target("me/math", BASE), tmp_path / "out")
    assert any("tiny_sql was scored at version 1 and is at version 2 now" in text for text in made.warnings)
    assert "Out of date: tiny_sql" in (tmp_path / "out" / "README.md").read_text()
