"""The load suite: throughput and latency of every operation, with patient clients and without.

    ./facereco bench load [--json] [--out DIR] [--operation NAME …] [--seconds 5]
    ./facereco bench load --locust [--users 16] [--seconds 60]

A server of its own has a group of drawn faces. In a closed loop 1 to 64 clients ask again as soon
as they are answered; the best of that is the capacity. In an open loop requests come in at 25 to
150 % of it, whatever became of those before, and each one's time counts from when it was due. The
generator shares the machine with the server, and tells how late it was itself. `--locust` plays
the mix as a scenario of Locust instead (`pip install locust`).
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import uvloop

from app.settings import Settings
from app.telemetry import logs
from app.vision.packs import MODELS, PackCatalog
from benchmarks.load import machine, wire
from benchmarks.load.operations import OPERATIONS, Stage, furnish, requests
from benchmarks.load.wire import Client, Outcomes, percentile
from benchmarks.speed.progress import Progress
from benchmarks.speed.stage import Packs, serving
from benchmarks.speed.throughput import cores

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
SHARES = (25, 50, 75, 90, 100, 125, 150)  # per cent of capacity
PERCENTILES = (50, 90, 99, 99.9)
SETTLING = 1.0  # seconds of an operation that nobody counts
LOCUSTFILE = Path(__file__).with_name("locustfile.py")


@dataclass(frozen=True, slots=True)
class Load:
    """One server under load."""

    client: Client
    pid: int
    seconds: float
    progress: Progress

    async def measure(self, name: str, sent: Sequence[bytes]) -> dict[str, Any]:
        """Both loops of one operation."""
        following = cycle(sent)
        await wire.closed_loop(self.client, following, 2, SETTLING)
        closed = []
        for clients in CLIENTS:
            self.progress.begins(f"{name}, {clients} clients")
            before = machine.processor(self.pid)
            done = await wire.closed_loop(self.client, following, clients, self.seconds)
            spent = machine.processor(self.pid) - before
            closed.append({"clients": clients, **figures(done, spent)})
            self.progress.step()
        capacity = max(row["answers_per_s"] for row in closed)
        return {
            "capacity_per_s": capacity,
            "closed": closed,
            "open": [await self._offered(name, sent, capacity, share) for share in SHARES],
        }

    async def _offered(
        self, name: str, sent: Sequence[bytes], capacity: float, share: int
    ) -> dict[str, Any]:
        rate = capacity * share / 100
        self.progress.begins(f"{name}, {share} % of capacity")
        before = machine.processor(self.pid)
        done = await wire.open_loop(self.client, sent, rate, self.seconds)
        spent = machine.processor(self.pid) - before
        await asyncio.sleep(0.2)
        self.progress.step()
        return {"share": share, "offered_per_s": rate, **figures(done, spent)}


def figures(done: Outcomes, processor: float) -> dict[str, Any]:
    """Answers a second, milliseconds, what was refused, and the server's time for each answer."""
    answered = done.accepted()
    return {
        "answers_per_s": len(answered) / span(done),
        "refused": len(done.refused()),
        "failed": done.failed(),
        "ms": {f"p{percent:g}": percentile(answered, percent) for percent in PERCENTILES},
        "generator_late_p99_ms": percentile(done.late(), 99),
        "server_ms_an_answer": 1000 * processor / max(1, len(answered)),
    }


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is."""

    base: str
    pid: int
    stage: Stage

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])


def span(done: Outcomes) -> float:
    """Seconds from the first request to the last answer: some are owed when the time is up."""
    ends = [outcome.began + outcome.seconds for outcome in done.all]
    return max(ends) - min(outcome.began for outcome in done.all)


async def run(options: argparse.Namespace, place: Place, progress: Progress) -> dict[str, Any]:
    client = Client(place.port)
    made = await requests(client, place.stage)
    load = Load(client, place.pid, options.seconds, progress)
    rows = {name: await load.measure(name, made[name]) for name in options.operation}
    client.close()
    return rows


def show(result: Mapping[str, Any]) -> None:
    """Print a table for each operation."""
    print(f"pack {result['pack']}, {result['cores']} cores, {result['faces']} faces")
    for name, row in result["operations"].items():
        print(f"\n{name}: {row['capacity_per_s']:.1f} a second at most")
        print(f"{'':14} {'a second':>9} {'p50 ms':>9} {'p99 ms':>9} {'p99.9 ms':>9} {'refused':>8}")
        for label, rows in (("clients", row["closed"]), ("share", row["open"])):
            for line in rows:
                times = [line["ms"][at] for at in ("p50", "p99", "p99.9")]
                print(
                    f"{line[label]:4} {'clients' if label == 'clients' else '% offered':9} "
                    f"{line['answers_per_s']:9.1f} "
                    + " ".join(f"{ms:9.1f}" for ms in times)
                    + f" {line['refused']:8}"
                )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="facereco bench load", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--pack", default="open", help="`starter` where its weights are missing")
    parser.add_argument(
        "--model-path", type=Path, action="append", help="as in FACERECO_MODEL_PATH, several times"
    )
    parser.add_argument("--operation", action="append", choices=OPERATIONS, help="all of them")
    parser.add_argument("--faces", type=int, default=10_000, help="in the group that is searched")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each step")
    parser.add_argument("--locust", action="store_true", help="play the mix with Locust instead")
    parser.add_argument("--users", type=int, default=16, help="of Locust")
    parser.add_argument("--out", type=Path, help="folder for load.json and load.png")
    parser.add_argument("--json", action="store_true", help="print the JSON alone")
    options = parser.parse_args()
    options.model_path = options.model_path or list(Settings.read().model_path)
    options.operation = options.operation or list(OPERATIONS)
    return options


def locust(options: argparse.Namespace, place: Place) -> None:
    """Play the scenario; Locust prints its own table, or its JSON."""
    form = ["--json"] if options.json else ["--only-summary"]
    users, seconds = str(options.users), f"{options.seconds:g}s"
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", *form]
    stage = {"PREFIX": place.stage.prefix, "FACE": place.stage.faces[0]}
    done = subprocess.run(  # noqa: S603 - our own interpreter and file
        [*command, "-H", place.base, "-u", users, "-r", users, "-t", seconds],
        env={**machine.environment(), **{f"BENCH_{name}": value for name, value in stage.items()}},
        check=False,
    )
    if done.returncode:
        raise SystemExit("Locust did not run to its end; is it installed? pip install locust")


def measure(options: argparse.Namespace, progress: Progress, folder: Path) -> dict[str, Any]:
    packs = Packs.choose(PackCatalog(MODELS, options.model_path), options.pack)
    (folder / "database").mkdir(parents=True)
    url = f"sqlite:///{folder / 'database' / 'facereco.db'}"
    progress.begins("filling a group")
    stage = uvloop.run(furnish(folder, url, packs, options.faces))
    folders = ":".join(str(path.resolve()) for path in options.model_path)
    with serving(folder, {"model": packs.name, "model_path": folders}) as (base, pid):
        place = Place(base, pid, stage)
        if options.locust:
            locust(options, place)
            return {}
        operations = uvloop.run(run(options, place, progress))
    return {
        "pack": packs.name,
        "cores": cores(),
        "faces": options.faces,
        "seconds": options.seconds,
        "operations": operations,
    }


def main() -> None:
    logs.configure("error")
    options = parse()
    steps = (len(CLIENTS) + len(SHARES)) * len(options.operation)
    with Progress(steps) as progress, tempfile.TemporaryDirectory(prefix="facereco-") as place:
        result = measure(options, progress, Path(place) / "data")
    if options.locust:
        return
    text = json.dumps(result, indent=None if options.json else 2)
    if options.json:
        print(text)
    else:
        show(result)
    out = options.out or (None if options.json else Path())
    if out is not None:
        from benchmarks.load.drawing import draw

        out.mkdir(parents=True, exist_ok=True)
        (out / "load.json").write_text(text + "\n", encoding="utf-8")
        draw(result, out / "load.png")
        print(f"wrote {out / 'load.json'} and {out / 'load.png'}", file=sys.stderr)


if __name__ == "__main__":
    main()
