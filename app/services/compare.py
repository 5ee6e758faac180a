"""Comparing the largest face of one picture with every face of another."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from app.domain.calibration import cosine
from app.domain.errors import ImageError, NoFaceFound, Picture
from app.domain.ports import Vision
from app.domain.values import (
    EVERY_FACE,
    Embedding,
    Face,
    ImageLimits,
    ImageReference,
    ModelVersion,
    Wanted,
)
from app.services.detect import DetectFaces, embedding_of, largest
from app.services.scoring import Scoring

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ComparedFace:
    """A face of the target picture and its similarity to the source face, 0..100."""

    face: Face
    similarity: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Faces of the target, most similar first, parted at the threshold."""

    model: ModelVersion
    source: Face
    matched: list[ComparedFace]
    unmatched: list[ComparedFace]


class CompareFaces:
    """Compares two pictures with the default model."""

    def __init__(self, detect: DetectFaces, vision: Vision, scoring: Scoring) -> None:
        self._detect = detect
        self._vision = vision
        self._scoring = scoring

    async def __call__(
        self,
        source: ImageReference,
        target: ImageReference,
        limits: ImageLimits,
        *,
        wanted: Wanted,
        threshold: float,
    ) -> Comparison:
        """Raises `ImageError`, `ImageTooSmall`, and `NoFaceFound` for the source alone."""
        model = self._vision.default_model
        one, every = (
            replace(wanted, embeddings=1, max_faces=1),
            replace(wanted, embeddings=EVERY_FACE),
        )
        file, other = await _source_first(
            self._fetched(source, limits), self._attempted(target, limits)
        )
        # One turn for both: a request that had its turn is not refused in the middle.
        async with self._detect.turn():
            faces, others = await _source_first(
                _some(self._found(file, limits, one, Picture.SOURCE)),
                self._found(other, limits, every, Picture.TARGET),
            )
        face, embedding = largest(faces)
        compared = self._similarities(embedding, others)
        matched = [other for other in compared if other.similarity >= threshold]
        return Comparison(model, face, matched, compared[len(matched) :])

    async def _fetched(self, source: ImageReference, limits: ImageLimits) -> ImageReference:
        with _about(Picture.SOURCE):
            return await self._detect.fetch(source, limits)

    async def _attempted(
        self, target: ImageReference, limits: ImageLimits
    ) -> ImageReference | ImageError:
        """What is wrong with the target is of interest once the source is known to be fine."""
        try:
            return await self._detect.fetch(target, limits)
        except ImageError as error:
            return error

    async def _found(
        self,
        file: ImageReference | ImageError,
        limits: ImageLimits,
        wanted: Wanted,
        picture: Picture,
    ) -> list[Face]:
        with _about(picture):
            if isinstance(file, ImageError):
                raise file
            return await self._detect.find(file, limits, wanted, self._vision.default_model)

    def _similarities(self, source: Embedding, faces: list[Face]) -> list[ComparedFace]:
        similarity = self._scoring.calibration(self._vision.default_model).similarity
        compared = [
            ComparedFace(face, similarity(cosine(source, embedding_of(face)))) for face in faces
        ]
        compared.sort(key=lambda other: -other.similarity)
        return compared


async def _some(finding: Coroutine[None, None, list[Face]]) -> list[Face]:
    faces = await finding
    if not faces:
        raise NoFaceFound
    return faces


@contextmanager
def _about(picture: Picture) -> Iterator[None]:
    """Errors of the block say which picture they are about."""
    try:
        yield
    except ImageError as error:
        error.picture = picture
        raise


async def _source_first(
    source: Coroutine[None, None, S], target: Coroutine[None, None, T]
) -> tuple[S, T]:
    """Work on both at once; what is wrong with the source is told whatever the target is like."""
    targeting = asyncio.ensure_future(target)
    try:
        first = await source
    except BaseException:
        targeting.cancel()
        await asyncio.gather(targeting, return_exceptions=True)
        raise
    return first, await targeting
