"""Finding the faces of a picture."""

from contextlib import AbstractAsyncContextManager

from app.domain.errors import NoFaceFound
from app.domain.ports import ImageSource, Vision
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
    ) -> list[Face]:
        """The faces with what is `wanted` of each.

        Raises `ImageError`, `ImageTooSmall`, `Overloaded`, `Abandoned`.
        """
        # A slow address keeps nobody else waiting: only what costs the machine stands in line.
        file = await self.fetch(reference, limits)
        async with self.turn():
            return await self.find(file, limits, wanted, model)

    async def fetch(self, reference: ImageReference, limits: ImageLimits) -> ImageReference:
        """The picture as a file, wherever it came from. Raises `ImageError`."""
        return await self._images.fetch(reference, limits)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """The caller's turn to `find`. Entering raises `Overloaded`, `Abandoned`."""
        return self._line.turn()

    async def find(
        self, file: ImageReference, limits: ImageLimits, wanted: Wanted, model: ModelVersion | None
    ) -> list[Face]:
        """What `__call__` does when it is the caller's turn."""
        faces = None
        if not wanted.spoofing:  # what gives a photo of a photo away may be small
            glance = await self._images.glance(file, limits)
            if glance.is_whole:
                return await self._vision.analyze(glance.pixels, wanted, model)
            faces = await self._vision.glance(glance, wanted, model)
        if faces is None:
            image = await self._images.open(file, limits)
            faces = await self._vision.analyze(image, wanted, model)
        return faces


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
