"""Loading, catching up and forgetting whole groups."""

import asyncio
import itertools
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from app.domain.errors import GroupNotFound, StoreUnavailable
from app.domain.values import (
    FaceRow,
    Group,
    GroupChanges,
    ModelVersion,
    Neighbour,
    Room,
    new_matrix,
)
from app.index.faiss_indexes import USUAL_DIMENSION, FaissIndexes
from app.index.group_index import GroupIndex, Question, bytes_per_face
from tests.unit.index.ranking import brute_force

DIMENSION = 8


def group(row: int, version: int) -> Group:
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return Group(row, 1, f"group-{row}", ModelVersion("m"), version, 0, created)


class Log:
    """A change log in memory that counts who asks."""

    def __init__(self, faces: int = 10, *, delay: float = 0.0) -> None:
        rng = np.random.default_rng(3)
        raw = rng.normal(size=(faces, DIMENSION)).astype(np.float32)
        self.vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        self.reads: list[tuple[int, int]] = []
        self.gone: set[int] = set()
        self.delay = delay
        self.slow_groups: set[int] = set()
        self.broken: Exception | None = None
        self.lock = threading.Lock()

    def changes(self, group: Group, after_version: int, room: Room = new_matrix) -> GroupChanges:
        with self.lock:
            self.reads.append((group.row, after_version))
        time.sleep(1.5 if group.row in self.slow_groups else self.delay)
        if self.broken is not None:
            raise self.broken
        if group.row in self.gone:
            raise GroupNotFound
        fresh = np.arange(after_version, len(self.vectors), dtype=np.int64)
        none = np.empty(0, np.int64)
        return GroupChanges(len(self.vectors), fresh, self.vectors[fresh], none)


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def indexes(log):
    opened = FaissIndexes(log, memory_limit=10_000_000, workers=2)
    yield opened
    opened.close()


async def test_a_group_is_read_on_first_use_and_then_kept(indexes, log):
    found = [await indexes.nearest(group(1, 10), log.vectors[4], 1) for _ in range(3)]

    assert [best.row for best, *_ in found] == [4, 4, 4]
    assert log.reads == [(1, 0)]


async def test_a_search_sees_what_the_database_holds_when_the_index_is_behind(indexes, log):
    await indexes.nearest(group(1, 10), log.vectors[0], 1)
    newcomer = -log.vectors.sum(axis=0, keepdims=True)
    newcomer /= np.linalg.norm(newcomer)
    log.vectors = np.vstack([log.vectors, newcomer])

    found = await indexes.nearest(group(1, 11), newcomer[0], 1)

    assert found[0].row == 10
    assert log.reads == [(1, 0), (1, 10)]


async def test_many_searches_at_once_read_a_group_once():
    slow = Log(delay=0.05)
    indexes = FaissIndexes(slow, memory_limit=10_000_000, workers=8)

    await asyncio.gather(*(indexes.nearest(group(1, 10), slow.vectors[0], 1) for _ in range(8)))

    assert slow.reads == [(1, 0)]
    indexes.close()


async def test_loading_one_group_does_not_hold_up_another():
    slow = Log(delay=0.0)
    indexes = FaissIndexes(slow, memory_limit=10_000_000, workers=2)
    await indexes.nearest(group(2, 10), slow.vectors[0], 1)
    slow.delay = 1.5

    loading = [
        asyncio.create_task(indexes.nearest(group(row, 10), slow.vectors[0], 1))
        for row in range(3, 11)
    ]
    await asyncio.sleep(0.05)
    await asyncio.wait_for(indexes.nearest(group(2, 10), slow.vectors[0], 1), timeout=1.2)

    assert not any(task.done() for task in loading)
    slow.delay = 0.0
    await asyncio.gather(*loading)
    indexes.close()


async def test_nor_does_loading_hold_up_another_that_has_to_catch_up():
    slow = Log()
    indexes = FaissIndexes(slow, memory_limit=10_000_000, workers=1)
    await indexes.nearest(group(2, 10), slow.vectors[0], 1)
    slow.slow_groups = {1}
    slow.vectors = np.vstack([slow.vectors, slow.vectors[:1]])

    loading = asyncio.create_task(indexes.nearest(group(1, 11), slow.vectors[0], 1))
    await asyncio.sleep(0.05)
    found = await asyncio.wait_for(indexes.nearest(group(2, 11), slow.vectors[0], 1), timeout=1.2)

    assert {neighbour.row for neighbour in found} == {0, 10}
    assert not loading.done()
    await loading
    indexes.close()


async def test_the_group_used_longest_ago_leaves_when_memory_is_short(log):
    index = GroupIndex()
    index.apply(log.changes(group(1, 10), 0))
    one = index.nbytes
    log.reads.clear()
    indexes = FaissIndexes(log, memory_limit=2 * one, workers=1)
    for row in (1, 2, 1, 3):
        await indexes.nearest(group(row, 10), log.vectors[0], 1)

    assert indexes.nbytes <= 2 * one
    await indexes.nearest(group(1, 10), log.vectors[0], 1)
    await indexes.nearest(group(2, 10), log.vectors[0], 1)

    assert [row for row, _ in log.reads] == [1, 2, 3, 2]
    indexes.close()


async def test_a_forgotten_group_is_read_anew(indexes, log):
    await indexes.nearest(group(1, 10), log.vectors[0], 1)

    indexes.forget(1)
    await indexes.nearest(group(1, 10), log.vectors[0], 1)

    assert log.reads == [(1, 0), (1, 0)]


async def test_a_group_deleted_meanwhile_is_not_found_and_leaves_nothing_behind(indexes, log):
    log.gone.add(1)

    with pytest.raises(GroupNotFound):
        await indexes.nearest(replace(group(1, 10)), log.vectors[0], 1)

    assert indexes.nbytes == 0


async def test_a_discarded_face_is_found_no_more_and_a_search_reads_nothing(indexes, log):
    await indexes.nearest(group(1, 10), log.vectors[0], 1)

    await indexes.discard(1, FaceRow(4))
    found = await indexes.nearest(group(1, 10), log.vectors[4], 10)

    assert {neighbour.row for neighbour in found} == set(range(10)) - {4}
    assert log.reads == [(1, 0)]


async def test_a_face_discarded_while_the_group_loads_does_not_stay(log):
    log.delay = 0.2
    indexes = FaissIndexes(log, memory_limit=10_000_000, workers=2)
    loading = asyncio.create_task(indexes.nearest(group(1, 10), log.vectors[0], 1))
    await asyncio.sleep(0.05)

    await indexes.discard(1, FaceRow(4))
    found = await indexes.nearest(group(1, 10), log.vectors[4], 10)

    await loading
    assert 4 not in {neighbour.row for neighbour in found}
    indexes.close()


async def test_discarding_from_a_group_that_is_not_loaded_loads_nothing(indexes, log):
    await indexes.discard(1, FaceRow(4))

    assert log.reads == []


async def test_vectors_of_a_forgotten_group_are_overwritten(indexes, log):
    await indexes.nearest(group(1, 10), log.vectors[0], 1)
    held = indexes._lanes[1].index._vectors.filled
    assert held.any()

    indexes.forget(1)
    await asyncio.gather(*indexes._overwriting)

    assert not held.any()


async def test_searches_that_come_while_one_runs_are_answered_together(indexes, log, monkeypatch):
    batches: list[int] = []
    search = GroupIndex.search

    def noted(index: GroupIndex, questions: list[Question]) -> list[list[Neighbour]]:
        batches.append(len(questions))
        time.sleep(0.02)
        return search(index, questions)

    monkeypatch.setattr(GroupIndex, "search", noted)
    monkeypatch.setattr("app.index.faiss_indexes.INLINE_VECTORS", 0)
    found = await asyncio.gather(
        *(indexes.nearest(group(1, 10), log.vectors[row], 1) for row in range(10))
    )

    assert [best.row for best, *_ in found] == list(range(10))
    assert sum(batches) == 10
    assert len(batches) <= 2


async def test_who_gave_up_waiting_leaves_the_others_their_answers():
    slow = Log(delay=0.1)
    indexes = FaissIndexes(slow, memory_limit=10_000_000, workers=1)
    first, second, third = (
        asyncio.create_task(indexes.nearest(group(1, 10), slow.vectors[row], 1)) for row in range(3)
    )
    await asyncio.sleep(0.02)

    first.cancel()
    second.cancel()

    assert (await third)[0].row == 2
    assert first.cancelled()
    indexes.close()


async def test_a_database_that_fails_is_told_to_all_who_wait_and_the_next_search_works(log):
    indexes = FaissIndexes(log, memory_limit=10_000_000, workers=1)
    log.broken = StoreUnavailable()

    told = await asyncio.gather(
        *(indexes.nearest(group(1, 10), log.vectors[0], 1) for _ in range(3)),
        return_exceptions=True,
    )
    log.broken = None
    found = await indexes.nearest(group(1, 10), log.vectors[3], 1)

    assert [type(error) for error in told] == [StoreUnavailable] * 3
    assert found[0].row == 3
    indexes.close()


async def test_room_is_made_before_a_group_is_loaded_not_after():
    class Watching(Log):
        def changes(
            self, group: Group, after_version: int, room: Room = new_matrix
        ) -> GroupChanges:
            held.append(indexes.nbytes)
            return super().changes(group, after_version, room)

    held: list[int] = []
    log = Watching()
    one = 10 * bytes_per_face(USUAL_DIMENSION)
    indexes = FaissIndexes(log, memory_limit=one + 1, workers=1)
    for row in range(1, 6):
        await indexes.nearest(replace(group(row, 10), face_count=10), log.vectors[0], 1)

    assert max(held) <= one + 1
    indexes.close()


class Ledger:
    """A change log in which faces come and go; the truth that an index has to show."""

    def __init__(self) -> None:
        self.version = 0
        self.faces: dict[int, np.ndarray] = {}
        self.added: dict[int, int] = {}
        self.removed: dict[int, int] = {}
        self.rows = itertools.count()
        self.moment = threading.Lock()

    def add(self, vector: np.ndarray) -> None:
        with self.moment:
            self.version += 1
            row = next(self.rows)
            self.faces[row] = vector
            self.added[row] = self.version

    def remove(self, row: int) -> None:
        with self.moment:
            self.version += 1
            del self.faces[row]
            self.removed[row] = self.version

    def changes(self, group: Group, after_version: int, room: Room = new_matrix) -> GroupChanges:
        with self.moment:
            fresh = [row for row in self.faces if self.added[row] > after_version]
            gone = [
                row
                for row, version in self.removed.items()
                if version > after_version >= self.added[row]
            ]
            vectors = room(len(fresh), DIMENSION)
            for place, row in enumerate(fresh):
                vectors[place] = self.faces[row]
            return GroupChanges(
                self.version, np.asarray(fresh, np.int64), vectors, np.asarray(gone, np.int64)
            )


POOL = Log(40).vectors


class LifeOfAGroup(RuleBasedStateMachine):
    """Whatever is added, deleted, forgotten or pushed out: a search shows what the ledger holds."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.ledger = Ledger()
        self.other = Ledger()
        self.other.add(POOL[0])
        self.indexes = FaissIndexes(self, memory_limit=12 * bytes_per_face(DIMENSION), workers=1)

    def changes(self, group: Group, after_version: int, room: Room = new_matrix) -> GroupChanges:
        ledger = self.ledger if group.row == 1 else self.other
        return ledger.changes(group, after_version, room)

    @rule(picks=st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=20))
    def add(self, picks):
        for pick in picks:
            self.ledger.add(POOL[pick])

    @precondition(lambda self: self.ledger.faces)
    @rule(pick=st.integers(0, 1_000))
    def remove(self, pick):
        rows = list(self.ledger.faces)
        self.ledger.remove(rows[pick % len(rows)])

    @precondition(lambda self: self.ledger.faces)
    @rule(pick=st.integers(0, 1_000))
    def erase(self, pick):
        rows = list(self.ledger.faces)
        gone = rows[pick % len(rows)]
        self.ledger.remove(gone)
        self.runner.run(self.indexes.discard(1, FaceRow(gone)))

    @rule()
    def forget(self):
        async def forget() -> None:
            self.indexes.forget(1)

        self.runner.run(forget())

    @rule()
    def use_another_group(self):
        self.runner.run(self.indexes.nearest(group(2, self.other.version), POOL[0], 1))

    @rule(pick=st.integers(0, len(POOL) - 1), limit=st.integers(1, 50), count=st.integers(1, 6))
    def search(self, pick, limit, count):
        queries = [POOL[(pick + number) % len(POOL)] for number in range(count)]

        async def all_at_once() -> list[list[Neighbour]]:
            now = group(1, self.ledger.version)
            asked = (self.indexes.nearest(now, query, limit) for query in queries)
            return await asyncio.gather(*asked)

        for query, found in zip(queries, self.runner.run(all_at_once()), strict=True):
            assert [n.row for n in found] == brute_force(self.ledger.faces, query, limit)

    def teardown(self):
        self.indexes.close()
        self.runner.close()


TestLifeOfAGroup = LifeOfAGroup.TestCase
TestLifeOfAGroup.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


async def test_searches_during_changes_never_see_a_half_moved_vector(monkeypatch):
    monkeypatch.setattr("app.index.faiss_indexes.INLINE_VECTORS", 0)
    ledger = Ledger()
    vectors = Log(300).vectors
    for vector in vectors:
        ledger.add(vector)
    indexes = FaissIndexes(ledger, memory_limit=10_000_000, workers=4)
    wrong: list[Neighbour] = []

    async def look() -> None:
        for _ in range(100):
            best = (await indexes.nearest(group(1, ledger.version), vectors[299], 1))[0]
            if best.row != 299 or best.cosine < 0.999:
                wrong.append(best)

    async def delete() -> None:
        for row in range(200):
            ledger.remove(row)
            await asyncio.sleep(0)

    await asyncio.gather(look(), look(), look(), delete())

    assert wrong == []
    left = await indexes.nearest(group(1, ledger.version), vectors[299], 300)
    assert {neighbour.row for neighbour in left} == set(range(200, 300))
    indexes.close()
