"""Loading, catching up and forgetting whole groups."""

import asyncio
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from app.domain.errors import GroupNotFound
from app.domain.values import FaceRow, Group, GroupChanges, ModelVersion
from app.index.faiss_indexes import FaissIndexes

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
        self.lock = threading.Lock()

    def changes(self, group: Group, after_version: int) -> GroupChanges:
        with self.lock:
            self.reads.append((group.row, after_version))
        time.sleep(self.delay)
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

    loading = asyncio.create_task(indexes.nearest(group(1, 10), slow.vectors[0], 1))
    await asyncio.sleep(0.05)
    await asyncio.wait_for(indexes.nearest(group(2, 10), slow.vectors[0], 1), timeout=1.2)

    assert not loading.done()
    await loading
    indexes.close()


async def test_the_group_used_longest_ago_leaves_when_memory_is_short(log):
    one = 10 * (DIMENSION * 4 + 108)
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
    held = indexes._index_of(1)._flat
    assert held.ntotal == 10

    indexes.forget(1)
    indexes.close()

    assert not held.reconstruct_n(0, 10).any()
