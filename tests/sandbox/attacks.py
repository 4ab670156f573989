"""Runs the case table of hostile and honest Python completions and looks for harm outside the sandbox.

A program, so that it can run as any user: `python attacks.py CASES ESCAPE [ID...]` prints one JSON object per case,
`{"id", "expect", "correct", "reason", "harm": [...]}`. Standard library only, like what it tests.
"""

import json
import os
import re
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from factory.sandbox.check import CHECK, Outcome, check
from factory.sandbox.pool import close_all, pool_of
from factory.verifiers import python

PORT = 47811


class Listeners:
    """What arrived on loopback: TCP, UDP and an abstract unix socket."""

    def __init__(self) -> None:
        self.got = ""
        unix = self._alone()
        tcp = socket.create_server(("127.0.0.1", PORT), reuse_port=True)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        udp.bind(("127.0.0.1", PORT))
        for one, stream in ((tcp, True), (udp, False), (unix, True)):
            threading.Thread(target=self._listen, args=(one, stream), daemon=True).start()

    @staticmethod
    def _alone() -> socket.socket:
        """The name is one for the whole machine: wait while another run of this program has it."""
        end = time.monotonic() + 200
        while True:
            unix = socket.socket(socket.AF_UNIX)
            try:
                unix.bind("\0escape-listener")
            except OSError:
                unix.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)
            else:
                unix.listen()
                return unix

    def _listen(self, sock: socket.socket, stream: bool) -> None:
        while True:
            if stream:
                connection, _ = sock.accept()
                with connection:
                    connection.settimeout(1)
                    self.got += " connected " + connection.recv(4096).decode(errors="replace")
            else:
                self.got += sock.recv(4096).decode(errors="replace")


class Memory:
    """The largest memory that all processes of our lanes held together."""

    def __init__(self) -> None:
        self.peak = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        page = resource.getpagesize()
        while True:
            lanes = {lane.process.pid for lane in pool_of(CHECK).lanes()}
            total = 0
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    except OSError:
                        continue
                    total += int(fields[21]) * page if int(fields[3]) in lanes else 0
            self.peak = max(self.peak, total)
            time.sleep(0.02)


def filled(text: str, escape: str) -> str:
    return text.replace("@ESCAPE@", escape)


def left_in_scratch() -> list[str]:
    """What a later sample finds in its scratch folder, on every lane that exists."""
    found: list[str] = []
    for _ in pool_of(CHECK).lanes():
        source = "import os\nseen = os.listdir('.') if os.getcwd() != '/' else []\nprint(seen)\ndef f(): return seen"
        outcome = check([source], ["assert f() == []"], entry="f")
        found += [] if outcome.status == "passed" else [outcome.printed + outcome.reason]
    return found


NOTHING_RAN = Outcome("missing", 0, 1, "", "", 0.0, 0.0)


class Recorded:
    """`check` as the verifier calls it, each outcome kept: what the code printed is not in a verdict."""

    def __init__(self) -> None:
        self.outcome = NOTHING_RAN

    def __call__(self, *arguments, **options) -> Outcome:
        self.outcome = check(*arguments, **options)
        return self.outcome


def harm(case: dict, outcome, verdict, seconds: float, escape: str, world: dict) -> list[str]:
    """The checks of a case that found harm."""
    found = []
    said = outcome.printed + outcome.reason + verdict.reason
    for check_ in case["must_not"]:
        kind = check_["check"]
        path = filled(check_.get("path", ""), escape).replace("~", os.environ.get("HOME", "/"), 1)
        if path.startswith("{cwd}"):
            bad = bool(left_in_scratch())
        elif kind == "path_created":
            time.sleep(check_.get("wait_s", 0))
            bad = Path(path).exists()
        elif kind == "path_missing":
            bad = not Path(path).exists()
        elif kind == "path_size_over":
            bad = Path(path).exists() and Path(path).stat().st_size > check_["value"]
        elif kind == "output_contains":
            bad = check_["text"] in said
        elif kind == "output_contains_env":
            bad = os.environ[check_["env"]] in said
        elif kind == "output_contains_file":
            bad = Path(path).read_text() in said
        elif kind == "output_regex":
            bad = re.search(check_["pattern"], said) is not None
        elif kind == "wall_seconds_over":
            bad = seconds > check_["value"]
        elif kind == "rss_over_bytes":
            bad = world["memory"].peak > check_["value"]
        elif kind == "verdict_text_over_bytes":
            bad = len(verdict.reason.encode()) > check_["value"] or len(outcome.printed.encode()) > 65536
        elif kind == "harness_got_signal":
            bad = bool(world["signals"])
        elif kind == "harness_rlimit_changed":
            bad = world["limits"] != {one: resource.getrlimit(one) for one in world["limits"]}
        elif kind == "harness_priority_changed":
            bad = os.getpriority(os.PRIO_PROCESS, 0) != world["priority"]
        elif kind == "harness_stopped":
            bad = False  # we are running
        elif kind == "listener_got":
            time.sleep(0.2)
            bad = check_["text"] in world["listeners"].got
        else:
            raise ValueError(f"unknown check {kind}")
        if bad:
            found.append(json.dumps(check_))
    return found


def main(cases: str, escape: str, chosen: list[str]) -> None:
    os.environ["CANARY_TOKEN"] = "canary-7d1f"
    signals: list[int] = []
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, frame: signals.append(got))
    limits = {one: resource.getrlimit(one) for one in (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_AS)}
    world = {
        "signals": signals,
        "limits": limits,
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "listeners": Listeners(),
        "memory": Memory(),
    }
    recorded = python.check = Recorded()
    for line in Path(cases).read_text().splitlines():
        case = json.loads(line)
        if chosen and case["id"] not in chosen:
            continue
        victim = Path(escape) / f"victim-{case['id']}"
        victim.mkdir(parents=True)
        (victim / "keep").write_text("keep")
        (Path(escape) / f"secret-{case['id']}").write_text(f"secret of {case['id']}")
        reference = {"tests": case["tests"], "entry_point": "add", "seconds": 2}
        completion = filled(case["completion"], escape)
        start = time.monotonic()
        recorded.outcome = NOTHING_RAN
        verdict = python.verify(completion, reference)
        seconds = time.monotonic() - start
        outcome = recorded.outcome
        found = harm(case, outcome, verdict, seconds, escape, world)
        if not (victim / "keep").exists() or world["listeners"].got:
            found.append("victim or listener touched")
        said = {"id": case["id"], "expect": case["expect"], "correct": verdict.correct, "reason": verdict.reason}
        print(
            json.dumps({**said, "status": outcome.status, "printed": outcome.printed[:200], "harm": found}), flush=True
        )
    left = left_in_scratch()
    print(json.dumps({"id": "scratch", "expect": "reject", "correct": False, "reason": "", "harm": left}), flush=True)
    close_all()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
