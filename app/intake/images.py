"""The pictures of requests: base64 or a URL in, upright pixels out."""

from dataclasses import dataclass
from typing import Protocol

from app.domain.errors import ImageTooLarge, InternalError
from app.domain.ports import Picture
from app.domain.stages import Stage, Timed
from app.domain.values import (
    Base64Image,
    Glance,
    Image,
    ImageLimits,
    ImageReference,
    ImageUrl,
    Unopened,
    UploadedImage,
)
from app.intake.base64_bytes import decode_base64
from app.intake.decoding import Decoder, decode, glance


class Fetcher(Protocol):
    """Fetches what lies at a URL, under rules of its own."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """Raises `InvalidImageUrl`, `ImageTimeout`, `ImageTooLarge`."""
        ...


class Intake:
    """Satisfies `ImageSource`. Base64, the gate and the decoder wait until somebody looks."""

    def __init__(self, downloads: Fetcher, decoder: Decoder) -> None:
        self._downloads = downloads
        self._decoder = decoder

    async def fetch(self, reference: ImageReference, limits: ImageLimits) -> ImageReference:
        if not isinstance(reference, ImageUrl):
            return reference
        with Timed(Stage.FETCH):
            file = await self._downloads.fetch(reference.url, max_bytes=limits.max_bytes)
        return UploadedImage(file)

    def picture(self, file: ImageReference, limits: ImageLimits) -> Picture:
        return File(file, limits, self._decoder)


@dataclass(frozen=True, slots=True, eq=False)
class File:
    """A picture in a file; satisfies `Picture`."""

    file: ImageReference
    limits: ImageLimits
    decoder: Decoder

    @property
    def unopened(self) -> Unopened | None:
        return None if isinstance(self.file, ImageUrl) else Unopened(self.file, self.limits)

    def whole(self) -> Image:
        with Timed(Stage.DECODE):
            return decode(self._data(), self.limits, self.decoder)

    def glance(self) -> Glance:
        with Timed(Stage.DECODE):
            return glance(self._data(), self.limits, self.decoder)

    def _data(self) -> bytes:
        data = _content(self.file, self.limits.max_bytes)
        if len(data) > self.limits.max_bytes:
            raise ImageTooLarge
        return data


def _content(file: ImageReference, max_bytes: int) -> bytes:
    match file:
        case Base64Image(text):
            return decode_base64(text, max_bytes=max_bytes)
        case UploadedImage(data):
            return data
        case ImageUrl():
            raise InternalError("a picture was to be decoded before it was fetched")
