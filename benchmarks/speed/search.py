"""Searches by face over HTTP beside a bare FAISS flat index and an empty route, in one run.

    python -m benchmarks.speed.search [--database postgresql] [--url URL --server-pid PID] [--json]

A server of its own serves a group of 1,000 and one of 100,000 faces of 512 values. By short turns
clients ask `healthz`, search the small group, search the large one, and the same queries run in
batches of 32 on a bare flat index in this process, one thread. Every face has three others of the
same person, so every search has matches to show. Throughputs are medians over the turns.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import uvloop
from numpy.typing import NDArray

from app.index.group_index import BLAS_FROM, prepare_thread
from app.settings import Settings
from app.telemetry import logs
from app.vision.packs import MODELS, PackCatalog
from benchmarks.speed.client import Round, closed_loop
from benchmarks.speed.groups import database, fill, show, storage_at, vectors

BATCH = 32
LIMIT, THRESHOLD = 10, 80
SMALL, LARGE = 1_000, 100_000
FOUND = b'"resultCode":0,"resultMessage":"Success"},"data":{"matchFaceCount":3'


@dataclass(frozen=True, slots=True)
class Served:
    """A running server, and the addresses of searches in its two groups."""

    base: str
    pid: int
    small: list[str]
    large: list[str]

    def processor_seconds(self) -> float:
        """What the server's threads have worked so far."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


async def furnish(folder: Path, url: str, faces: NDArray[np.float32]) -> dict[str, list[str]]:
    """Make a small and a large group; the addresses of searches in both."""
    settings = Settings.read()
    model = PackCatalog(MODELS, settings.model_path).get(settings.model).model_version
    with storage_at(folder, url) as storage:
        key = await storage.keys.create("benchmark", "v1.0")
        _, few = await fill(storage, key.tenant, "small", faces[:SMALL], model)
        _, many = await fill(storage, key.tenant, "large", faces, model)
    prefix = f"/nhn-face-reco/v1.0/appkeys/{key.app_key}/groups"
    query = f"limit={LIMIT}&threshold={THRESHOLD}"
    rng = np.random.default_rng(2)
    return {
        "small": [f"{prefix}/small/faces/{few[at]}?{query}" for at in rng.permutation(len(few))],
        "large": [f"{prefix}/large/faces/{many[at]}?{query}" for at in rng.permutation(4_000)],
    }


@contextlib.contextmanager
def serving(folder: Path, url: str) -> Iterator[tuple[str, int]]:
    """A server on a free port; its address, and its process."""
    environment = {
        **os.environ,  # noqa: TID251 - a child's environment, no setting
        "FACERECO_DATABASE_URL": url,
        "FACERECO_INDEX_MEMORY": "1000000000",
    }
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data", str(folder)]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(  # noqa: S603 - our own program
            command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if found := re.search(r"ready on (http://\S+)", line):
                yield found[1], server.pid
                break
        else:
            raise SystemExit((folder / "server.log").read_text())
    finally:
        server.terminate()
        server.wait(30)


class Bare:
    """Batches on the flat index itself, for about as long as the clients ask."""

    def __init__(self, faces: NDArray[np.float32]) -> None:
        prepare_thread()
        self._index = faiss.IndexFlatIP(faces.shape[1])
        self._index.add(faces)
        self._faces = faces
        self._rng = np.random.default_rng(3)

    def per_second(self, seconds: float) -> float:
        faiss.cvar.distance_compute_blas_threshold = BLAS_FROM
        asked, start = 0, time.perf_counter()
        while time.perf_counter() < start + seconds:
            some = self._rng.integers(0, len(self._faces), size=BATCH)
            self._index.search(self._faces[some], LIMIT + 1)
            asked += BATCH
        return asked / (time.perf_counter() - start)


async def measure(
    served: Served, bare: Bare, turns: int, seconds: float
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Medians of requests per second, and all milliseconds of an answer."""
    rates: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}

    def note(name: str, done: Round) -> None:
        rates.setdefault(name, []).append(done.per_second)
        times.setdefault(name, []).extend(done.milliseconds)

    for turn in range(-1, turns):
        if turn == 0:  # the one before only warmed up
            rates.clear()
            times.clear()
        rates.setdefault("bare", []).append(bare.per_second(seconds))
        for name, paths, expected, clients in (
            ("healthz", ["/healthz"], b'"ok"', 16),
            ("small", served.small, FOUND, 16),
            ("large", served.large, FOUND, 32),
        ):
            worked = served.processor_seconds()
            done = await closed_loop(served.base, paths, expected, clients=clients, seconds=seconds)
            note(name, done)
            spent = served.processor_seconds() - worked
            rates.setdefault(f"{name}_server_ms", []).append(1000 * spent / len(done.milliseconds))
    return {name: statistics.median(some) for name, some in rates.items()}, times


def figures(rates: dict[str, float], times: dict[str, list[float]]) -> dict[str, float]:
    shown = {
        "bare_batched_per_s": rates["bare"],
        "healthz_per_s": rates["healthz"],
        "search_1k_per_s": rates["small"],
        "search_100k_per_s": rates["large"],
        "search_1k": rates["small"] / rates["healthz"],
        "search_100k_batched": rates["large"] / rates["bare"],
    }
    for name, some in times.items():
        shown[f"{name}_server_ms"] = rates[f"{name}_server_ms"]
        shown[f"{name}_p50_ms"] = float(np.percentile(some, 50))
        shown[f"{name}_p99_ms"] = float(np.percentile(some, 99))
    return shown


async def run(options: argparse.Namespace, folder: Path, url: str) -> dict[str, float]:
    faces = vectors(LARGE)
    known = folder / "addresses.json"
    if not known.exists():
        known.write_text(json.dumps(await furnish(folder, url, faces)))
    addresses = json.loads(known.read_text())
    with serving(folder, url) as (base, pid):
        served = Served(base, pid, addresses["small"], addresses["large"])
        return figures(*await measure(served, Bare(faces), options.turns, options.seconds))


@contextlib.contextmanager
def folder_for(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="facereco-search-") as place:
        yield Path(place)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--folder", type=Path, help="keep the SQLite groups here for another run")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each part of a turn")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    logs.configure("error")
    options = parse()
    with (
        folder_for(options.folder) as place,
        database(options.database, place) as url,
    ):
        shown = uvloop.run(run(options, place / "data", url))
    show(shown, as_json=options.json)


if __name__ == "__main__":
    main()
