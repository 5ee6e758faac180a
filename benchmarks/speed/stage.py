"""What is measured: a server with groups of every size, and the same pipeline without a server."""

import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import faiss
import numpy as np
from numpy.typing import NDArray

from app.domain.values import IssuedKey, ModelVersion, Wanted
from app.index.group_index import BLAS_FROM, prepare_thread
from app.intake.decoding import GLANCE_SIDE
from app.vision.packs import FileState, PackCatalog
from app.vision.pipeline import Pipeline
from app.vision.sessions import SessionPool
from benchmarks.load import machine
from benchmarks.speed.groups import fill, storage_at, vectors
from benchmarks.speed.pictures import bare_decode, bare_glance

SMALL, MIDDLE, LARGE = 1_000, 10_000, 100_000
WIDE = 512  # values of a vector in the groups that are searched by face
ROOM = 1_000  # for what is registered: a group may have no more than `LARGE`
SEARCHES = 4_000  # different ones
LIMIT, THRESHOLD = 10, 80
DETECT = Wanted(orientation=True, mask=True)
EMBED = Wanted(orientation=True, mask=True, embeddings=1, max_faces=1)


@dataclass(frozen=True, slots=True)
class Packs:
    """The catalog that is measured with, and the pack the server runs."""

    catalog: PackCatalog
    name: str

    @classmethod
    def choose(cls, catalog: PackCatalog, wanted: str) -> "Packs":
        """`wanted` if its weights are here, `starter` otherwise."""
        return cls(catalog, wanted if usable(catalog, wanted) else "starter")

    @property
    def dimension(self) -> int:
        return self.catalog.get(self.name).embedder.dimension

    @property
    def model(self) -> ModelVersion:
        return self.catalog.get(self.name).model_version

    def pipeline(self) -> Pipeline:
        cv2.setNumThreads(0)  # as the server does
        pipeline = Pipeline.open(self.catalog.get(self.name), SessionPool(self.catalog))
        pipeline.warm_up()
        return pipeline


def usable(catalog: PackCatalog, name: str) -> bool:
    states = catalog.status(catalog.get(name))
    return all(file.state is FileState.OK for file in states)


@dataclass(frozen=True, slots=True)
class Groups:
    """What was written to the database: a key, and searches by face in two groups."""

    app_key: str
    small: list[str]
    large: list[str]

    @property
    def prefix(self) -> str:
        return f"/nhn-face-reco/v1.0/appkeys/{self.app_key}"


async def furnish(folder: Path, url: str, packs: Packs) -> Groups:
    """Make the groups: `small` and `large` of 512 values, the others of what the pack makes."""
    wide, narrow = vectors(LARGE, dimension=WIDE), vectors(LARGE, 1, packs.dimension)
    with storage_at(folder, url) as storage:
        key: IssuedKey = await storage.keys.create("benchmark", "v1.0")
        ids = {}
        for name, faces in (
            ("small", wide[:SMALL]),
            ("large", wide),
            ("thousand", narrow[:SMALL]),
            ("middle", narrow[:MIDDLE]),
            ("enrolled", narrow[:MIDDLE]),
            ("hundred", narrow[:-ROOM]),
        ):
            _, ids[name] = await fill(storage, key.tenant, name, faces, packs.model)
    prefix = f"/nhn-face-reco/v1.0/appkeys/{key.app_key}/groups"
    rng = np.random.default_rng(2)

    def searches(name: str) -> list[str]:
        chosen = rng.permutation(len(ids[name]))[:SEARCHES]
        query = f"limit={LIMIT}&threshold={THRESHOLD}"
        return [f"{prefix}/{name}/faces/{ids[name][at]}?{query}" for at in chosen]

    return Groups(key.app_key, searches("small"), searches("large"))


@contextlib.contextmanager
def serving(folder: Path, settings: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """A server on a free port with `settings`; its address, and its process."""
    command = [*machine.COMMAND, "serve", "--port", "0", "--data", str(folder)]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(  # noqa: S603 - our own program
            command,
            env=machine.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
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


def request(method: str, path: str, body: object = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: benchmark\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def rate(work: Callable[[], object], seconds: float, threads: int) -> float:
    """How often a second so many threads together do `work`."""
    done, end = [0] * threads, time.perf_counter() + seconds
    gate = threading.Barrier(threads)

    def run(number: int) -> None:
        gate.wait()
        while time.perf_counter() < end:
            work()
            done[number] += 1

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(threads)))
    return sum(done) / (time.perf_counter() - start)


@dataclass(frozen=True, slots=True)
class BarePipeline:
    """Decoding and networks of one picture, and nothing around them."""

    pipeline: Pipeline
    file: bytes
    wanted: Wanted

    def __call__(self) -> None:
        if not self.pipeline.analyze(bare_decode(self.file), self.wanted):
            raise SystemExit("the photo's face was not found")


@dataclass(frozen=True, slots=True)
class BareGlance:
    """The same of a large JPEG, of which no more is decoded than the networks look at."""

    pipeline: Pipeline
    file: bytes
    wanted: Wanted

    def __call__(self) -> None:
        if not self.pipeline.glance(bare_glance(self.file, GLANCE_SIDE), self.wanted):
            raise SystemExit("the large photo's face was not found")


class BareIndex:
    """A flat index of FAISS in one thread."""

    def __init__(self, faces: NDArray[np.float32]) -> None:
        prepare_thread()
        self._index = faiss.IndexFlatIP(faces.shape[1])
        self._index.add(faces)
        self._faces = faces
        self._rng = np.random.default_rng(3)

    def search(self, batch: int = 1) -> None:
        faiss.cvar.distance_compute_blas_threshold = BLAS_FROM
        some = self._rng.integers(0, len(self._faces), size=batch)
        self._index.search(self._faces[some], LIMIT + 1)

    def per_second(self, batch: int, seconds: float) -> float:
        asked, start = 0, time.perf_counter()
        while time.perf_counter() < start + seconds:
            self.search(batch)
            asked += batch
        return asked / (time.perf_counter() - start)


def quick(values: Sequence[float]) -> float:
    """The quickest quarter's slowest: what other programs do to a time only makes it longer."""
    return float(np.percentile(values, 25))
