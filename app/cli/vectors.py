"""The vectors of photos that lie on the operator's disk, as a server would make them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.cli.progress import progress
from app.domain.errors import ConfigurationError, ImageError, ImageTooSmall, NoFaceFound
from app.domain.values import EVERY_FACE, Image, ImageLimits, Wanted
from app.intake.decoders import Decoders
from app.intake.decoding import decode
from app.vision.manifests import Pack
from app.vision.packs import PackCatalog
from app.vision.pipeline import Pipeline
from app.vision.sessions import SessionPool

Vector = NDArray[np.float32]
LARGEST_FILE = 50_000_000  # bytes


@contextmanager
def reading() -> Iterator[Callable[[Path], Image]]:
    """A function that gives a file's upright pixels; it raises `ImageError`, `ImageTooSmall`."""
    decoders = Decoders(2)
    try:
        decoders.check()
        limits = ImageLimits(max_bytes=LARGEST_FILE)
        yield lambda path: decode(_content(path), limits, decoders)
    finally:
        decoders.close()


def vectors(
    packs: PackCatalog, pack: Pack, photos: Iterable[Path]
) -> tuple[dict[Path, Vector], dict[Path, str]]:
    """The vector of each photo's largest face, and why the other photos have none.

    Raises `ConfigurationError` when the pack cannot be used or a photo cannot be read.
    """
    wanted = sorted(set(photos))
    pipeline = Pipeline.open(pack, SessionPool(packs))
    known: dict[Path, Vector] = {}
    unusable: dict[Path, str] = {}
    with reading() as read, progress(max(len(wanted), 1), "photos") as advance:
        for path in wanted:
            try:
                known[path] = _vector(pipeline, read(path))
            except (ImageError, ImageTooSmall, NoFaceFound) as error:
                unusable[path] = error.detail
            advance()
    return known, unusable


def _vector(pipeline: Pipeline, image: Image) -> Vector:
    faces = pipeline.analyze(image, Wanted(embeddings=1, max_faces=EVERY_FACE))
    if not faces or faces[0].embedding is None:
        raise NoFaceFound
    return faces[0].embedding


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
