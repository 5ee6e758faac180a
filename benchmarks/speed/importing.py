"""What an import costs beside the bare pipeline on the same photos, in one run.

    python -m benchmarks.speed.importing [--photos 1000] [--model starter] [--json]

So many different photos of 640x480 with one face are imported from a folder into a new SQLite
database: hashed, looked up, decoded in decoder processes, analysed, stored and recorded. Beside it
the same files are decoded by Pillow and analysed by as many threads, with nothing around. Both go
by turns of a hundred photos, so that whatever else the machine does falls on both alike.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.domain.values import Photo, Tenant, Wanted
from app.intake.photos import LabelFrom, in_folder
from app.main.workshop import Workshop, open_workshop
from app.services.importing import Outcome
from app.settings import Settings
from app.telemetry import logs
from app.vision.packs import MODELS, PackCatalog
from app.vision.pipeline import Pipeline
from benchmarks.speed.pictures import bare_decode, jpeg, photo
from benchmarks.speed.stage import Packs

TURN = 100
GROUP = "benchmark"
LIMIT = 16_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds that the same photos took, on the clock and of the processors."""

    bare: float
    imported: float
    bare_cpu: float
    imported_cpu: float


def lay(folder: Path, count: int) -> None:
    """So many photos of one person, each with noise of its own."""
    folder.mkdir()
    plain, rng = photo().astype(np.int16), np.random.default_rng(1)
    for number in range(count):
        noise = rng.integers(-4, 5, plain.shape, dtype=np.int16)
        noisy = np.clip(plain + noise, 0, 255).astype(np.uint8)
        (folder / f"{number:05}.jpg").write_bytes(jpeg(noisy))


def bare(
    pipeline: Pipeline, pool: ThreadPoolExecutor, wanted: Wanted, photos: Sequence[Photo]
) -> float:
    """Seconds for decoding and networks alone."""

    def one(photo: Photo) -> None:
        faces = pipeline.analyze(bare_decode(photo.read(LIMIT)), wanted)
        assert faces[0].embedding is not None

    began = time.perf_counter()
    list(pool.map(one, photos))
    return time.perf_counter() - began


async def imported(shop: Workshop, tenant: Tenant, photos: Sequence[Photo]) -> float:
    """Seconds for the import."""
    began = time.perf_counter()
    async with aclosing(shop.import_photos(tenant, GROUP, photos, shop.rules)) as done:
        async for one in done:
            assert one.outcome is Outcome.REGISTERED, one
    return time.perf_counter() - began


def processor_time() -> float:
    """Seconds this process and its decoders have used."""
    own = {str(os.getpid())}
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = file.read_text().rpartition(")")[2].split()
            if own & {file.parent.name, fields[1]}:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def measure(settings: Settings, photos: Sequence[Photo]) -> list[Turn]:
    packs = Packs(PackCatalog(MODELS, settings.model_path), settings.model)
    pipeline = packs.pipeline()
    async with open_workshop(settings) as shop:
        tenant = (await shop.keys.create("benchmark", "v1.0")).tenant
        await shop.ensure_group(tenant, GROUP)
        wanted = Wanted(orientation=True, embeddings=1, eligible=shop.rules.eligible)
        turns = []
        with ThreadPoolExecutor(settings.workers) as pool:
            bare(pipeline, pool, wanted, photos[:10])
            for start in range(0, len(photos), TURN):
                some = photos[start : start + TURN]
                before = processor_time()
                alone = bare(pipeline, pool, wanted, some)
                between = processor_time()
                whole = await imported(shop, tenant, some)
                cpu = between - before, processor_time() - between
                turns.append(Turn(alone, whole, *cpu))
        group = await shop.groups.get(tenant, GROUP)
        assert group.face_count == len(photos)
    return turns


def figures(turns: Sequence[Turn], count: int) -> dict[str, float]:
    bare_rate = count / sum(turn.bare for turn in turns)
    rate = count / sum(turn.imported for turn in turns)
    return {
        "photos": count,
        "bare_per_s": bare_rate,
        "import_per_s": rate,
        "ratio": rate / bare_rate,
        "ratio_of_the_median_turn": statistics.median(t.bare / t.imported for t in turns),
        "bare_cpu_ms": 1000 * sum(turn.bare_cpu for turn in turns) / count,
        "import_cpu_ms": 1000 * sum(turn.imported_cpu for turn in turns) / count,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=1_000)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--workers", type=int, default=0, help="0: as many as cores")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logs.configure("warning")
    with tempfile.TemporaryDirectory(prefix="facereco-import-") as place:
        folder = Path(place)
        lay(folder / "photos", options.photos)
        workers = options.workers or len(os.sched_getaffinity(0))
        settings = Settings.read(data=folder / "data", model=options.model, workers=workers)
        photos = in_folder(folder / "photos", LabelFrom.NAME).photos
        found = figures(asyncio.run(measure(settings, photos)), len(photos))
    if options.json:
        print(json.dumps(found))
        return
    for name, figure in found.items():
        print(f"{name:26} {figure:10.3f}")


if __name__ == "__main__":
    main()
