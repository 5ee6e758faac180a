"""Follows the database in the background, so that what others erase leaves this memory too."""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from app.domain.errors import InternalError
from app.domain.values import Group
from app.index.faiss_indexes import FaissIndexes

EVERY = 1.0  # seconds, where no hint comes earlier

_log = structlog.stdlib.get_logger(__name__)


class Follower:
    """Brings loaded groups up to date, and forgets those that are gone.

    Searches do not depend on it. Both functions are called in a thread: `standing` tells which of
    some groups are still there, as they are now, and `wait` returns after the seconds given or
    earlier for a reason.
    """

    def __init__(
        self,
        indexes: FaissIndexes,
        standing: Callable[[Sequence[int]], Sequence[Group]],
        wait: Callable[[float], None],
    ) -> None:
        self._indexes = indexes
        self._standing = standing
        self._wait = wait
        self._followed = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the last round that succeeded."""
        return time.monotonic() - self._followed

    async def run(self) -> None:
        """Round after round, until cancelled."""
        while True:
            await asyncio.to_thread(self._wait, EVERY)
            try:
                await self.follow()
            except InternalError as error:
                _log.warning("following put off", detail=error.detail)

    async def follow(self) -> None:
        """One round. Raises `InternalError` when the database cannot be read."""
        if loaded := self._indexes.loaded():
            standing = await asyncio.to_thread(self._standing, loaded)
            await self._indexes.follow(loaded, standing)
        self._followed = time.monotonic()
