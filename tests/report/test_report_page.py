"""The page: complete, offline, safe against what a model writes, the same bytes each time."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic_study import STRENGTH, TASKS, full_study, outcome, put_cell, put_study

from factory.core.errors import BadInput, UnknownName
from factory.report.build import build_report, find_study
from factory.report.rebuild import rebuild
from factory.store.store import Store

HOSTILE = "</pre><script>alert('x')</script><img src=x onerror=alert(1)>{{ 7 * 7 }} "
VOID = {"meta", "br", "wbr", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags, attributes, ids and text; refuses tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path, str]:
    store, folder = full_study(tmp_path_factory.mktemp("report"), text=HOSTILE)
    return store, folder, build_report(store, folder).read_text(encoding="utf-8")


def test_it_holds_every_variant_benchmark_and_number(built: tuple[Store, Path, str]) -> None:
    store, folder, text = built
    said = " ".join("".join(Page(text).text).split())
    for name in STRENGTH:
        assert name in said
        assert f"{name.removeprefix('adapter:').removeprefix('merge:')}" in said
    assert all(task in said for task in TASKS)
    numbers = json.loads((folder / "matrix.json").read_text())
    assert len(numbers["scores"]) == 2 * len(STRENGTH) * len(TASKS)
    for score in numbers["scores"]:
        assert f"{100 * score['value']:.1f} " in said or f"{100 * score['value']:.1f}●" in said
    for ref in store.refs("adapter"):
        assert ref.title in said and ref.key in said


def test_nothing_comes_from_outside(built: tuple[Store, Path, str]) -> None:
    page = Page(built[2])
    assert not {"script", "link", "iframe", "object", "img", "base"} & set(page.tags)
    for name, value in page.attributes:
        if name in {"src", "href", "xlink:href", "action", "data", "srcset"}:
            assert value.startswith(("#", "data:image/png;base64,")), (name, value)
        assert not name.startswith("on")
    without_images = re.sub(r"data:image/png;base64,[\sA-Za-z0-9+/=]+", "", built[2])
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", without_images)


def test_what_a_model_writes_is_text_and_not_markup(built: tuple[Store, Path, str]) -> None:
    text = built[2]
    assert "<script" not in text
    assert "&lt;script&gt;alert(" in text
    assert "{{ 7 * 7 }}" in text


def test_ids_are_unique_and_references_resolve(built: tuple[Store, Path, str]) -> None:
    page = Page(built[2])
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value[1:] for name, value in page.attributes if name == "href" and value[0] == "#"} | set(
        re.findall(r"url\(#([^)]+)\)", built[2])
    )
    assert used <= set(ids)


def test_the_same_cells_give_the_same_bytes_and_no_file_is_touched(
    built: tuple[Store, Path, str], tmp_path: Path
) -> None:
    store, folder, text = built
    before = {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}
    page = build_report(Store(store.root), folder)
    assert page.read_text(encoding="utf-8") == text
    assert {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()} == before
    page.write_text("damaged")
    assert build_report(store, folder).read_text(encoding="utf-8") == text


def test_figures_are_the_same_in_another_process(built: tuple[Store, Path, str]) -> None:
    import os
    import subprocess
    import sys

    store, folder, text = built
    code = (
        "import sys; from pathlib import Path; from factory.store.store import Store;"
        "from factory.report.build import render; from factory.analysis.overview import overview;"
        "s, f = Store(sys.argv[1]), Path(sys.argv[2]);"
        "sys.stdout.buffer.write(render(s, overview(s, f)).encode())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.root), str(folder)], capture_output=True, check=True, env=environment
    )
    assert done.stdout.decode() == text


def test_examples_follow_the_rule(tmp_path: Path) -> None:
    store = Store(tmp_path)
    greedy = {"base": [0.0, 1.0, 0.0, None, 0.0], "adapter:a": [0.0, 0.0, 1.0, 1.0, 1.0]}
    cells = [
        put_cell(store, name, "tiny_math", [outcome(f"item{i}", [0.0], value) for i, value in enumerate(values)])
        for name, values in greedy.items()
    ]
    names = [{"name": name, "seed": 0, "ref": cells[0].to_json()} for name in greedy]
    text = build_report(store, put_study(store, cells, names)).read_text()
    assert '<pre class="prompt">Solve &lt;b&gt;item2&lt;/b&gt; &amp; answer.</pre>' in text
    found = re.findall(r"<h4>tiny_math: (.*?) <small>item (item\d)</small>", text)
    assert found == [
        ("first item wrong before and right after", "item2"),  # not item3: unscorable before is not wrong
        ("first item right before and wrong after", "item1"),
        ("first item wrong both times", "item0"),
    ]


def test_the_built_in_transfer_is_told_for_the_embedded_base_only(
    built: tuple[Store, Path, str], tmp_path: Path
) -> None:
    assert "worked/quick habit is shared" in built[2]
    store = Store(tmp_path)
    cell = put_cell(store, "base", "tiny_math", [outcome("a", [1.0], 1.0)])
    folder = put_study(store, [cell], [{"name": "base", "seed": 0, "ref": cell.to_json()}], base="Qwen/Qwen2.5-0.5B")
    assert "worked/quick" not in build_report(store, folder).read_text()


def test_a_study_with_nothing_scored_still_has_a_page(tmp_path: Path) -> None:
    store = Store(tmp_path)
    text = build_report(store, put_study(store, [], [])).read_text()
    Page(text)
    assert "Nothing has been scored yet" in text


def test_which_study(tmp_path: Path) -> None:
    import os

    store = Store(tmp_path)
    with pytest.raises(BadInput, match="no study has run in this store"):
        find_study(store)
    for age, name in enumerate(["new", "older", "oldest"]):
        folder = put_study(store, [], [], name=name)
        os.utime(folder / "card.json", (10_000 - age, 10_000 - age))
    assert find_study(store).name == "new"
    assert find_study(store, "studies/older.yaml").name == "older"
    with pytest.raises(UnknownName, match="did you mean 'oldest'"):
        find_study(store, "oldestt")


def test_rebuild_says_where_the_page_is(built: tuple[Store, Path, str]) -> None:
    store, folder, _ = built
    done = rebuild(store, "tiny")
    assert done.text.endswith(f"report: {folder / 'report.html'}")
    assert done.result["report"] == str(folder / "report.html")
    assert json.loads(json.dumps(done.result, allow_nan=False))["study"] == "tiny"
