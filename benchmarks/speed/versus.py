"""Six faces found and embedded by us and by insightface's FaceAnalysis, from the same files."""

import asyncio
import statistics
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import insightface
import numpy as np
from PIL import Image as Pictures

from app.domain.values import EVERY_FACE, Decoded, Image, Wanted
from app.vision.analyzer import Analyzer
from app.vision.manifests import Pack
from app.vision.packs import PackCatalog
from app.vision.pipeline import Pipeline
from app.vision.sessions import SessionPool
from benchmarks.speed.idle import by_turns
from benchmarks.speed.stage import rate, usable
from benchmarks.speed.throughput import cores

CALLERS = 8
FACES = 6
SIZE = (640, 640)  # FaceAnalysis's usual one; left alone it would look twice
ALL = Wanted(embeddings=EVERY_FACE)


def comparable(catalog: PackCatalog) -> Pack | None:
    """The first pack of SCRFD and ArcFace whose weights are here."""
    for pack in catalog.packs():
        families = (pack.detector.family, pack.embedder.family)
        if families == ("scrfd", "arcface") and usable(catalog, pack.name):
            return pack
    return None


def six_faces() -> Image:
    """insightface's own sample picture."""
    path = Path(insightface.__file__).parent / "data" / "images" / "t1.jpg"
    with Pictures.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def face_analysis(catalog: PackCatalog, pack: Pack, threads: int | None) -> Callable[[], object]:
    """Their call on that picture, with so many threads in a network's run; None: as they choose."""
    import onnxruntime
    from insightface.app import FaceAnalysis

    options: dict[str, Any] = {"providers": ["CPUExecutionProvider"]}
    if threads is not None:
        options["sess_options"] = onnxruntime.SessionOptions()
        options["sess_options"].intra_op_num_threads = threads
    with tempfile.TemporaryDirectory(prefix="facereco-packs-") as folder:
        for weights in (pack.detector, pack.embedder):
            found = catalog.find(pack, weights).path
            assert found is not None
            (Path(folder) / found.name).symlink_to(found.resolve())
        theirs = FaceAnalysis(name=folder, **options)
        theirs.prepare(ctx_id=0, det_size=SIZE)
        image = six_faces()[..., ::-1].copy()  # BGR

        def get() -> None:
            assert len(theirs.get(image)) == FACES

        get()  # it reads the detector's file once more to fix its input size
    return get


def compare(
    catalog: PackCatalog, pack: Pack, seconds: float, tell: Callable[[], None]
) -> dict[str, float]:
    """`ours_ms`, `theirs_ms` alone with one thread; `…_per_s` of eight callers, their best."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        single, free = (face_analysis(catalog, pack, threads) for threads in (1, None))
    image = six_faces()
    pipeline = Pipeline.open(pack, SessionPool(catalog))
    alone = by_turns({"ours": lambda: pipeline.analyze(image, ALL), "theirs": single}, 8, tell)
    rates: dict[str, list[float]] = {"ours": [], "theirs": [], "theirs_free": []}
    analyzer = Analyzer.open(catalog, pack.name, workers=cores(), backlog=CALLERS)
    for _ in range(3):
        rates["ours"].append(asyncio.run(_ours(analyzer, image, seconds)))
        rates["theirs"].append(rate(single, seconds, CALLERS))
        rates["theirs_free"].append(rate(free, seconds, CALLERS))
        tell()
    analyzer.close()
    middle = {name: statistics.median(some) for name, some in rates.items()}
    return {
        "ours_ms": alone["ours"],
        "theirs_ms": alone["theirs"],
        "ours_per_s": middle["ours"],
        "theirs_per_s": max(middle["theirs"], middle["theirs_free"]),
        "theirs_one_thread_per_s": middle["theirs"],
        "theirs_own_threads_per_s": middle["theirs_free"],
    }


async def _ours(analyzer: Analyzer, image: Image, seconds: float) -> float:
    loop = asyncio.get_running_loop()
    start, done = loop.time(), 0

    async def caller() -> None:
        nonlocal done
        while loop.time() < start + seconds:
            assert len(await analyzer.analyze(Decoded(image), ALL)) == FACES
            done += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done / (loop.time() - start)
