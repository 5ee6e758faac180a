"""The pictures of requests: base64 or a URL in, upright pixels out, off the event loop."""

import asyncio
from concurrent.futures import Executor
from typing import Protocol

from app.domain.errors import ImageTooLarge
from app.domain.values import (
    Base64Image,
    Image,
    ImageLimits,
    ImageReference,
    ImageUrl,
    UploadedImage,
)
from app.intake.base64_bytes import decode_base64
from app.intake.decoding import decode


class Fetcher(Protocol):
    """Fetches what lies at a URL, under rules of its own."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """Raises `InvalidImageUrl`, `ImageTimeout`, `ImageTooLarge`."""
        ...


class Intake:
    """Satisfies `ImageSource`; each picture is one job for `workers`, from base64 to pixels.

    Threads are enough to use every core: Pillow and the base64 decoder release the interpreter's
    lock. A job whose request has gone before it began is dropped.
    """

    def __init__(self, downloads: Fetcher, workers: Executor) -> None:
        self._downloads = downloads
        self._workers = workers

    async def fetch(self, reference: ImageReference, limits: ImageLimits) -> ImageReference:
        if not isinstance(reference, ImageUrl):
            return reference
        return UploadedImage(await self._downloads.fetch(reference.url, max_bytes=limits.max_bytes))

    async def open(self, reference: ImageReference, limits: ImageLimits) -> Image:
        loop = asyncio.get_running_loop()
        match reference:
            case Base64Image(text):
                return await loop.run_in_executor(self._workers, _open_base64, text, limits)
            case ImageUrl():
                return await self.open(await self.fetch(reference, limits), limits)
            case UploadedImage(data):
                return await loop.run_in_executor(self._workers, _open_upload, data, limits)

    def close(self) -> None:
        """Drop what waits and let what runs finish; afterwards nothing can be opened."""
        self._workers.shutdown(wait=True, cancel_futures=True)


def _open_base64(text: str, limits: ImageLimits) -> Image:
    return decode(decode_base64(text, max_bytes=limits.max_bytes), limits)


def _open_upload(data: bytes, limits: ImageLimits) -> Image:
    if len(data) > limits.max_bytes:
        raise ImageTooLarge
    return decode(data, limits)
