"""Decoders that crash, loop or take 8 GB, for one request of a hundred.

    python -m benchmarks.hostile.faults [--seconds 60] [--share 0.01]

Starts a server whose decoders obey faults (tests/integration/intake/faulty_decoder.py): the width
of a picture asks for one. Bars: the picture with the fault is -45080, every other request is
answered as ever, and a decoder that died has a successor that can work within 500 ms.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.hostile.asking import Asker
from benchmarks.hostile.machine import Times, decoders
from benchmarks.hostile.pictures import Target, served
from benchmarks.speed.detect import photo
from tests.integration.intake.faulty_decoder import CRASH, EAT, LOOP
from tests.malformed import pictures as make

PROGRAM = (sys.executable, "-P", "-m", "tests.integration.server.faulty")
FAULTS = {"crash": CRASH, "loop": LOOP, "8 GB": EAT}
REPLACED = 500.0  # ms


@dataclass
class Report:
    """Codes by what was sent, and how long decoders took to be replaced (ms)."""

    codes: dict[str, Counter[int]] = field(default_factory=dict)
    times: Times = field(default_factory=Times)
    replaced: Times = field(default_factory=Times)
    alive: bool = True

    def note(self, sent: str, code: int, taken: float) -> None:
        self.codes.setdefault(sent, Counter())[code] += 1
        if sent == "photo":
            self.times.taken.append(taken)

    @property
    def failures(self) -> list[str]:
        """The bars that were missed, the one of time left out."""
        wrong = [
            f"{sent}: {dict(codes)}"
            for sent, codes in self.codes.items()
            if set(codes) != {0 if sent == "photo" else -45080}
        ]
        return wrong if self.alive else [*wrong, "the server ended"]


class Watcher:
    """Looks, every few milliseconds, how long after a decoder's end its successor can work."""

    def __init__(self, server: int, times: Times) -> None:
        self._server, self._times = server, times
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        known, ended = set(filter(_ready, decoders(self._server))), list[float]()
        while not self._stop.wait(0.004):
            now = set(filter(_ready, decoders(self._server)))
            ended += [time.perf_counter()] * len(known - now)
            for _ in now - known:
                if ended:  # a successor; else one more decoder, started when first needed
                    self._times.taken.append(1000 * (time.perf_counter() - ended.pop(0)))
            known = now


def _ready(pid: int) -> bool:
    """Whether a decoder has given up what it does not need, and so takes orders."""
    with suppress(OSError, StopIteration):
        if "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
            return False
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        return next(line for line in limits if line.startswith("Max open files")).split()[3] == "0"
    return False


def attack(target: Target, seconds: float, share: float, *, seed: int, clients: int = 2) -> Report:
    """Ask for `seconds`, `share` (0..1) of the requests with a fault."""
    report = Report()
    good = make.jpeg(photo())
    bad = {name: make.png(make.scene(width, 100)) for name, width in FAULTS.items()}
    deadline = time.monotonic() + seconds
    with Watcher(target.pid, report.replaced):
        threads = [
            threading.Thread(
                target=_ask, args=(target, good, bad, (share, seed + n, deadline), report)
            )
            for n in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(1)  # the last one may still be starting
    report.alive = target.alive
    return report


def _ask(
    target: Target,
    good: bytes,
    bad: dict[str, bytes],
    plan: tuple[float, int, float],
    report: Report,
) -> None:
    share, seed, deadline = plan
    dice = random.Random(seed)  # noqa: S311 - a replayable game, no secret
    asker = Asker(target.base, target.app_key)
    while time.monotonic() < deadline:
        sent = dice.choice(list(bad)) if dice.random() < share else "photo"
        reply = asker.detect("bytes", bad.get(sent, good))
        report.note(sent, reply.code if reply.status == 200 else -reply.status, reply.taken)
    asker.close()


def show(report: Report, late: Sequence[str]) -> None:
    rows = {
        "codes": {sent: dict(codes) for sent, codes in report.codes.items()},
        "photos": str(report.times),
        "replaced": f"{len(report.replaced.taken)} times, {report.replaced}",
        "missed": [*report.failures, *late],
    }
    print(json.dumps(rows, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=20261121)
    options = parser.parse_args()
    with served(PROGRAM) as target:
        report = attack(target, options.seconds, options.share, seed=options.seed)
    late = ["replaced too late"] if report.replaced.at(1) > REPLACED else []
    show(report, late)
    sys.exit(bool(report.failures + late))


if __name__ == "__main__":
    main()
