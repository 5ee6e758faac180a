"""What the index costs beside a bare FAISS flat index of the same vectors, in one run.

    python -m benchmarks.speed.index [--database postgresql] [--json]

A group of 100,000 faces of 512 values is written to a database of its own, sealed as always. A
fresh process then loads it as the server does, and tells how long that takes and what stays in
memory. Here single searches and 32 at a time are asked of the index and of the bare one by turns,
so that whatever else the machine does falls on both alike. Medians, one thread a search. After a
batch the index waits a moment for those who were answered to ask again: the next step begins when
that is over.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from app.domain.values import FaceRow, Group
from app.index.faiss_indexes import FaissIndexes
from app.index.group_index import BLAS_FROM, prepare_thread
from app.index.lanes import LONGEST_MOMENT
from app.storage.changes import SqlChangeLog
from app.storage.corruption import Corruption
from app.storage.stores import Storage
from app.telemetry import logs
from benchmarks.speed.groups import DIMENSION, database, fill, show, storage_at, vectors

TOGETHER = 32
LIMIT = 10
SMALL = 1_000
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Load:
    """Seconds by the clock and of this processor alone; bytes beyond what the process had before,
    at the end and at the worst."""

    seconds: float
    processor: float
    resident: int
    peak: int


def indexes_over(storage: Storage, memory: int = 4096 * MEBIBYTE) -> FaissIndexes:
    log = SqlChangeLog(storage.database, storage.vault, Corruption())
    return FaissIndexes(log, memory_limit=memory, workers=2)


def resident(field: str = "VmRSS") -> int:
    """Bytes of this process in memory; `VmHWM` is the most there ever were."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"the system does not tell {field}")


def forget_the_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def load(folder: Path, url: str, warm: Group, group: Group) -> Load:
    """Load `group` into a process that has searched before."""
    with storage_at(folder, url) as storage:
        indexes = indexes_over(storage)
        query = np.ones(DIMENSION, dtype=np.float32) / np.float32(DIMENSION**0.5)
        await indexes.nearest(warm, query, LIMIT)
        forget_the_peak()
        before, start, worked = resident(), time.perf_counter(), time.process_time()
        await indexes.nearest(group, query, LIMIT)
        done = Load(
            time.perf_counter() - start,
            time.process_time() - worked,
            resident() - before,
            resident("VmHWM") - before,
        )
        indexes.close()
    return done


def load_in_a_fresh_process(folder: Path, url: str, warm: Group, group: Group) -> Load:
    told = {"folder": str(folder), "url": url, "groups": [asdict(warm), asdict(group)]}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.index", "--load"],
        input=json.dumps(told, default=str),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return Load(**json.loads(done.stdout))


def load_what_is_told() -> None:
    told = json.load(sys.stdin)
    warm, group = (Group(**fields) for fields in told["groups"])
    print(json.dumps(asdict(asyncio.run(load(Path(told["folder"]), told["url"], warm, group)))))


class Bare:
    """The flat index itself, with the setting that lets batches be products of matrices."""

    def __init__(self, faces: NDArray[np.float32]) -> None:
        prepare_thread()
        self._index = faiss.IndexFlatIP(faces.shape[1])
        self._index.add(faces)

    async def search(self, queries: NDArray[np.float32]) -> None:
        faiss.cvar.distance_compute_blas_threshold = BLAS_FROM
        self._index.search(queries, LIMIT)


Step = Callable[[], Awaitable[object]]


async def by_turns(steps: dict[str, Step], turns: int) -> dict[str, float]:
    """Median milliseconds of each step."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, step in steps.items():
            start = time.perf_counter()
            await step()
            taken[name].append(1000.0 * (time.perf_counter() - start))
            await asyncio.sleep(2 * LONGEST_MOMENT)
    return {name: statistics.median(times) for name, times in taken.items()}


async def searches(
    indexes: FaissIndexes,
    groups: tuple[Group, Group],
    faces: NDArray[np.float32],
    turns: int,
) -> dict[str, float]:
    """Of the large group, and of the small one that holds its first faces."""
    rng = np.random.default_rng(1)
    small, large = groups
    few = faces[:SMALL]
    bare_small, bare = Bare(few), Bare(faces)

    def some(among: NDArray[np.float32], count: int = 1) -> NDArray[np.float32]:
        return among[rng.integers(0, len(among), size=count)]

    async def ask(group: Group, query: NDArray[np.float32]) -> None:
        found = await indexes.nearest(group, query, LIMIT, leave_out=FaceRow(-1))
        assert found[0].cosine > 0.999

    async def ask_together() -> None:
        await asyncio.gather(*(ask(large, query) for query in some(faces, TOGETHER)))

    steps: dict[str, Step] = {
        "bare_small": lambda: bare_small.search(some(few)),
        "small": lambda: ask(small, some(few)[0]),
        "bare_search": lambda: bare.search(some(faces)),
        "search": lambda: ask(large, some(faces)[0]),
        "bare_batch": lambda: bare.search(some(faces, TOGETHER)),
        "together": ask_together,
    }
    await by_turns(steps, 2)
    return await by_turns(steps, turns)


async def run(options: argparse.Namespace, folder: Path, url: str) -> dict[str, float]:
    faces = vectors(options.faces)
    with storage_at(folder, url) as storage:
        tenant = (await storage.keys.create("benchmark", "v1.0")).tenant
        warm, _ = await fill(storage, tenant, "small", faces[:SMALL])
        group, _ = await fill(storage, tenant, "large", faces)
    loads = [load_in_a_fresh_process(folder, url, warm, group) for _ in range(options.loads)]
    with storage_at(folder, url) as storage:
        indexes = indexes_over(storage)
        await indexes.nearest(group, faces[0], LIMIT)
        times = await searches(indexes, (warm, group), faces, options.turns)
        indexes.close()
    return {
        "load_seconds": statistics.median(load.seconds for load in loads),
        "load_processor_seconds": statistics.median(load.processor for load in loads),
        "resident_ratio": max(load.resident for load in loads) / faces.nbytes,
        "peak_ratio": max(load.peak for load in loads) / faces.nbytes,
        "bare_search_ms": times["bare_search"],
        "search_ms": times["search"],
        "search_ratio": times["search"] / times["bare_search"],
        "growth_slope": (times["search"] - times["small"])
        / (times["bare_search"] - times["bare_small"]),
        "bare_batch_ms_per_query": times["bare_batch"] / TOGETHER,
        "together_ms_per_query": times["together"] / TOGETHER,
        "together_ratio": times["together"] / times["bare_batch"],
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--loads", type=int, default=3, help="fresh processes that load the group")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--load", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    logs.configure("error")
    options = parse()
    if options.load:
        load_what_is_told()
        return
    with (
        tempfile.TemporaryDirectory(prefix="facereco-index-") as place,
        database(options.database, Path(place)) as url,
    ):
        show(asyncio.run(run(options, Path(place) / "data", url)), as_json=options.json)


if __name__ == "__main__":
    main()
