"""A small server that answers as the Hub does to those who read a dataset: its commit, its files, their content."""

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


def commit_of(files: dict[str, bytes]) -> str:
    """A commit that is a function of the content."""
    return hashlib.sha1(b"".join(name.encode() + content for name, content in sorted(files.items()))).hexdigest()


class SmallHub:
    """Datasets by id: every commit's files, and which commit each branch is at.

    Attributes:
        asked: the requests so far.
    """

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.branches: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        self.url = ""

    def push(self, dataset: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Put files on a branch as a commit; gives the commit."""
        commit = commit_of(files)
        self.commits.setdefault(dataset, {})[commit] = files
        self.branches.setdefault(dataset, {})[branch] = commit
        return commit

    def files(self, dataset: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit that a revision is, and its files."""
        commit = self.branches.get(dataset, {}).get(revision, revision)
        found = self.commits.get(dataset, {}).get(commit)
        return None if found is None else (commit, found)


def _entry(name: str, content: bytes) -> dict:
    return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}


def _handler(hub: SmallHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args) -> None:
            pass

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length).decode() if length else ""
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(f"{self.command} {path}")
            if found := re.fullmatch(
                r"/api/datasets/([\w-]+/[\w-]+)(?:/(revision|tree|paths-info)/([^/]+)(/.*)?)?", path
            ):
                self._about(found, body)
            elif found := re.fullmatch(r"/datasets/([\w-]+/[\w-]+)/resolve/([^/]+)/(.+)", path):
                self._content(*found.groups())
            else:
                self._missing("EntryNotFound")

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            self.do_GET()

        def _about(self, found: re.Match, body: str) -> None:
            dataset, what, revision, folder = found.groups()
            known = hub.files(dataset, revision or "main")
            if known is None:
                self._missing("RevisionNotFound" if dataset in hub.commits else "RepoNotFound")
                return
            commit, files = known
            entries = [_entry(name, content) for name, content in sorted(files.items())]
            if what == "tree":
                under = (folder or "").strip("/")
                entries = [one for one in entries if not under or one["path"].startswith(f"{under}/")]
                self._say(entries) if entries else self._missing("EntryNotFound")
            elif what == "paths-info":
                asked = json.loads(body)["paths"] if body.startswith("{") else parse_qs(body)["paths"]
                folders = [{"type": "directory", "path": name, "oid": "0" * 40} for name in asked
                           if any(one["path"].startswith(f"{name}/") for one in entries)]  # fmt: skip
                self._say([one for one in entries if one["path"] in asked] + folders)
            else:
                siblings = [{"rfilename": one["path"], "size": one["size"]} for one in entries]
                self._say({"id": dataset, "sha": commit, "siblings": siblings, "private": False, "tags": [],
                           "lastModified": "2024-01-01T00:00:00.000Z"})  # fmt: skip

        def _content(self, dataset: str, revision: str, name: str) -> None:
            known = hub.files(dataset, revision)
            if known is None or name not in known[1]:
                self._missing("EntryNotFound" if known else "RepoNotFound")
                return
            content = known[1][name]
            etag = f'"{hashlib.sha1(content).hexdigest()}"'
            self._send(200, content, {"ETag": etag, "X-Repo-Commit": known[0], "Content-Type": "text/plain"})

        def _say(self, value) -> None:
            self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def _missing(self, code: str) -> None:
            self._send(404, b"", {"X-Error-Code": code})

        def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    return Handler


@contextmanager
def served(hub: SmallHub):
    """The hub, served on this machine while the block runs; `hub.url` says where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def gsm8k_files(scratch: Path, rows: int, answer_field: str = "answer") -> dict[str, bytes]:
    """A dataset as openai/gsm8k is laid out: a card with a configuration, a parquet file a split."""
    import pyarrow
    from pyarrow import parquet

    card = "---\nconfigs:\n- config_name: main\n  data_files:\n"
    files = {}
    for split, start in (("train", 0), ("test", rows)):
        name = f"main/{split}-00000-of-00001.parquet"
        card += f"  - split: {split}\n    path: {name}\n"
        numbers = range(start, start + rows)
        table = {
            "question": [f"What is {n} and {n}?" for n in numbers],
            answer_field: [f"{n}+{n}=<<{n}+{n}={2 * n}>>{2 * n}\n#### {2 * n}" for n in numbers],
        }
        parquet.write_table(pyarrow.table(table), scratch / "table.parquet")
        files[name] = (scratch / "table.parquet").read_bytes()
    return {"README.md": f"{card}---\n# sums\n".encode(), **files}
