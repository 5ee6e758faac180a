"""Finding the faces of a picture."""

from contextlib import AbstractAsyncContextManager

from app.domain.errors import NoFaceFound
from app.domain.ports import Early, ImageSource, Vision
from app.domain.values import (
    Embedding,
    Face,
    ImageLimits,
    ImageReference,
    ModelVersion,
    Wanted,
)
from app.services.line import Line


class DetectFaces:
    """Opens a picture and finds its faces, largest first, when it is the caller's turn."""

    def __init__(self, images: ImageSource, vision: Vision, line: Line) -> None:
        self._images = images
        self._vision = vision
        self._line = line

    async def __call__(
        self,
        reference: ImageReference,
        limits: ImageLimits,
        wanted: Wanted,
        model: ModelVersion | None = None,
        *,
        early: Early | None = None,
    ) -> list[Face]:
        """The faces with what is `wanted` of each; see `Vision.analyze`.

        Raises `ImageError`, `ImageTooSmall`, `Overloaded`, `Abandoned`.
        """
        # A slow address keeps nobody else waiting: only what costs the machine stands in line.
        file = await self.fetch(reference, limits)
        async with self.turn():
            return await self.find(file, limits, wanted, model, early=early)

    async def fetch(self, reference: ImageReference, limits: ImageLimits) -> ImageReference:
        """The picture as a file, wherever it came from. Raises `ImageError`."""
        return await self._images.fetch(reference, limits)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """The caller's turn to `find`. Entering raises `Overloaded`, `Abandoned`."""
        return self._line.turn()

    async def find(
        self,
        file: ImageReference,
        limits: ImageLimits,
        wanted: Wanted,
        model: ModelVersion | None,
        *,
        early: Early | None = None,
    ) -> list[Face]:
        """What `__call__` does when it is the caller's turn."""
        picture = self._images.picture(file, limits)
        return await self._vision.analyze(picture, wanted, model, early=early)


def largest(faces: list[Face]) -> tuple[Face, Embedding]:
    """The first face and its vector. Raises `NoFaceFound`."""
    if not faces:
        raise NoFaceFound
    face = faces[0]
    return face, embedding_of(face)


def embedding_of(face: Face) -> Embedding:
    """The vector that was asked for with the face."""
    if face.embedding is None:
        raise ValueError("the face was found without asking for its vector")
    return face.embedding
