"""What one detect costs beside the bare networks it runs, on one core, in one run.

    python -m benchmarks.speed.detect
    python -m benchmarks.speed.detect --url http://127.0.0.1:8000 --app-key KEY --server-pid PID

A 640x480 photo with one face is analysed over and over: the networks alone on the tensors they
were given, then the whole of vision, then (with --url) the HTTP call, one at a time and by short
turns, so that whatever else the machine does falls on all alike. Medians, and ratios of medians.
"""

import argparse
import asyncio
import base64
import io
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image as Pictures

from app.domain.values import Image, Wanted
from app.vision.analyzer import Analyzer
from app.vision.manifests import Pack, Weights
from app.vision.packs import PackCatalog
from app.vision.pipeline import Pipeline
from app.vision.sessions import Node, Opened, Session, SessionPool

WIDTH, HEIGHT = 640, 480
# The first runs of a turn find the caches full of what ran before, and do not count.
SETTLING, IN_A_ROW = 2, 8
WANTED = Wanted(orientation=True, mask=True)
MODELS = Path(__file__).resolve().parents[2] / "models"

Step = Callable[[], Awaitable[object]]
Tensors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A session that notes what it is given."""

    session: Session
    runs: list[tuple[Session, list[str] | None, Tensors]]

    def get_inputs(self) -> list[Node]:
        return self.session.get_inputs()

    def get_outputs(self) -> list[Node]:
        return self.session.get_outputs()

    def run(self, outputs: list[str] | None, inputs: Tensors) -> list[NDArray[np.float32]]:
        self.runs.append((self.session, outputs, inputs))
        return self.session.run(outputs, inputs)


class RecordingPool(SessionPool):
    """Opens sessions that note what they are given, in `runs`."""

    def __init__(self, catalog: PackCatalog) -> None:
        super().__init__(catalog)
        self.runs: list[tuple[Session, list[str] | None, Tensors]] = []

    def open(self, pack: Pack, weights: Weights) -> Opened:
        opened = super().open(pack, weights)
        return Opened(Recorded(opened.session, self.runs), opened.path)


def photo() -> Image:
    """The astronaut on a 640x480 canvas."""
    canvas = np.full((HEIGHT, WIDTH, 3), 96, dtype=np.uint8)
    canvas[:, 64:576] = skimage.data.astronaut()[:HEIGHT]  # type: ignore[no-untyped-call]
    return canvas


def bare(catalog: PackCatalog, pack: Pack, image: Image) -> Step:
    """The networks alone, on the tensors that one analysis gives them."""
    pool = RecordingPool(catalog)
    pipeline = Pipeline.open(pack, pool)
    if not pipeline.analyze(image, WANTED):
        raise SystemExit("the photo's face was not found")

    async def run() -> None:
        for session, outputs, inputs in runs:
            session.run(outputs, inputs)

    runs = list(pool.runs)
    return run


def detect(client: httpx.AsyncClient, app_key: str, image: Image) -> Step:
    """The HTTP call, with the photo as JPEG in base64."""
    file = io.BytesIO()
    Pictures.fromarray(image).save(file, "JPEG", quality=90)
    body = {"image": {"bytes": base64.b64encode(file.getvalue()).decode()}}
    content = json.dumps(body).encode()

    async def run() -> None:
        answer = await client.post(
            f"/nhn-face-reco/v1.0/appkeys/{app_key}/detect",
            content=content,
            headers={"Content-Type": "application/json"},
        )
        if answer.json()["data"]["faceDetailCount"] != 1:
            raise SystemExit(f"the server did not find the one face: {answer.text[:200]}")

    return run


async def measure(steps: Mapping[str, Step], turns: int) -> dict[str, float]:
    """The median of each step in ms; each runs a few times in a row, then the next."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, step in steps.items():
            taken[name] += (await several(step))[SETTLING:]
    return {name: statistics.median(values) for name, values in taken.items()}


async def several(step: Step) -> list[float]:
    times = []
    for _ in range(SETTLING + IN_A_ROW):
        start = time.perf_counter()
        await step()
        times.append(1000.0 * (time.perf_counter() - start))
    return times


async def run(options: argparse.Namespace) -> dict[str, float]:
    catalog = PackCatalog(options.models, options.model_path)
    image = photo()
    analyzer = Analyzer.open(catalog, options.pack, workers=1, backlog=1)
    steps: dict[str, Step] = {
        "bare": bare(catalog, catalog.get(options.pack), image),
        "analyze": lambda: analyzer.analyze(image, WANTED),
    }
    async with httpx.AsyncClient(base_url=options.url or "http://none", timeout=30) as client:
        if options.url:
            steps["http"] = detect(client, options.app_key, image)
        medians = await measure(steps, options.turns)
    analyzer.close()
    return medians


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pack", default="starter")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--model-path", type=Path, action="append", default=[])
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--core", type=int, default=0, help="the core everything shares")
    parser.add_argument("--url", help="a running server, e.g. http://127.0.0.1:8000")
    parser.add_argument("--app-key")
    parser.add_argument("--server-pid", type=int, help="bring this server to the same core")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def pin(core: int, server: int | None) -> None:
    os.sched_setaffinity(0, {core})
    if server is not None:
        for thread in Path(f"/proc/{server}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def show(medians: Mapping[str, float], *, as_json: bool) -> None:
    ratios = {name: value / medians["bare"] for name, value in medians.items()}
    if as_json:
        print(json.dumps({"milliseconds": dict(medians), "ratio_to_bare": ratios}))
        return
    for name, value in medians.items():
        print(f"{name:8} {value:8.2f} ms  {ratios[name]:5.2f} x bare")


if __name__ == "__main__":
    chosen = parse()
    pin(chosen.core, chosen.server_pid)
    show(asyncio.run(run(chosen)), as_json=chosen.json)
