"""Two hundred groups in a quarter of the memory they need: is the bound held, and at what price?

    python -m benchmarks.speed.many_groups [--database postgresql] [--seconds 60] [--json]

Two hundred groups of 5,000 faces of 512 values lie in a database of their own. Clients search them
for a minute with every group equally likely, then for a minute with few groups that most ask for
(Zipf, exponent 1.1), under a bound of 25 % of what all groups take. Memory is watched in between:
what the index says it holds, and what the process has more than before its first search.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import uvloop
from numpy.typing import NDArray

from app.domain.values import Group
from app.index.faiss_indexes import FaissIndexes
from app.index.group_index import bytes_per_face
from app.telemetry import logs
from benchmarks.speed.groups import DIMENSION, database, fill, show, storage_at, vectors
from benchmarks.speed.index import MEBIBYTE, indexes_over, resident

GROUPS, FACES = 200, 5_000
SHARE = 0.25
CLIENTS = 8
LIMIT = 10


@dataclass
class Watch:
    """What was seen of memory, and of the searches."""

    indexes: FaissIndexes
    before: int
    held: int = 0
    resident: int = 0
    errors: int = 0
    milliseconds: list[float] = field(default_factory=list)

    async def look(self) -> None:
        while True:
            self.held = max(self.held, self.indexes.nbytes)
            self.resident = max(self.resident, resident() - self.before)
            await asyncio.sleep(0.02)


def likely(kind: str) -> NDArray[np.float64]:
    """How likely each group is to be asked for."""
    weights = np.ones(GROUPS) if kind == "uniform" else 1.0 / np.arange(1, GROUPS + 1) ** 1.1
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


async def client(
    watch: Watch, groups: Sequence[Group], queries: NDArray[np.float32], kind: str, until: float
) -> None:
    rng = np.random.default_rng()
    chances = likely(kind)
    while time.perf_counter() < until:
        group = groups[int(rng.choice(GROUPS, p=chances))]
        query = queries[int(rng.integers(len(queries)))]
        start = time.perf_counter()
        try:
            found = await watch.indexes.nearest(group, query, LIMIT)
        except Exception:  # noqa: BLE001 - counted, whatever it is
            watch.errors += 1
        else:
            watch.errors += len(found) < LIMIT
        watch.milliseconds.append(1000.0 * (time.perf_counter() - start))


async def search(
    indexes: FaissIndexes, groups: Sequence[Group], kind: str, seconds: float, before: int
) -> dict[str, float]:
    bound = SHARE * GROUPS * FACES * bytes_per_face(DIMENSION)
    watch, queries = Watch(indexes, before), vectors(1_000, seed=77)
    looking = asyncio.create_task(watch.look())
    until = time.perf_counter() + seconds
    await asyncio.gather(*(client(watch, groups, queries, kind, until) for _ in range(CLIENTS)))
    looking.cancel()
    return {
        f"{kind}_searches_per_s": len(watch.milliseconds) / seconds,
        f"{kind}_errors": watch.errors,
        f"{kind}_held_of_bound": watch.held / bound,
        f"{kind}_resident_of_bound": watch.resident / bound,
        f"{kind}_p50_ms": float(np.percentile(watch.milliseconds, 50)),
        f"{kind}_p99_ms": float(np.percentile(watch.milliseconds, 99)),
    }


async def run(options: argparse.Namespace, folder: Path, url: str) -> dict[str, float]:
    with storage_at(folder, url) as storage:
        tenant = (await storage.keys.create("benchmark", "v1.0")).tenant
        groups = []
        for number in range(GROUPS):
            faces = vectors(FACES, seed=number)
            groups.append((await fill(storage, tenant, f"group-{number}", faces))[0])
        bound = int(SHARE * GROUPS * FACES * bytes_per_face(DIMENSION))
        indexes = indexes_over(storage, bound)
        await indexes.nearest(groups[0], vectors(1)[0], LIMIT)
        indexes.forget(groups[0].row)
        await asyncio.sleep(0.5)
        before = resident()
        figures: dict[str, float] = {"bound_mb": bound / MEBIBYTE}
        for kind in ("uniform", "skewed"):
            figures |= await search(indexes, groups, kind, options.seconds, before)
        indexes.close()
    return figures


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each kind of access")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    logs.configure("error")
    options = parse()
    with (
        tempfile.TemporaryDirectory(prefix="facereco-groups-") as place,
        database(options.database, Path(place)) as url,
    ):
        figures = uvloop.run(run(options, Path(place) / "data", url))
    show(figures, as_json=options.json)


if __name__ == "__main__":
    main()
