"""What is on the hub that the tests talk to: repositories, their commits and branches, collections, and its faults.

Blobs lie on disk. Faults are asked for by the request they befall: an answer, a connection that is cut, other bytes.
"""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = "hf_" + "T" * 34
READ_ONLY = "hf_" + "R" * 34
LARGE = (".safetensors", ".png")


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Fault:
    """What befalls the next `times` requests whose `METHOD path` matches.

    `status` is answered; None cuts the connection after half of what was sent was read. `after` does the work first and
    then loses the answer.
    """

    pattern: str
    status: int | None = None
    times: int = 1
    headers: dict = field(default_factory=dict)
    after: bool = False


@dataclass
class Repo:
    private: bool
    branches: dict[str, str] = field(default_factory=lambda: {"main": "0" * 40})
    commits: dict[str, dict] = field(default_factory=lambda: {"0" * 40: {}})
    log: list[str] = field(default_factory=list)
    pulls: list[dict] = field(default_factory=list)


class Hub:
    """All that is on the Hub.

    Attributes:
        repos: by (type, id); a commit's files are path -> (git's SHA-1, size, SHA-256 if it is large).
        asked: the requests so far, `METHOD path`.
        uploaded: how often each large file's bytes were taken.
        xet_hash: of large files, by SHA-256, where they are in Xet's store.
        clients: folders the client uploads from: where the hub finds what a file is called in Xet's store, which the
            real one reads from the upload itself.
    """

    def __init__(self, root: Path, *, xet: bool = False) -> None:
        self.root, self.xet, self.url = root, xet, ""
        (root / "objects").mkdir(parents=True, exist_ok=True)
        (root / "xet").mkdir(exist_ok=True)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.collections: dict[str, dict] = {}
        self.faults: list[Fault] = []
        self.damaged: dict[str, int] = {}
        self.asked: list[str] = []
        self.uploaded: dict[str, int] = {}
        self.xet_hash: dict[str, str] = {}
        self.clients: list[Path] = []
        self.lock = threading.RLock()

    def repo(self, name: str, kind: str = "model", private: bool = True) -> Repo:
        return self.repos.setdefault((kind, name), Repo(private))

    def keep(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        (self.root / "objects" / digest).write_bytes(content)
        return digest

    def files(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """A branch's files with their content."""
        repo = self.repos["model", name]
        commit = repo.branches.get(revision, revision)
        return {path: self.content(told) for path, told in repo.commits[commit].items()}

    def content(self, told: dict) -> bytes:
        return (self.root / "objects" / told["sha256"]).read_bytes()

    def put(
        self, name: str, files: dict[str, bytes], kind: str = "model", private: bool = False, branch: str = "main"
    ) -> str:
        """A commit that somebody else made."""
        repo = self.repo(name, kind, private)
        tree = dict(repo.commits[repo.branches.get(branch, repo.branches["main"])])
        for path, content in files.items():
            tree[path] = self.entry(path, content)
        return self.commit(repo, branch, tree, "by hand")

    def entry(self, path: str, content: bytes) -> dict:
        return {
            "sha256": self.keep(content),
            "oid": git_sha1(content),
            "size": len(content),
            "large": path.endswith(LARGE),
        }

    def commit(self, repo: Repo, branch: str, tree: dict, message: str) -> str:
        about = json.dumps([repo.branches.get(branch), message, sorted((p, t["sha256"]) for p, t in tree.items())])
        commit = hashlib.sha1(about.encode()).hexdigest()
        repo.commits[commit] = tree
        repo.branches[branch] = commit
        repo.log.append(message)
        return commit

    def fault(self, pattern: str, status: int | None = None, **options) -> None:
        self.faults.append(Fault(pattern, status, **options))

    def learn_xet(self, digest: str) -> None:
        import hf_xet

        for path in (path for folder in self.clients for path in folder.rglob("*") if path.suffix in LARGE):
            if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
                self.xet_hash[digest] = hf_xet.hash_files([str(path)])[0].hash

    def count(self, pattern: str) -> int:
        return sum(re.search(pattern, asked) is not None for asked in self.asked)
