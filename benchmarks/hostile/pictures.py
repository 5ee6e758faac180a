"""Malformed pictures against a real server: by bytes, as a form and by URL, three times over.

    python -m benchmarks.hostile.pictures [--mutations 9000] [--corpus FOLDER] [--passes 3]

Starts a server of its own, or takes a running one: --url, --app-key, --secret-key, --server-pid
(then with FACERECO_URL_ALLOW=127.0.0.0/8). Every picture is sent in each of the three ways, in
another one each pass. Bars: the server lives, no HTTP 5xx, never -50000, codes as the corpus
says, memory after the last pass at most 50 MB above that after the first, p99 <= 300 ms, none
over 3 s.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.hostile.asking import WAYS, Asker, Reply, giving
from benchmarks.hostile.machine import Times, memory
from tests.integration.server.processes import COMMAND, ServerProcess
from tests.malformed.corpus import Case, from_folder, mutated, synthetic

P99, MAX, GROWTH = 300.0, 3_000.0, 50.0  # ms, ms, MB
INTERNAL = -50_000


@dataclass(frozen=True, slots=True)
class Target:
    """A running server."""

    base: str
    app_key: str
    secret_key: str
    pid: int

    @property
    def alive(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()


@dataclass
class Report:
    """What became of all pictures."""

    times: Times = field(default_factory=Times)
    codes: Counter[int] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)
    alive: bool = True

    def note(self, case: Case, way: str, reply: Reply) -> None:
        self.times.taken.append(reply.taken)
        self.codes[reply.code] += 1
        self.statuses[reply.status] += 1
        if reply.status != 200 or reply.code not in case.codes:
            self.unexpected.append(f"{case.name} by {way}: HTTP {reply.status}, {reply.code}")

    @property
    def growth(self) -> float:
        """Megabytes since the first pass."""
        return self.memory[-1] - self.memory[0]

    @property
    def failures(self) -> list[str]:
        """The bars that were missed, those of time left out."""
        bars = {
            "the server ended": not self.alive,
            "answers other than HTTP 200": any(status != 200 for status in self.statuses),
            "-50000": self.codes[INTERNAL] > 0,
            f"{len(self.unexpected)} unexpected codes": bool(self.unexpected),
            f"memory grew by {self.growth:.0f} MB": self.growth > GROWTH,
        }
        return [name for name, missed in bars.items() if missed]

    @property
    def late(self) -> list[str]:
        """The bars of time that were missed."""
        bars = {"p99": self.times.at(0.99) > P99, "max": self.times.at(1) > MAX}
        return [name for name, missed in bars.items() if missed]


def attack(target: Target, cases: Sequence[Case], *, passes: int, clients: int = 2) -> Report:
    """Send every case `passes` times, each time in another way."""
    report = Report()
    gifts = {f"/{n}": case.data for n, case in enumerate(cases)}
    askers = [Asker(target.base, target.app_key, target.secret_key) for _ in range(clients)]
    with giving(gifts) as shop, ThreadPoolExecutor(clients) as threads:
        for turn in range(passes):
            shares = [
                threads.submit(_send, asker, cases, shop, range(first, len(cases), clients), turn)
                for first, asker in enumerate(askers)
            ]
            for share in shares:
                for at, way, reply in share.result():
                    report.note(cases[at], way, reply)
            report.memory.append(memory(target.pid))
    for asker in askers:
        asker.close()
    report.alive = target.alive
    return report


def _send(
    asker: Asker, cases: Sequence[Case], shop: str, mine: range, turn: int
) -> list[tuple[int, str, Reply]]:
    replies = []
    for at in mine:
        way = WAYS[(at + turn) % len(WAYS)]
        replies.append((at, way, asker.detect(way, cases[at].data, f"{shop}/{at}")))
    return replies


@contextmanager
def served(program: tuple[str, ...] = COMMAND, **settings: str) -> Iterator[Target]:
    """A server of our own that may fetch from loopback."""
    given = {"url_allow": "127.0.0.0/8", "log_level": "warning", **settings}
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder) / "data", given, program=program)
        server.start()
        try:
            yield Target(server.base, server.app_key, server.secret_key, server.process.pid)
        finally:
            server.stop()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mutations", type=int, default=9_000)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--corpus", type=Path, help="a folder with further files and their codes")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--url")
    parser.add_argument("--app-key")
    parser.add_argument("--secret-key")
    parser.add_argument("--server-pid", type=int)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def run(options: argparse.Namespace) -> Report:
    cases = synthetic() + (from_folder(options.corpus) if options.corpus else [])
    cases += mutated(options.seed, options.mutations)
    if options.url:
        target = Target(options.url, options.app_key, options.secret_key, options.server_pid)
        return attack(target, cases, passes=options.passes)
    with served() as target:
        return attack(target, cases, passes=options.passes)


def show(report: Report, *, as_json: bool) -> None:
    rows = {
        "requests": len(report.times.taken),
        "codes": dict(sorted(report.codes.items())),
        "unexpected": report.unexpected[:20],
        "p50_ms": round(report.times.at(0.5), 1),
        "p99_ms": round(report.times.at(0.99), 1),
        "max_ms": round(report.times.at(1), 1),
        "memory_mb": [round(size) for size in report.memory],
        "missed": report.failures + report.late,
    }
    if as_json:
        print(json.dumps(rows))
        return
    for name, value in rows.items():
        print(f"{name:12} {value}")


if __name__ == "__main__":
    chosen = parse()
    done = run(chosen)
    show(done, as_json=chosen.json)
    sys.exit(bool(done.failures + done.late))
