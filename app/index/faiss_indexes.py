"""Every group's index: loaded on first use, caught up before a search, bounded in memory."""

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import faiss

from app.domain.errors import GroupNotFound
from app.domain.ports import ChangeLog
from app.domain.values import Embedding, FaceRow, Group, Neighbour
from app.index.group_index import GroupIndex

# A search this small takes tens of microseconds, less than a hop to another thread and back.
INLINE_VECTORS = 2_000


class FaissIndexes:
    """Satisfies `FaceIndex`. `memory_limit` is in bytes; least recently used groups leave first.

    The group being searched always stays, even when it is larger than the limit alone.
    """

    def __init__(self, changes: ChangeLog, *, memory_limit: int, workers: int) -> None:
        self._changes = changes
        self._memory_limit = memory_limit
        self._loaded: OrderedDict[int, GroupIndex] = OrderedDict()
        self._lock = threading.Lock()
        # One thread a search: FAISS gains nothing from more on a single query, and this setting
        # counts only for the thread that makes it.
        self._pool = ThreadPoolExecutor(
            workers, "index", initializer=faiss.omp_set_num_threads, initargs=(1,)
        )

    async def nearest(
        self, group: Group, query: Embedding, limit: int, *, leave_out: FaceRow | None = None
    ) -> list[Neighbour]:
        """See `FaceIndex.nearest`. Raises `GroupNotFound` when the group is gone."""
        index = self._index_of(group.row)
        if index.version >= group.version and len(index) <= INLINE_VECTORS:
            return index.search(query, limit, leave_out)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._nearest, group, query, limit, leave_out)

    async def discard(self, group_row: int, face: FaceRow) -> None:
        """See `FaceIndex.discard`."""
        with self._lock:
            index = self._loaded.get(group_row)
        if index is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._pool, _discard, index, face)

    def forget(self, group_row: int) -> None:
        """See `FaceIndex.forget`. A search that runs finishes first, in its own thread."""
        with self._lock:
            index = self._loaded.pop(group_row, None)
        if index is not None:
            self._pool.submit(_overwrite, index)

    def close(self) -> None:
        """Wait for running searches and let every vector go."""
        self._pool.shutdown(cancel_futures=True)
        with self._lock:
            self._loaded.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of all loaded groups."""
        with self._lock:
            return sum(index.nbytes for index in self._loaded.values())

    def _nearest(
        self, group: Group, query: Embedding, limit: int, leave_out: FaceRow | None
    ) -> list[Neighbour]:
        index = self._index_of(group.row)
        self._catch_up(index, group)
        return index.search(query, limit, leave_out)

    def _index_of(self, group_row: int) -> GroupIndex:
        with self._lock:
            index = self._loaded.setdefault(group_row, GroupIndex())
            self._loaded.move_to_end(group_row)
            return index

    def _catch_up(self, index: GroupIndex, group: Group) -> None:
        # One loads, the others wait for that group alone and then find the work done.
        with index.catching_up:
            if index.version >= group.version:
                return
            try:
                index.apply(self._changes.changes(group, index.version))
            except GroupNotFound:
                self.forget(group.row)
                raise
        self._make_room(group.row)

    def _make_room(self, keep: int) -> None:
        with self._lock:
            used = sum(index.nbytes for index in self._loaded.values())
            for row in [row for row in self._loaded if row != keep]:
                if used <= self._memory_limit:
                    return
                used -= self._loaded.pop(row).nbytes


def _discard(index: GroupIndex, face: FaceRow) -> None:
    # A catch-up that runs may have read the database before the face left it.
    with index.catching_up:
        index.discard(face)


def _overwrite(index: GroupIndex) -> None:
    with index.catching_up:
        index.clear()
