"""Where the time of a request goes: each part of ours beside the least it could cost."""

import asyncio
import io
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import faiss
import numpy as np
import orjson
import pybase64
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from PIL import Image as Pictures

from app.api.answers import Answer, answer
from app.api.schemas import Detect, parse
from app.domain.values import Image, ImageLimits, Tenant
from app.intake.base64_bytes import decode_base64
from app.intake.decoders import Decoders
from app.intake.decoding import decode
from app.intake.header import inspect
from app.storage.groups import SqlGroupStore
from app.storage.vault import GroupCipher, Place
from app.vision.alignment import TEMPLATES, align, similarity
from app.vision.manifests import EmbedderSection
from app.vision.pipeline import Pipeline
from benchmarks.speed.detect import RecordingPool
from benchmarks.speed.groups import storage_at, vectors
from benchmarks.speed.idle import several
from benchmarks.speed.index import indexes_over
from benchmarks.speed.pictures import bare_decode, in_base64, jpeg, photo
from benchmarks.speed.stage import LIMIT, BareIndex, Packs, quick

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Part:
    """Ours and the floor under it; each does its work `count` times when it is called."""

    ours: Work
    floor: Work
    count: int = 1

    @classmethod
    def small(cls, ours: Work, floor: Work, count: int = 100) -> "Part":
        """Work that is too short to be timed once."""
        return cls(_times(ours, count), _times(floor, count), count)


def of_pictures(packs: Packs, decoders: Decoders) -> dict[str, Part]:
    """From the body of a detect to its faces, and back to JSON."""
    image, pack = photo(), packs.catalog.get(packs.name)
    file = jpeg(image)
    text, limits = in_base64(file), ImageLimits()
    body = orjson.dumps({"image": {"bytes": text}})
    pool = RecordingPool(packs.catalog)
    pipeline = Pipeline.open(pack, pool)
    pipeline.warm_up()
    found = pipeline.finder.detect(image)
    points = found.points
    seen = {"faceDetailCount": 1, "faceDetails": [{"bbox": dict.fromkeys("abcd", 0.125)}]}

    def network(work: Work) -> Part:
        return Part(work, _recorded(pool, work))

    parts = {
        "JSON": Part.small(
            lambda: (parse(body, Detect), answer(Answer(0, "Success", seen))),
            lambda: (orjson.loads(body), orjson.dumps(seen)),
        ),
        "base64": Part.small(
            lambda: decode_base64(text, max_bytes=limits.max_bytes),
            lambda: pybase64.b64decode(text, validate=True),
        ),
        "header gate": Part.small(lambda: inspect(file), lambda: _size(file)),
        "decoding": Part(lambda: decode(file, limits, decoders), lambda: bare_decode(file)),
        "detection": network(lambda: pipeline.finder.detect(image)),
        "alignment": _alignment(image, points, pack.embedder),
        "embedding": network(lambda: pipeline.embedder.embed(image, points)),
    }
    if pipeline.landmarks is not None:
        refiner = pipeline.landmarks
        parts["landmarks"] = network(lambda: refiner.refine(image, found))
    if pipeline.attributes is not None:
        reader = pipeline.attributes
        parts["attributes"] = network(lambda: reader.read(image, points))
    if pipeline.pose is not None:
        poser = pipeline.pose
        parts["pose"] = network(lambda: poser.turns(image, found.boxes, points))
    return parts


def _recorded(pool: RecordingPool, work: Work) -> Work:
    """The networks that `work` runs, alone on the tensors it gives them."""
    pool.runs.clear()
    work()
    runs = [
        (session, outputs, {name: tensor.copy() for name, tensor in inputs.items()})
        for session, outputs, inputs in pool.runs
    ]

    def floor() -> None:
        for session, outputs, inputs in runs:
            session.run(outputs, inputs)

    return floor


def _size(file: bytes) -> tuple[int, int]:
    with Pictures.open(io.BytesIO(file)) as picture:
        return picture.size


def _alignment(image: Image, points: np.ndarray, section: EmbedderSection) -> Part:
    template, size = TEMPLATES[section.template], section.size
    matrix = similarity(points[0], template)
    return Part.small(
        lambda: align(image, points[0], template, size),
        lambda: cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR),
    )


@contextmanager
def of_groups(
    folder: Path, url: str, runner: asyncio.Runner, bare: BareIndex, faces: np.ndarray
) -> Iterator[dict[str, Part]]:
    """What stands between a vector and its matches."""
    with storage_at(folder, url) as storage:
        tenant = runner.run(storage.keys.list())[0].tenant
        store = SqlGroupStore(storage.database, storage.vault)
        group = runner.run(store.get(tenant, "large"))
        indexes = indexes_over(storage)
        few = 50

        def repeated(work: Callable[[], Awaitable[object]], count: int) -> Work:
            async def all_of_them() -> None:
                for _ in range(count):
                    await work()

            return lambda: runner.run(all_of_them())

        query = faces[7]
        nearest = repeated(lambda: indexes.nearest(group, query, LIMIT), 1)
        nearest()  # loads the group
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            yield {
                "index": Part(nearest, bare.search),
                "SQL": Part(
                    repeated(lambda: store.get(tenant, "large"), few),
                    _times(lambda: _one_row(connection, tenant), few),
                    few,
                ),
                "crypto": _crypto(),
            }
        connection.close()
        indexes.close()


def _one_row(connection: sqlite3.Connection, tenant: Tenant) -> None:
    statement = "select * from groups where tenant = ? and group_id = ?"
    assert len(connection.execute(statement, (tenant.id, "large")).fetchall()) == 1


def _crypto() -> Part:
    key, nonce = AESGCM.generate_key(256), os.urandom(12)
    vector = vectors(4)[0]
    cipher, bare = GroupCipher(key, Place(1, 1, "model"), "database"), AESGCM(key)
    record, closed = cipher.seal("face", vector), bare.encrypt(nonce, vector.tobytes(), b"face")
    return Part.small(
        lambda: cipher.open("face", record), lambda: bare.decrypt(nonce, closed, b"face")
    )


def _times(work: Work, count: int) -> Work:
    def some() -> None:
        for _ in range(count):
            work()

    return some


def measured(
    parts: dict[str, Part], turns: int, tell: Callable[[], None]
) -> dict[str, dict[str, float]]:
    """Milliseconds of ours and of its floor, by turns, in the quickest quarter of the runs."""
    faiss.omp_set_num_threads(1)
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in parts}
    for _ in range(turns):
        for name, part in parts.items():
            for work, times in zip((part.ours, part.floor), taken[name], strict=True):
                times += [ms / part.count for ms in several(work)]
        tell()
    rows = {name: (quick(ours), quick(floor)) for name, (ours, floor) in taken.items()}
    return {
        name: {"ms": ours, "floor_ms": floor, "ratio": ours / floor}
        for name, (ours, floor) in rows.items()
    }
