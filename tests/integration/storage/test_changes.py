import asyncio

import numpy as np
import psycopg
import pytest
from sqlalchemy import text, update

from app.domain.errors import GroupNotFound, StoreUnavailable
from app.domain.values import GroupChanges
from app.storage.changes import _COPY
from app.storage.tables import faces
from tests.integration.storage.opened import DIMENSION, Storage, in_threads, new_face, new_faces


async def test_an_empty_group_has_no_changes(storage: Storage):
    group = await storage.group(await storage.tenant())

    changes = storage.changes.changes(group, 0)

    assert (changes.version, len(changes.added), len(changes.vectors)) == (0, 0, 0)
    assert changes.added.dtype == np.int64
    assert changes.vectors.dtype == np.float32
    assert len(changes.removed) == 0


async def test_everything_is_there_from_the_beginning(storage: Storage):
    group = await storage.group(await storage.tenant())
    wanted = new_faces(30)
    first = await storage.faces.add(group, wanted[:10], quota=100)
    second = await storage.faces.add(group, wanted[10:], quota=100)

    changes = storage.changes.changes(group, 0)

    assert changes.version == 2
    assert changes.added.tolist() == [record.row for record in first + second]
    assert changes.vectors.shape == (30, DIMENSION)
    np.testing.assert_array_equal(changes.vectors, [face.embedding for face in wanted])


async def test_only_what_came_and_went_after_a_version_is_told(storage: Storage):
    group = await storage.group(await storage.tenant())
    old = await storage.faces.add(group, new_faces(3), quota=10)
    await storage.faces.delete(group, old[0].face_id)
    [new] = await storage.faces.add(group, [face := new_face(9)], quota=10)
    await storage.faces.delete(group, old[2].face_id)

    changes = storage.changes.changes(group, 2)

    assert changes.version == 4
    assert changes.added.tolist() == [new.row]
    np.testing.assert_array_equal(changes.vectors, [face.embedding])
    assert changes.removed.tolist() == [old[2].row]


async def test_a_face_that_came_and_went_in_between_is_in_neither(storage: Storage):
    group = await storage.group(await storage.tenant())
    [passing] = await storage.faces.add(group, [new_face()], quota=10)
    await storage.faces.delete(group, passing.face_id)

    from_nothing = storage.changes.changes(group, 0)
    from_its_time = storage.changes.changes(group, 1)

    assert from_nothing.version == from_its_time.version == 2
    assert (len(from_nothing.added), len(from_nothing.removed)) == (0, 0)
    assert from_its_time.removed.tolist() == [passing.row]


async def test_whoever_is_up_to_date_hears_of_nothing(storage: Storage):
    group = await storage.group(await storage.tenant())
    await storage.faces.add(group, new_faces(3), quota=10)

    changes = storage.changes.changes(group, 1)

    assert (changes.version, len(changes.added), len(changes.removed)) == (1, 0, 0)


async def test_a_group_that_is_gone_is_told(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    await storage.groups.delete(tenant, group.id)
    await storage.group(tenant, group.id)

    with pytest.raises(GroupNotFound):
        storage.changes.changes(group, 0)


async def test_following_the_changes_under_load_ends_with_what_is_stored(storage: Storage):
    group = await storage.group(await storage.tenant())
    held: dict[int, bytes] = {}
    version = 0

    def follow(changes: GroupChanges) -> int:
        for row in changes.removed.tolist():
            del held[row]
        for row, vector in zip(changes.added.tolist(), changes.vectors, strict=True):
            assert row not in held
            held[row] = vector.tobytes()
        return changes.version

    async def work(number: int) -> None:
        nonlocal version
        for turn in range(10):
            if number == 0:
                version = follow(storage.changes.changes(group, version))
                await asyncio.sleep(0.005)
                continue
            stored = await storage.faces.add(group, new_faces(3, seed=turn), quota=1_000)
            await storage.faces.delete(group, stored[turn % 3].face_id)

    results = in_threads(5, work)
    version = follow(storage.changes.changes(group, version))

    assert results == [None] * 5
    assert version == 80
    fresh = storage.changes.changes(group, 0)
    expected = dict(zip(fresh.added.tolist(), (v.tobytes() for v in fresh.vectors), strict=True))
    assert held == expected
    assert len(held) == 80


async def test_a_large_group_is_whole_with_one_record_that_does_not_open_left_out(
    storage: Storage, monkeypatch
):
    monkeypatch.setattr("app.storage.changes._BATCH", 20)
    group = await storage.group(await storage.tenant())
    wanted = new_faces(50)
    stored = await storage.faces.add(group, wanted, quota=100)
    spoilt = update(faces).where(faces.c.row == stored[7].row).values(sealed_vector=b"\x01" * 9)
    storage.database.write_now(lambda c: c.execute(spoilt))

    changes = storage.changes.changes(group, 0)

    kept = [number for number in range(50) if number != 7]
    assert changes.added.tolist() == [stored[number].row for number in kept]
    np.testing.assert_array_equal(changes.vectors, [wanted[n].embedding for n in kept])
    assert storage.corrupt == 1


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_load_cut_off_in_its_midst_is_told_as_the_store_being_away(
    storage: Storage, monkeypatch
):
    monkeypatch.setattr("app.storage.changes._BATCH", 20)
    group = await storage.group(await storage.tenant())
    await storage.faces.add(group, new_faces(50), quota=100)

    def cut(count: int, dimension: int) -> np.ndarray:
        others = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        storage.database.write_now(lambda c: c.execute(others))
        raise psycopg.OperationalError

    with pytest.raises(StoreUnavailable):
        storage.changes.changes(group, 0, cut)

    assert len(storage.changes.changes(group, 0).added) == 50


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_load_may_take_longer_than_any_other_statement(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("app.storage.changes._BATCH", 20)
    group = await storage.group(await storage.tenant())
    await storage.faces.add(group, new_faces(50), quota=100)
    slow = _COPY.replace("ORDER BY", "AND pg_sleep(0.02) IS NOT NULL ORDER BY")
    monkeypatch.setattr("app.storage.changes._COPY", slow)
    snapshot = storage.database.snapshot_now

    def hurried(work):
        def first(connection):
            connection.execute(text("SET LOCAL statement_timeout = '300ms'"))
            return work(connection)

        return snapshot(first)

    monkeypatch.setattr(storage.database, "snapshot_now", hurried)

    assert len(storage.changes.changes(group, 0).added) == 50
