"""Look-ups on the loop, reads in threads that keep their connections, and what ends either."""

import asyncio
import sqlite3
import threading

import pytest
from sqlalchemy import text

from app.domain.errors import FaceNotFound, GroupNotFound, RecordCorrupt, StoreUnavailable
from app.domain.values import Group
from app.storage import reading, trips
from app.storage.tables import faces
from tests.integration.storage.opened import Storage, new_face, new_faces

CUT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


async def test_a_face_comes_with_its_group_as_it_is_now(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    wanted = new_face(3, external="ada")
    [stored, *_] = await storage.faces.add(group, [wanted, *new_faces(4)], quota=10)

    found, record, vector = await storage.faces.find_in(tenant, "staff", stored.face_id.upper())

    assert found == await storage.groups.get(tenant, "staff")
    assert (found.version, found.face_count) == (1, 5)
    assert record == stored
    assert vector.tobytes() == wanted.embedding.tobytes()


async def test_who_is_not_there_is_not_found_the_group_first(storage: Storage):
    tenant, other = await storage.tenant(), await storage.tenant("other")
    group = await storage.group(tenant)
    [stored] = await storage.faces.add(group, [new_face()], quota=10)
    await storage.group(other, "elsewhere")

    for group_id in ("missing", "elsewhere", "\ud800", ""):
        with pytest.raises(GroupNotFound):
            await storage.faces.find_in(tenant, group_id, stored.face_id)
    for face_id in ("missing", "\ud800", "", "a\0b"):
        with pytest.raises(FaceNotFound):
            await storage.faces.find_in(tenant, "staff", face_id)
    with pytest.raises(FaceNotFound):
        await storage.faces.find_in(other, "elsewhere", stored.face_id)


async def test_a_record_that_was_changed_is_counted_and_not_used(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    [stored] = await storage.faces.add(group, [new_face()], quota=10)
    broken = faces.update().values(sealed_vector=b"\x01" + bytes(300))
    storage.database.write_now(lambda c: c.execute(broken))

    with pytest.raises(RecordCorrupt):
        await storage.faces.find_in(tenant, "staff", stored.face_id)

    assert storage.corrupt == 1


@pytest.mark.parametrize("count", [0, 1, 19, 20, 21])
async def test_few_records_and_many_are_found_alike(storage: Storage, count: int):
    group = await storage.group(await storage.tenant())
    stored = await storage.faces.add(group, new_faces(25), quota=100)
    wanted = {record.row: record for record in stored[:count]}

    assert await storage.faces.records(group, list(wanted)) == wanted


@pytest.fixture
def threads(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Where reads were run that did not stay on the loop."""
    seen: set[str] = set()
    read = storage.database._readers.read

    def noted(work):
        seen.add(threading.current_thread().name)
        return read(work)

    monkeypatch.setattr(storage.database._readers, "read", noted)
    return seen


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_look_up_stays_on_the_loop_until_the_disk_makes_it_wait(
    storage: Storage, threads: set[str], monkeypatch: pytest.MonkeyPatch
):
    tenant = await storage.tenant()
    await storage.group(tenant)
    await storage.groups.get(tenant, "staff")
    before = set(threads)
    blocks = iter(range(100))
    monkeypatch.setattr(reading, "_LONG", 0.0)
    monkeypatch.setattr(reading, "_blocks_fetched", lambda: next(blocks))

    slow = await storage.groups.get(tenant, "staff")
    after = await storage.groups.get(tenant, "staff")

    assert before == set()
    assert slow == after
    assert len(threads) == 1


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_look_up_that_fails_on_the_loop_is_left_to_the_threads(
    storage: Storage, threads: set[str]
):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    glances = storage.database._glances
    assert glances is not None
    glances._connection().close()

    with pytest.raises(sqlite3.ProgrammingError):
        glances._connection().execute("SELECT 1")
    found = await storage.groups.get(tenant, "staff")
    again = await storage.groups.get(tenant, "staff")

    assert (found, again) == (group, group)
    assert len(threads) == 1


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_readers_whose_connections_were_cut_read_on(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    storage.database.write_now(lambda c: c.execute(CUT))

    assert [await storage.groups.get(tenant, "staff") for _ in range(20)] == [group] * 20


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_look_ups_that_come_together_share_trips_and_each_gets_its_own_rows(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    stored = await storage.faces.add(group, new_faces(20), quota=100)
    parties: list[int] = []
    fetched = trips._fetched

    def counted(party, connection):
        parties.append(len(party))
        return fetched(party, connection)

    monkeypatch.setattr(trips, "_fetched", counted)

    found, records = await asyncio.gather(
        asyncio.gather(*(storage.faces.find_in(tenant, "staff", f.face_id) for f in stored)),
        asyncio.gather(*(storage.faces.records(group, [f.row]) for f in stored)),
    )

    assert [record for _, record, _ in found] == stored
    assert records == [{face.row: face} for face in stored]
    assert sum(parties) == 40
    assert len(parties) <= 3


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_party_whose_connection_was_cut_travels_again(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)

    async def ask() -> list[Group]:
        return await asyncio.gather(*(storage.groups.get(tenant, "staff") for _ in range(30)))

    before = await ask()
    storage.database.write_now(lambda c: c.execute(CUT))
    after = await ask()

    assert before == after == [group] * 30


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_who_gives_up_waiting_for_a_trip_takes_nothing_from_the_others(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    asking = [asyncio.create_task(storage.groups.get(tenant, "staff")) for _ in range(10)]
    await asyncio.sleep(0)
    for task in asking[::2]:
        task.cancel()

    answers = await asyncio.gather(*asking, return_exceptions=True)

    assert answers[1::2] == [group] * 5
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_look_ups_of_a_database_that_is_gone_all_hear_of_it(storage: Storage):
    tenant = await storage.tenant()
    gone = text("ALTER TABLE groups RENAME TO elsewhere")
    storage.database.write_now(lambda c: c.execute(gone))

    answers = await asyncio.gather(
        *(storage.groups.get(tenant, "staff") for _ in range(5)), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [StoreUnavailable] * 5
