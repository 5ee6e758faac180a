"""Every group's index: loaded on first use, caught up before a search, bounded in memory."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from app.domain.digests import DigestedPage, FacesDigest
from app.domain.errors import GroupNotFound
from app.domain.ports import ChangeLog
from app.domain.stages import Stage, Timed
from app.domain.values import Embedding, FaceRow, Group, Neighbour
from app.index.group_index import GroupIndex, Question, bytes_per_face
from app.index.lanes import Answers, Lane, Waiting

T = TypeVar("T")

# A search this small takes tens of microseconds, less than a hop to another thread and back.
INLINE_VECTORS = 2_000
# Groups that load at a time. Opening records holds the interpreter most of the time, so more
# would only slow each other down, and everything else.
LOADING = 2
# Versions an index may be behind for its changes to be read in between two searches.
FEW_CHANGES = 100
# Until a first group has told: the values of most networks' vectors.
USUAL_DIMENSION = 512


@dataclass(slots=True)
class Moves:
    """What came into memory and left it since the start.

    `loads` of whole groups took `load_seconds` together. At `catch_ups` a group was behind the
    database, by `lag_versions` together. `evictions` made room for other groups.
    """

    loads: int = 0
    load_seconds: float = 0.0
    evictions: int = 0
    catch_ups: int = 0
    lag_versions: int = 0


class FaissIndexes:
    """Satisfies `FaceIndex`. `memory_limit` is in bytes; least recently used groups leave first.

    Groups that are being loaded or searched stay, even when they are larger than the limit alone.
    Lives on one event loop; vectors are read and searched in threads.
    """

    def __init__(self, changes: ChangeLog, *, memory_limit: int, workers: int) -> None:
        self._changes = changes
        self.memory_limit = memory_limit
        self.moves = Moves()
        self._lanes: OrderedDict[int, Lane] = OrderedDict()
        self._dimension = USUAL_DIMENSION
        self._overwriting: set[asyncio.Task[None]] = set()
        self._searching = ThreadPoolExecutor(workers, "index")
        # Rooms of their own, so that a load of seconds holds up no search of another group.
        self._loading = ThreadPoolExecutor(LOADING, "index-load")
        self._turn_to_load = asyncio.Semaphore(LOADING)

    async def nearest(
        self, group: Group, query: Embedding, limit: int, *, leave_out: FaceRow | None = None
    ) -> list[Neighbour]:
        """See `FaceIndex.nearest`. Raises `GroupNotFound` when the group is gone."""
        lane = self._lane_of(group)
        question = Question(query, limit, leave_out)
        with Timed(Stage.INDEX):
            if lane.idle and _is_current(lane.index, group) and len(lane.index) <= INLINE_VECTORS:
                return await lane.glance(group, question)
            return await lane.ask(group, question)

    async def discard(self, group_row: int, face: FaceRow) -> None:
        """See `FaceIndex.discard`."""
        lane = self._lanes.get(group_row)
        if lane is not None:
            # A catch-up that runs may have read the database before the face left it.
            async with lane.alone:
                lane.index.discard(face)

    def forget(self, group_row: int) -> None:
        """See `FaceIndex.forget`. A search that runs finishes first."""
        lane = self._lanes.pop(group_row, None)
        if lane is not None:
            task = asyncio.get_running_loop().create_task(self._overwrite(lane))
            self._overwriting.add(task)
            task.add_done_callback(self._overwriting.discard)

    def loaded(self) -> list[int]:
        """The groups in memory; not those that are only just being loaded."""
        return [row for row, lane in self._lanes.items() if lane.index.version]

    async def follow(self, rows: Sequence[int], standing: Sequence[Group]) -> None:
        """Catch up with what is `standing` of the groups `rows`, and forget the others.

        Raises `InternalError` when the database cannot be read.
        """
        for row in set(rows) - {group.row for group in standing}:
            self.forget(row)
        for group in standing:
            lane = self._lanes.get(group.row)
            if lane is not None and not _is_current(lane.index, group):
                async with lane.alone:
                    with suppress(GroupNotFound):
                        await self._catch_up(lane, group)

    def held(self) -> list[Group]:
        """The groups in memory as they were last asked for, least recently used first."""
        return [lane.group for lane in self._lanes.values() if lane.group and lane.index.version]

    def holds(self, group: Group) -> bool:
        """Whether the group is in memory."""
        return group.row in self._lanes

    async def digest(
        self, group: Group, page: DigestedPage, after: FaceRow, key: bytes
    ) -> FacesDigest | None:
        """What the index holds of the rows of `page`; None unless it is at the page's version."""
        lane = self._lanes.get(group.row)
        if lane is None:
            return None
        async with lane.alone:
            await self._catch_up(lane, replace(group, version=page.version))
            if lane.index.version != page.version:
                return None
            return await _in_thread(
                self._searching, lambda: lane.index.digest(after, page.upto, key)
            )

    async def rebuild(self, group: Group) -> None:
        """Load a group anew; searches of it wait until that is done."""
        lane = self._lanes.get(group.row)
        if lane is not None:
            async with lane.alone:
                await _in_thread(self._searching, lane.index.clear)
                await self._catch_up(lane, group)

    def close(self) -> None:
        """Wait for running searches and let every vector go."""
        for pool in (self._searching, self._loading):
            pool.shutdown(cancel_futures=True)
        self._lanes.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of all loaded groups, and of those that are loading."""
        return sum(lane.nbytes for lane in self._snapshot())

    @property
    def groups(self) -> int:
        """How many groups are in memory, or loading."""
        return len(self._lanes)

    @property
    def faces(self) -> int:
        """How many faces are in memory."""
        return sum(len(lane.index) for lane in self._snapshot())

    def _snapshot(self) -> list[Lane]:
        """The lanes of one moment: who counts them may do so in another thread."""
        return list(self._lanes.values())

    async def _overwrite(self, lane: Lane) -> None:
        async with lane.alone:
            await _in_thread(self._searching, lane.index.clear)

    def _lane_of(self, group: Group) -> Lane:
        lane = self._lanes.get(group.row)
        if lane is None:
            lane = self._lanes[group.row] = Lane(self._answer)
        self._lanes.move_to_end(group.row)
        lane.group = group
        return lane

    async def _answer(self, lane: Lane, batch: Sequence[Waiting]) -> Answers:
        newest = max((waiting.group for waiting in batch), key=lambda group: group.version)
        await self._catch_up(lane, newest)
        questions = [waiting.question for waiting in batch]
        return await _in_thread(self._searching, lambda: lane.index.search(questions))

    async def _catch_up(self, lane: Lane, group: Group) -> None:
        if _is_current(lane.index, group):
            return
        try:
            behind = group.version - lane.index.version
            if lane.index.version and behind <= FEW_CHANGES:
                self.moves.catch_ups += 1
                self.moves.lag_versions += behind
                await _in_thread(self._searching, lambda: self._read(lane.index, group))
            else:
                await self._load(lane, group)
        except GroupNotFound:
            if self._lanes.get(group.row) is lane:
                self.forget(group.row)
            raise
        self._dimension = lane.index.dimension or self._dimension
        self._make_room()

    async def _load(self, lane: Lane, group: Group) -> None:
        async with self._turn_to_load:
            # Room first: what leaves makes way for what comes, not after it.
            lane.reserved = group.face_count * bytes_per_face(self._dimension)
            self._make_room()
            began = time.perf_counter()
            try:
                await _in_thread(self._loading, lambda: self._read(lane.index, group))
            except BaseException:
                lane.index = GroupIndex()  # whatever was written of it is of no use
                raise
            finally:
                lane.reserved = 0
            self.moves.loads += 1
            self.moves.load_seconds += time.perf_counter() - began

    def _read(self, index: GroupIndex, group: Group) -> None:
        index.apply(self._changes.changes(group, index.version, index.room))

    def _make_room(self) -> None:
        used = self.nbytes
        for row, lane in list(self._lanes.items()):
            if used <= self.memory_limit:
                return
            if lane.idle:
                used -= self._lanes.pop(row).nbytes
                self.moves.evictions += 1


def _is_current(index: GroupIndex, group: Group) -> bool:
    return index.version >= group.version


async def _in_thread(pool: Executor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, work)
