"""Finding the faces of a picture."""

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


class DetectFaces:
    """Opens a picture and finds its faces, largest first."""

    def __init__(self, images: ImageSource, vision: Vision) -> None:
        self._images = images
        self._vision = vision

    async def __call__(
        self,
        reference: ImageReference,
        limits: ImageLimits,
        wanted: Wanted,
        model: ModelVersion | None = None,
    ) -> list[Face]:
        """The faces with what is `wanted` of each. Raises `ImageError`, `ImageTooSmall`."""
        image = await self._images.open(reference, limits)
        return await self._vision.analyze(image, wanted, model)


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
