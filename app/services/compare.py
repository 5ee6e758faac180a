"""Comparing the largest face of one picture with every face of another."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace

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

    def __init__(self, detect: DetectFaces, vision: Vision) -> None:
        self._detect = detect
        self._vision = vision

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
        faces, others = await _source_first(
            self._found(source, limits, one, Picture.SOURCE),
            self._found(target, limits, every, Picture.TARGET),
        )
        face, embedding = largest(faces)
        compared = self._similarities(embedding, others)
        matched = [other for other in compared if other.similarity >= threshold]
        return Comparison(model, face, matched, compared[len(matched) :])

    async def _found(
        self, reference: ImageReference, limits: ImageLimits, wanted: Wanted, picture: Picture
    ) -> list[Face]:
        try:
            return await self._detect(reference, limits, wanted, self._vision.default_model)
        except ImageError as error:
            error.picture = picture
            raise

    def _similarities(self, source: Embedding, faces: list[Face]) -> list[ComparedFace]:
        similarity = self._vision.calibration(self._vision.default_model).similarity
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


async def _source_first(
    source: Coroutine[None, None, list[Face]], target: Coroutine[None, None, list[Face]]
) -> tuple[list[Face], list[Face]]:
    """Work on both at once; what is wrong with the source is told whatever the target is like."""
    targeting = asyncio.ensure_future(target)
    try:
        faces = await _some(source)
    except BaseException:
        targeting.cancel()
        await asyncio.gather(targeting, return_exceptions=True)
        raise
    return faces, await targeting
