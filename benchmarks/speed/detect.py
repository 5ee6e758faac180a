"""What one detect costs beside the bare networks it runs, on one core, in one run.

    python -m benchmarks.speed.detect
    python -m benchmarks.speed.detect --url http://127.0.0.1:8000 --app-key KEY --server-pid PID

A 640x480 photo with one face is analysed over and over: the networks alone on the tensors they
were given, then the whole of vision, then (with --url) the HTTP call, one at a time and by short
turns, so that whatever else the machine does falls on all alike. Medians, and ratios of medians.
The processor's time leaves out whatever else ran meanwhile. With --server-pid it is the server's
own in the row `http`; the clock's is the client's and the network's as well.
"""

import argparse
import asyncio
import base64
import http.client
import io
import json
import os
import statistics
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image as Pictures

from app.domain.values import Decoded, Image, Wanted
from app.vision.analyzer import Analyzer
from app.vision.manifests import Pack, Weights
from app.vision.packs import MODELS, PackCatalog
from app.vision.pipeline import Pipeline
from app.vision.sessions import Node, Opened, Session, SessionPool, Write

WIDTH, HEIGHT = 640, 480
# The first runs of a turn find the caches full of what ran before, and do not count.
SETTLING, IN_A_ROW = 2, 8
WANTED = Wanted(orientation=True, mask=True)

Step = Callable[[], Awaitable[object]]
Clock = Callable[[], float]
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

    def open(self, pack: Pack, weights: Weights, write: Write | None = None) -> Opened:
        opened = super().open(pack, weights, write)
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


def detect(server: http.client.HTTPConnection, app_key: str, image: Image) -> Step:
    """The HTTP call, with the photo as JPEG in base64, by the leanest client there is."""
    file = io.BytesIO()
    Pictures.fromarray(image).save(file, "JPEG", quality=90)
    body = {"image": {"bytes": base64.b64encode(file.getvalue()).decode()}}
    content = json.dumps(body).encode()
    path = f"/nhn-face-reco/v1.0/appkeys/{app_key}/detect"

    async def run() -> None:
        server.request("POST", path, content, {"Content-Type": "application/json"})
        answer = server.getresponse().read()
        if b'"faceDetailCount":1' not in answer.replace(b" ", b""):
            raise SystemExit(f"the server did not find the one face: {answer[:200]!r}")

    return run


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of one run: on the clock, and of the processor."""

    clock: float
    processor: float


async def measure(steps: Mapping[str, tuple[Step, Clock]], turns: int) -> dict[str, Cost]:
    """The medians of each step; each runs a few times in a row, then the next."""
    taken: dict[str, list[Cost]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, (step, processor) in steps.items():
            taken[name] += (await several(step, processor))[SETTLING:]
    return {name: middle(costs) for name, costs in taken.items()}


async def several(step: Step, processor: Clock) -> list[Cost]:
    costs = []
    for _ in range(SETTLING + IN_A_ROW):
        start, worked = time.perf_counter(), processor()
        await step()
        end, worked_now = time.perf_counter(), processor()
        costs.append(Cost(1000.0 * (end - start), 1000.0 * (worked_now - worked)))
    return costs


def middle(costs: list[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.clock for cost in costs),
        statistics.median(cost.processor for cost in costs),
    )


def processor_time(server: int) -> Clock:
    """Seconds of processor time the threads of a server have used so far."""

    def seconds() -> float:
        tasks = Path(f"/proc/{server}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    return seconds


async def run(options: argparse.Namespace) -> dict[str, Cost]:
    catalog = PackCatalog(options.models, options.model_path)
    image = photo()
    analyzer = Analyzer.open(catalog, options.pack, workers=1, backlog=1)
    ours = time.process_time
    steps: dict[str, tuple[Step, Clock]] = {
        "bare": (bare(catalog, catalog.get(options.pack), image), ours),
        "analyze": (lambda: analyzer.analyze(Decoded(image), WANTED), ours),
    }
    if options.url:
        place = urllib.parse.urlsplit(options.url)
        server = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        theirs = processor_time(options.server_pid) if options.server_pid else ours
        steps["http"] = (detect(server, options.app_key, image), theirs)
    costs = await measure(steps, options.turns)
    analyzer.close()
    return costs


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


def show(costs: Mapping[str, Cost], *, as_json: bool) -> None:
    bare = costs["bare"]
    rows = {
        name: {
            "clock_ms": cost.clock,
            "clock_ratio": cost.clock / bare.clock,
            "processor_ms": cost.processor,
            "processor_ratio": cost.processor / bare.processor,
        }
        for name, cost in costs.items()
    }
    if as_json:
        print(json.dumps(rows))
        return
    print(f"{'':8} {'clock':>11} {'x bare':>7} {'processor':>11} {'x bare':>7}")
    for name, row in rows.items():
        clock, ratio, processor, processor_ratio = row.values()
        print(f"{name:8} {clock:8.2f} ms {ratio:7.2f} {processor:8.2f} ms {processor_ratio:7.2f}")


if __name__ == "__main__":
    chosen = parse()
    pin(chosen.core, chosen.server_pid)
    show(asyncio.run(run(chosen)), as_json=chosen.json)
