"""There and back through a real HTTP server: nothing is lost, nothing is sent twice, and the history comes along."""

import json

from small_store import study

from factory.core.hashing import file_digest
from factory.store.store import Store, check_hashes


def push(run, store, *arguments):
    code, out, err = run("push", *arguments, "--store", store, "--json")
    assert code == 0, err
    return json.loads(out)


def pull(run, store, repo, *arguments):
    code, out, err = run("pull", repo, *arguments, "--store", store, "--json")
    assert code == 0, err
    return json.loads(out)


def test_there_and_back(run, hub, store, tmp_path):
    root, refs = store
    result = push(run, root, "adapter:math", "--repo", "me/math", "--with-base", "me/tiny")
    assert [one["repo"] for one in result["repositories"]] == ["me/tiny", "me/math"]
    assert result["warnings"] == []
    repo = hub.repos["model", "me/math"]
    assert repo.private and repo.log == ["initial commit", f"adapter math, content key {refs['math'].key}"]
    sent = hub.files("me/math")
    source = root / refs["math"].folder
    assert sent["adapter_model.safetensors"] == (source / "adapter_model.safetensors").read_bytes()
    config = json.loads(sent["adapter_config.json"])
    tiny = hub.repos["model", "me/tiny"].branches["main"]
    assert (config["base_model_name_or_path"], config["revision"]) == ("me/tiny", tiny)
    other = tmp_path / "other"
    assert pull(run, other, "me/tiny")["key"] == refs["base"].key
    back = pull(run, other, "me/math")
    assert (back["key"], back["new"], back["unknown"]) == (refs["math"].key, True, [])
    assert back["checked"].endswith("that PEFT loads it")
    folder = Store(other).open(refs["math"])
    for name, content in sent.items():
        if name != ".gitattributes":
            assert (folder / name).read_bytes() == content, name
    assert file_digest(folder / "adapter_model.safetensors") == file_digest(source / "adapter_model.safetensors")
    assert pull(run, other, "me/math")["new"] is False


def test_what_has_not_changed_makes_no_commit_and_sends_no_weights(run, hub, store):
    root, _ = store
    push(run, root, "adapter:math", "--repo", "me/math", "--with-base", "me/tiny")
    commits, uploads = dict(hub.repos["model", "me/math"].branches), dict(hub.uploaded)
    again = push(run, root, "adapter:math", "--repo", "me/math", "--with-base", "me/tiny")
    assert [one["pushed"] for one in again["repositories"]] == [False, False]
    assert hub.repos["model", "me/math"].branches == commits
    assert hub.uploaded == uploads
    assert set(uploads.values()) == {1}
    assert hub.count("POST /api/models/.*/commit/") == 2


def test_a_pulled_variant_pushed_again_is_the_same(run, hub, store, tmp_path):
    root, _ = store
    push(run, root, "adapter:math", "--repo", "me/math", "--with-base", "me/tiny")
    other = tmp_path / "other"
    for repo in ("me/tiny", "me/math"):
        pull(run, other, repo)
    # No cells there, and no --with-base: the card brought the results, and where the base is.
    again = push(run, other, "adapter:math", "--repo", "me/math")
    assert again["repositories"][0]["pushed"] is False, again


def test_a_merge_brings_its_parents_history(run, hub, store, tmp_path):
    root, refs = store
    push(run, root, refs["merge"].title, "--repo", "me/both", "--with-base", "me/tiny")
    other = tmp_path / "other"
    pull(run, other, "me/both")
    code, out, err = run("show", refs["merge"].title, "--store", other)
    assert code == 0, err
    assert "me/both at " in out
    assert "embedded-s0/adapter:math#0 (not in this store" in out and "tasks: [tiny_math]" in out
    merged = tmp_path / "merged"
    code, _, err = run("merge", "--recipe", "linear", "me/both", "--weights", "1", "--store", other, "--out", merged)
    assert code == 0, err
    assert (merged / "adapter_model.safetensors").is_file()


def test_a_full_model_goes_and_comes(run, hub, store, tmp_path):
    root, _ = store
    code, _, err = run(
        "merge", "--recipe", "linear", "math", "sql", "--weights", "1,1", "--to", "model", "--store", root
    )
    assert code == 0, err
    (ref,) = Store(root).refs("model")
    push(run, root, ref.title, "--repo", "me/model", "--with-base", "me/tiny")
    sent = hub.files("me/model")
    assert {"model.safetensors", "config.json", "tokenizer.json", "card.json", "recipe.yaml"} <= set(sent)
    assert "library_name: transformers" in sent["README.md"].decode()
    back = pull(run, tmp_path / "other", "me/model")
    assert back["key"] == ref.key and back["checked"].endswith("transformers loads it")
    check_hashes(tmp_path / "other" / ref.folder)


def test_a_study_is_one_collection_pushed_last(run, hub, store):
    root, refs = store
    study(root, refs)
    result = push(run, root, "--study", "small", "--repo", "me/small", "--public")
    names = {"me/small-base", "me/small-math", "me/small-sql", f"me/small-merge-{refs['merge'].name}"}
    assert {one["repo"] for one in result["repositories"]} == names
    (collection,) = hub.collections.values()
    assert {item["id"] for item in collection["items"]} == names
    last_commit = max(i for i, asked in enumerate(hub.asked) if "/commit/" in asked)
    assert last_commit < min(i for i, asked in enumerate(hub.asked) if "/api/collections" in asked)
    text = hub.files(f"me/small-merge-{refs['merge'].name}")["README.md"].decode()
    assert "[me/small-math](https://huggingface.co/me/small-math)" in text
    assert "## Interference" in text and "the specialist" in text
    again = push(run, root, "--study", "small", "--repo", "me/small", "--public")
    assert not any(one["pushed"] for one in again["repositories"])
    assert [len(one["items"]) for one in hub.collections.values()] == [4]


def test_branches_and_pull_requests(run, hub, store):
    root, _ = store
    push(run, root, "math", "--repo", "me/math", "--with-base", "me/tiny")
    common = ["--repo", "me/math", "--base", "me/tiny"]
    main = hub.repos["model", "me/math"].branches["main"]
    template = root / "short.md.j2"
    template.write_text("# {{ name }} on a branch\n")
    branch = push(run, root, "math", *common, "--revision", "v2", "--template", template)
    assert branch["repositories"][0]["changed"] == ["README.md"]
    assert b"on a branch" in hub.files("me/math", "v2")["README.md"]
    for pushed in (True, False):
        request = push(run, root, "math", *common, "--create-pr", "--template", template)["repositories"][0]
        assert request["pushed"] is pushed
        assert request["url"].endswith("/discussions/1")
    assert hub.repos["model", "me/math"].branches["main"] == main


def test_a_dry_run_writes_the_folder_and_changes_nothing(run, hub, store, tmp_path):
    root, _ = store
    out = tmp_path / "look"
    arguments = ["math", "--repo", "me/math", "--with-base", "me/tiny"]
    result = push(run, root, *arguments, "--dry-run", "--out", out)
    assert hub.repos == {} and not hub.count("POST|PUT")
    assert set(result["repositories"][1]["added"]) == {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    push(run, root, *arguments)
    template = tmp_path / "other.md.j2"
    template.write_text('{% extends "model_card.md.j2" %}{% block limits %}Nothing is known.{% endblock %}')
    again = push(run, root, "math", "--repo", "me/math", "--base", "me/tiny", "--dry-run", "--template", template)
    (again,) = again["repositories"]
    assert again["changed"] == ["README.md"] and again["added"] == []
    assert "+Nothing is known." in again["changes"] and "-It was trained on the tasks" in again["changes"]


def test_what_changed_is_one_commit_of_just_that(run, hub, store):
    root, _ = store
    push(run, root, "math", "--repo", "me/math", "--with-base", "me/tiny")
    whole = hub.files("me/math")
    changed = {"notes.txt": b"mine", "figures/old.png": b"old", "adapter_model.safetensors": b"somebody else's"}
    hub.put("me/math", changed)
    (result,) = push(run, root, "math", "--repo", "me/math", "--base", "me/tiny")["repositories"]
    assert (result["removed"], result["changed"]) == (["figures/old.png"], ["adapter_model.safetensors"])
    assert hub.files("me/math") == {**whole, "notes.txt": b"mine"}
    assert len(hub.repos["model", "me/math"].log) == 4


def test_open_what_was_private_is_said_and_left(run, hub, store):
    root, _ = store
    push(run, root, "base", "--repo", "me/tiny")
    result = push(run, root, "base", "--repo", "me/tiny", "--public")
    assert hub.repos["model", "me/tiny"].private
    assert result["warnings"] == [
        "'me/tiny' is private and stays so, --public is for new ones; 'hf repos settings me/tiny --public' opens it"
    ]
