"""A server that answers as the Hub does to those who create, push, look and pull: git and LFS files, Xet, collections.

Models and datasets alike; what it has, and the faults it is asked for, are in `hub_state`.
"""

import base64
import hashlib
import json
import re
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from hub_state import LARGE, READ_ONLY, TOKEN, Hub, git_sha1


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args) -> None:
            pass

        def answer(self) -> None:
            parts = urlsplit(self.path)
            path, query = unquote(parts.path), parse_qs(parts.query)
            asked = f"{self.command} {path}"
            with hub.lock:
                hub.asked.append(asked)
                fault = next((one for one in hub.faults if one.times and re.search(one.pattern, asked)), None)
                if fault:
                    fault.times -= 1
            length = int(self.headers.get("content-length") or 0)
            if fault and fault.status is None and not fault.after:
                self.rfile.read(length // 2)
                return self.cut()
            body = self.rfile.read(length)
            if fault and not fault.after:
                return self.send(fault.status, b'{"error": "as the test wants"}', fault.headers)
            self.lost = bool(fault)
            with hub.lock:
                return self.route(path, query, body)

        do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815  (http.server's names)

        def route(self, path, query, body) -> None:
            if found := re.fullmatch(r"/objects/([0-9a-f]{64})", path):
                return self.take(found[1], body)
            if found := re.fullmatch(r"/(?:(dataset|space)s/)?([\w.-]+/[\w.-]+)/resolve/(.+?)/(.+)", path):
                return self.file(found[1] or "model", *found.groups()[1:])
            user = self.user()
            if user == "nobody" and self.headers.get("authorization"):
                return self.error(401, "", "Invalid credentials in Authorization header")
            if path == "/api/whoami-v2":
                return self.say({"name": user, "type": "user", "orgs": []}) if user != "nobody" else self.error(401)
            if path == "/api/validate-yaml":
                text = json.loads(body)["content"]
                front = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else {}
                fine = isinstance(front, dict) and isinstance(front.get("license", ""), str)
                return self.say({"errors": [] if fine else [{"message": "bad"}], "warnings": []}, 200 if fine else 400)
            if path == "/api/repos/create":
                return self.create(user, json.loads(body))
            if path.startswith("/api/collections"):
                return self.collection(user, path, json.loads(body) if body else {})
            if found := re.fullmatch(r"/([\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", path):
                return self.batch(user, found[1], json.loads(body))
            if path == "/verify":
                return self.say({})
            if found := re.fullmatch(r"/api/(model|dataset|space)s/([\w.-]+/[\w.-]+)(/.*)?", path):
                return self.about(user, found[1], found[2], found[3] or "", query, body)
            return self.error(404, "EntryNotFound")

        def user(self) -> str:
            token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
            return {TOKEN: "me", READ_ONLY: "reader"}.get(token, "nobody")

        def create(self, user, asked) -> None:
            kind = asked.get("type") or "model"
            name = f"{asked.get('organization') or user}/{asked['name']}"
            if user == "nobody":
                return self.error(401)
            if not name.startswith(f"{user}/"):
                return self.error(403, "", f"You don't have the rights to create a {kind} under this namespace")
            url = f"{hub.url}/{name}"
            if (kind, name) in hub.repos:
                return self.say({"error": "You already created this model repo", "url": url}, 409)
            private = asked.get("visibility") == "private" or bool(asked.get("private"))
            repo = hub.repo(name, kind, private)
            attributes = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
            hub.commit(repo, "main", {".gitattributes": hub.entry(".gitattributes", attributes)}, "initial commit")
            return self.say({"url": url, "name": name, "id": name, "private": private})

        def about(self, user, kind, name, rest, query, body) -> None:
            repo = hub.repos.get((kind, name))
            if repo is None or (repo.private and name.split("/")[0] != user):
                return self.error(401 if user == "nobody" else 404, "RepoNotFound", "Repository not found")
            what, _, more = rest.strip("/").partition("/")
            writes = what in ("preupload", "commit", "branch", "xet-write-token")
            if writes and name.split("/")[0] != user:
                return self.error(403, "", "Forbidden: you don't have write access")
            if what == "xet-write-token" or what == "xet-read-token":
                told = {"casUrl": f"local://{hub.root / 'xet'}", "accessToken": "x", "exp": 4102444800}
                return self.say(told, headers={"X-Xet-Cas-Url": told["casUrl"], "X-Xet-Access-Token": "x",
                                               "X-Xet-Token-Expiration": "4102444800"})  # fmt: skip
            if what == "branch":
                if more in repo.branches:
                    return self.error(409, "", "Reference already exists")
                repo.branches[more] = repo.branches["main"]
                return self.say({})
            if what == "discussions":
                return self.say({"discussions": repo.pulls, "count": len(repo.pulls), "start": 0})
            revision = more.split("/")[0] if not more.startswith("refs/") else more
            tail = more[len(revision) :].strip("/") if what == "tree" else ""
            commit = repo.branches.get(revision or "main", revision)
            if commit not in repo.commits:
                return self.error(404, "RevisionNotFound", "Invalid rev id")
            tree = repo.commits[commit]
            if what == "preupload":
                names = [file["path"] for file in json.loads(body)["files"]]
                told = [{"path": name, "uploadMode": "lfs" if name.endswith(LARGE) else "regular",
                         "shouldIgnore": False, "oid": self.oid(tree.get(name))} for name in names]  # fmt: skip
                return self.say({"files": told})
            if what == "commit":
                return self.commit(repo, name, revision, bool(query.get("create_pr")), body)
            if what == "tree":
                under = [self.listed(p, t) for p, t in sorted(tree.items()) if not tail or p.startswith(f"{tail}/")]
                return self.say(under) if under or not tail else self.error(404, "EntryNotFound")
            if what == "paths-info":
                return self.say(self.paths(tree, body))
            return self.info(repo, name, kind, commit, tree)

        def info(self, repo, name, kind, commit, tree) -> None:
            text = hub.content(tree["README.md"]).decode() if "README.md" in tree else ""
            card = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else None
            told = {"_id": "1", "id": name, "modelId": name, "sha": commit, "private": repo.private, "tags": [],
                    "siblings": [{"rfilename": path} for path in sorted(tree)], "downloads": 0, "likes": 0,
                    "lastModified": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z"}  # fmt: skip
            return self.say({**told, **({"cardData": card} if card else {})})

        def paths(self, tree, body) -> list[dict]:
            """The files and folders among those that were asked about, as JSON or as a form."""
            asked = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
            files = [self.listed(path, tree[path]) for path in asked if path in tree]
            folders = [{"type": "directory", "path": path, "oid": "0" * 40}
                       for path in asked if any(name.startswith(f"{path}/") for name in tree)]  # fmt: skip
            return files + folders

        def oid(self, told) -> str | None:
            return None if told is None else told["sha256"] if told["large"] else told["oid"]

        def listed(self, path, told) -> dict:
            entry = {"type": "file", "path": path, "size": told["size"], "oid": told["oid"]}
            if told["large"]:
                entry["lfs"] = {"oid": told["sha256"], "size": told["size"], "pointerSize": 134}
            return entry

        def commit(self, repo, name, branch, create_pr, body) -> None:
            lines = [json.loads(line) for line in body.splitlines()]
            header = lines[0]["value"]
            head = repo.branches[branch]
            if header.get("parentCommit", head) != head:
                return self.error(412, "", "A commit has happened since. Please refresh and try again.")
            tree = dict(repo.commits[head])
            for line in lines[1:]:
                key, value = line["key"], line["value"]
                if key == "file":
                    tree[value["path"]] = hub.entry(value["path"], base64.b64decode(value["content"]))
                elif key == "lfsFile":
                    if hub.xet:
                        hub.learn_xet(value["oid"])
                    if value["oid"] not in hub.xet_hash and not (hub.root / "objects" / value["oid"]).is_file():
                        return self.error(400, "", "LFS pointer pointed to a file that does not exist")
                    told = {"sha256": value["oid"], "oid": git_sha1(value["oid"].encode()), "size": value["size"]}
                    tree[value["path"]] = {**told, "large": True}
                elif value["path"] in tree:
                    del tree[value["path"]]
                else:
                    return self.error(404, "EntryNotFound", "A file with this name doesn't exist")
            if create_pr:
                number = len(repo.pulls) + 1
                repo.branches[f"refs/pr/{number}"] = head
                branch = f"refs/pr/{number}"
                repo.pulls.append({"num": number, "title": header["summary"], "status": "open", "isPullRequest": True,
                                   "author": {"name": "me"}, "createdAt": "2026-01-01T00:00:00.000Z",
                                   "repo": {"name": name, "type": "model"}})  # fmt: skip
            commit = hub.commit(repo, branch, tree, header["summary"])
            url = f"{hub.url}/{name}/commit/{commit}"
            pull = f"{hub.url}/{name}/discussions/{len(repo.pulls)}" if create_pr else None
            return self.say({"commitUrl": url, "commitOid": commit, "pullRequestUrl": pull, "success": True})

        def batch(self, user, name, asked) -> None:
            if name.split("/")[0] != user:
                return self.error(403, "", "Forbidden")
            objects = []
            for one in asked["objects"]:
                there = (hub.root / "objects" / one["oid"]).is_file()
                actions = {} if there else {"actions": {
                    "upload": {"href": f"{hub.url}/objects/{one['oid']}?signature=SIGNED"},
                    "verify": {"href": f"{hub.url}/verify"}}}  # fmt: skip
                objects.append({**one, **actions})
            return self.say({"transfer": "basic", "objects": objects})

        def take(self, digest, body) -> None:
            if hashlib.sha256(body).hexdigest() != digest:
                return self.error(400, "", "the content is not what its name says")
            hub.keep(body)
            hub.uploaded[digest] = hub.uploaded.get(digest, 0) + 1
            return self.send(200, b"", {"ETag": '"1"'})

        def file(self, kind, name, revision, path) -> None:
            if revision == "refs":  # refs/pr/1
                number, path = path.split("/", 2)[1:]
                revision = f"refs/pr/{number}"
            repo = hub.repos.get((kind, name))
            if repo is None or (repo.private and name.split("/")[0] != self.user()):
                return self.error(401 if self.user() == "nobody" else 404, "RepoNotFound", "Repository not found")
            commit = repo.branches.get(revision, revision)
            told = repo.commits.get(commit, {}).get(path)
            if commit not in repo.commits:
                return self.error(404, "RevisionNotFound")
            if told is None:
                return self.send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            content = b"" if told["sha256"] in hub.xet_hash else hub.content(told)
            headers = {"X-Repo-Commit": commit, "ETag": f'"{self.oid(told)}"', "Accept-Ranges": "bytes",
                       "Content-Type": "application/octet-stream"}  # fmt: skip
            if told["large"]:
                headers |= {"X-Linked-Size": str(told["size"]), "X-Linked-Etag": f'"{told["sha256"]}"'}
                if told["sha256"] in hub.xet_hash:
                    route = f"{hub.url}/api/models/{name}/xet-read-token/{commit}"
                    headers |= {"X-Xet-Hash": hub.xet_hash[told["sha256"]], "X-Xet-Refresh-Route": route}
            if self.command == "GET" and hub.damaged.get(path, 0):
                hub.damaged[path] -= 1
                content = bytes([content[0] ^ 1]) + content[1:] if content else content
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range") or "")
            if wanted:
                start, stop = int(wanted[1]), int(wanted[2]) + 1 if wanted[2] else len(content)
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
                return self.send(206, content[start:stop], headers)
            return self.send(200, content, headers)

        def collection(self, user, path, asked) -> None:
            if user == "nobody":
                return self.error(401)
            slug = path.removeprefix("/api/collections").strip("/").removesuffix("/items")
            if not slug and self.command == "POST":
                slug = f"{user}/{asked['title'].lower().replace(' ', '-')}-{'0' * 24}"
                if slug in hub.collections:
                    return self.say({"slug": slug, "error": "already there"}, 409)
                hub.collections[slug] = {"slug": slug, "title": asked["title"], "owner": {"name": user}, "items": [],
                                         "lastUpdated": "2026-01-01T00:00:00.000Z", "position": 0, "theme": "blue",
                                         "private": asked["private"], "upvotes": 0}  # fmt: skip
            found = hub.collections.get(slug)
            if found is None:
                return self.error(404)
            if path.endswith("/items"):
                item = asked["item"]
                if ("model", item["id"]) not in hub.repos:
                    return self.error(404, "RepoNotFound")
                note = {"text": asked.get("note")}
                found["items"].append({"_id": str(len(found["items"])), "id": item["id"], "type": item["type"],
                                       "position": len(found["items"]), "note": note})  # fmt: skip
            return self.say(found)

        def say(self, value, status=200, headers=None) -> None:
            self.send(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

        def error(self, status, code="", message="") -> None:
            headers = {"X-Error-Code": code} if code else {}
            self.send(status, json.dumps({"error": message}).encode(), {**headers, "X-Error-Message": message})

        def send(self, status, content, headers) -> None:
            if getattr(self, "lost", False):
                self.lost = False
                return self.cut()
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            return None

        def cut(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


@contextmanager
def served(hub: Hub):
    """The hub, served on this machine while the block runs; `hub.url` says where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
