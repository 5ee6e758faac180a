"""The bodies of requests: how long one may be, how slowly it may come, how much of them is kept."""

import asyncio

from fastapi import Request

from app.domain.errors import BodiesFull, FaceError, InvalidParameter
from app.domain.stages import Stage, Timed


class Bodies:
    """What all requests together may hold: `memory` bytes; each has `seconds` to arrive."""

    def __init__(self, *, memory: int = 256 * 1024 * 1024, seconds: float = 30.0) -> None:
        self.seconds = seconds
        self._memory = self.free = memory

    @property
    def held(self) -> int:
        """Bytes kept just now."""
        return self._memory - self.free


class Body:
    """The body of one request. What it holds counts until `forget`."""

    def __init__(self, bodies: Bodies, request: Request) -> None:
        self._bodies = bodies
        self._request = request
        self._held = 0

    async def read(self, limit: int, too_long: FaceError) -> bytes:
        """The whole body, read no further than `limit` bytes.

        Raises:
            FaceError: `too_long`, when there is more.
            InvalidParameter: it came too slowly.
            BodiesFull: other bodies have the memory.
        """
        try:
            with Timed(Stage.BODY):
                async with asyncio.timeout(self._bodies.seconds):
                    return await self._read(limit, too_long)
        except TimeoutError:
            raise InvalidParameter("the body came too slowly") from None

    def forget(self) -> None:
        """The request is answered."""
        self._bodies.free += self._held
        self._held = 0

    async def _read(self, limit: int, too_long: FaceError) -> bytes:
        chunks, length = [], 0
        async for chunk in self._request.stream():
            length += len(chunk)
            if length > limit:
                raise too_long
            self._hold(len(chunk))
            chunks.append(chunk)
        return b"".join(chunks)  # no copy where one chunk was all

    def _hold(self, count: int) -> None:
        if count > self._bodies.free:
            raise BodiesFull
        self._bodies.free -= count
        self._held += count
