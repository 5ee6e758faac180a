"""The pictures of requests: base64 or a URL in, upright pixels out, off the event loop."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Protocol, TypeAlias, TypeVar

from app.domain.errors import ImageTooLarge, InternalError, WorkersBusy
from app.domain.stages import Stage, Timed
from app.domain.values import (
    Base64Image,
    Glance,
    Image,
    ImageLimits,
    ImageReference,
    ImageUrl,
    UploadedImage,
)
from app.intake.base64_bytes import decode_base64
from app.intake.decoding import Decoder, decode, glance

Seen = TypeVar("Seen")
Decode: TypeAlias = Callable[[bytes, ImageLimits, Decoder], Seen]


class Fetcher(Protocol):
    """Fetches what lies at a URL, under rules of its own."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """Raises `InvalidImageUrl`, `ImageTimeout`, `ImageTooLarge`."""
        ...


class Intake:
    """Satisfies `ImageSource`; each picture is one job for `workers`, from base64 to pixels.

    Base64 and the gate run in these threads, which then wait for a decoder. At most `room` jobs
    wait or run; one whose request has gone before it began is dropped.
    """

    def __init__(
        self, downloads: Fetcher, decoder: Decoder, workers: Executor, *, room: int
    ) -> None:
        self._downloads = downloads
        self._decoder = decoder
        self._workers = workers
        self._room = threading.BoundedSemaphore(room)

    async def fetch(self, reference: ImageReference, limits: ImageLimits) -> ImageReference:
        if not isinstance(reference, ImageUrl):
            return reference
        with Timed(Stage.FETCH):
            file = await self._downloads.fetch(reference.url, max_bytes=limits.max_bytes)
        return UploadedImage(file)

    async def open(self, reference: ImageReference, limits: ImageLimits) -> Image:
        """Raises `WorkersBusy` at once when there is no room, as `ImageSource.open` else."""
        return await self._job(decode, reference, limits)

    async def glance(self, reference: ImageReference, limits: ImageLimits) -> Glance:
        """Raises as `open`."""
        return await self._job(glance, reference, limits)

    def close(self) -> None:
        """Drop what waits and let what runs finish; afterwards nothing can be opened."""
        self._workers.shutdown(wait=True, cancel_futures=True)

    async def _job(self, how: Decode[Seen], reference: ImageReference, limits: ImageLimits) -> Seen:
        file = await self.fetch(reference, limits)
        if not self._room.acquire(blocking=False):
            raise WorkersBusy
        # The caller's context goes along, so that stages and log lines find their request.
        work = self._workers.submit(copy_context().run, self._decoded, how, file, limits)
        work.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(work)

    def _decoded(self, how: Decode[Seen], file: ImageReference, limits: ImageLimits) -> Seen:
        with Timed(Stage.DECODE):
            data = _content(file, limits.max_bytes)
            if len(data) > limits.max_bytes:
                raise ImageTooLarge
            return how(data, limits, self._decoder)


def _content(file: ImageReference, max_bytes: int) -> bytes:
    match file:
        case Base64Image(text):
            return decode_base64(text, max_bytes=max_bytes)
        case UploadedImage(data):
            return data
        case ImageUrl():
            raise InternalError("a picture was to be decoded before it was fetched")
