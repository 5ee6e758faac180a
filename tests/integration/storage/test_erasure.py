"""What is erased is gone: from rows, from files, and for whoever restores an older copy."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import URL, select, text

from app.domain.errors import GroupNotFound, StoreUnavailable, UnknownAppKey
from app.domain.values import Group
from app.index.faiss_indexes import FaissIndexes
from app.index.following import Follower
from app.storage.corruption import Corruption
from app.storage.erasures import Erasures
from app.storage.faces import SqlFaceStore
from app.storage.groups import SqlGroupStore
from app.storage.hints import Hints
from app.storage.keys import SqlKeyRegistry
from app.storage.ledger import Erased, Ledger
from app.storage.relaxed import RelaxedGroups
from app.storage.tables import deletions, erasures, faces, groups
from app.storage.upkeep import Upkeep
from tests.integration.storage.opened import Storage, new_face, new_faces

AT_ONCE = timedelta(0)


@pytest.fixture
def ledger(storage: Storage, tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "erasures.jsonl", storage.vault.database_id)


@pytest.fixture
def noting(storage: Storage, ledger: Ledger) -> Erasures:
    """The stores of `storage` remember what they erase in `ledger`."""
    noting = Erasures(storage.database, ledger)
    storage.groups = SqlGroupStore(storage.database, storage.vault, noting.remember)
    storage.faces = SqlFaceStore(storage.database, storage.vault, Corruption(), noting.remember)
    return noting


def sealed(storage: Storage) -> list[bytes]:
    """Every sealed vector, oldest first."""
    query = select(faces.c.sealed_vector).order_by(faces.c.row)
    return list(storage.database.read_now(lambda c: c.scalars(query).all()))


def files_holding(url: URL, secrets: list[bytes]) -> set[str]:
    folder = Path(str(url.database)).parent
    contents = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {name for name, c in contents.items() for s in secrets if s[13:45] in c}


async def test_an_erasure_is_in_the_ledger_when_it_is_answered(
    storage: Storage, noting: Erasures, ledger: Ledger
):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    [face] = await storage.faces.add(group, [new_face()], quota=10)

    await storage.faces.delete(group, face.face_id.upper())
    after_face = [(e.kind, e.row, e.name) for e in ledger.read()]
    await storage.groups.delete(tenant, group.id)

    assert after_face == [(Erased.FACE, group.row, face.face_id)]
    assert [(e.kind, e.row, e.name) for e in ledger.read()] == [
        *after_face,
        (Erased.GROUP, group.row, group.created.isoformat()),
    ]


async def test_what_was_written_is_not_noted_any_longer_and_never_written_twice(
    storage: Storage, noting: Erasures, ledger: Ledger
):
    group = await storage.group(await storage.tenant())
    for face in await storage.faces.add(group, new_faces(3), quota=10):
        await storage.faces.delete(group, face.face_id)

    assert storage.count(erasures) == 3
    assert noting.sweep() == 3
    assert noting.sweep() == 0
    assert storage.count(erasures) == 0
    assert len(ledger.read()) == 3


async def test_a_note_that_a_crash_kept_from_the_ledger_is_written_by_the_next_server(
    storage: Storage, ledger: Ledger
):
    group = await storage.group(await storage.tenant())
    [face] = await storage.faces.add(group, [new_face()], quota=10)
    await storage.faces.delete(group, face.face_id)  # these stores remember nothing themselves
    next_server = Erasures(storage.database, ledger)

    too_early = next_server.sweep()
    settled = next_server.sweep(patience=AT_ONCE)

    assert (too_early, settled) == (0, 1)
    assert [erasure.name for erasure in ledger.read()] == [face.face_id]


@pytest.mark.parametrize("years", [-30, 30])
async def test_a_note_by_a_clock_that_was_wrong_is_written_all_the_same(
    storage: Storage, ledger: Ledger, years: int
):
    group = await storage.group(await storage.tenant())
    [face] = await storage.faces.add(group, [new_face()], quota=10)
    await storage.faces.delete(group, face.face_id)
    then = datetime.now(UTC) + timedelta(days=365 * years)
    storage.database.write_now(lambda c: c.execute(erasures.update().values(at=then)))

    Erasures(storage.database, ledger).sweep()

    assert [erasure.name for erasure in ledger.read()] == [face.face_id]


async def test_a_ledger_that_cannot_be_written_is_no_success_and_is_made_good_later(
    storage: Storage, noting: Erasures, ledger: Ledger
):
    group = await storage.group(await storage.tenant())
    [face] = await storage.faces.add(group, [new_face()], quota=10)
    ledger.path.mkdir()

    with pytest.raises(StoreUnavailable):
        await storage.faces.delete(group, face.face_id)
    ledger.path.rmdir()
    noting.sweep(patience=AT_ONCE)

    assert [erasure.name for erasure in ledger.read()] == [face.face_id]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_no_byte_of_an_erased_record_stays_in_a_file(
    storage: Storage, noting: Erasures, url: URL
):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    other = await storage.group(tenant, "other")
    stored = await storage.faces.add(group, new_faces(300), quota=1_000)
    await storage.faces.add(other, new_faces(50), quota=1_000)
    records = sealed(storage)
    storage.database.scrub_now()
    assert files_holding(url, records) == {"facereco.db"}

    rng = np.random.default_rng(7)
    gone = rng.permutation(300)[:200].tolist()
    for number in gone:
        await storage.faces.delete(group, stored[number].face_id)
        if number % 10 == 0:  # pages are filled and rearranged in between
            await storage.faces.add(group, [new_face(1_000 + number)], quota=1_000)
    await storage.groups.delete(tenant, "other")
    assert "facereco.db-wal" in files_holding(url, records)
    Upkeep(storage.database, noting).settle()

    assert files_holding(url, [records[n] for n in gone] + records[300:]) == set()
    kept = [records[n] for n in range(300) if n not in gone]
    assert len(kept) == 100
    assert all(files_holding(url, [record]) == {"facereco.db"} for record in kept)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_overwriting_waits_for_no_reader_and_is_made_good_later(
    storage: Storage, noting: Erasures, url: URL
):
    group = await storage.group(await storage.tenant())
    [face] = await storage.faces.add(group, [new_face()], quota=10)
    [record] = sealed(storage)
    upkeep = Upkeep(storage.database, noting)

    def while_somebody_reads(connection):
        connection.execute(select(groups)).all()
        storage.database.write_now(
            lambda c: c.execute(text("DELETE FROM faces WHERE row = :row"), {"row": face.row})
        )
        upkeep.settle()
        return files_holding(url, [record])

    held = storage.database.snapshot_now(while_somebody_reads)
    upkeep.settle()

    assert held
    assert files_holding(url, [record]) == set()


async def held_by(index: FaissIndexes, storage: Storage, group: Group) -> set[int]:
    found = await index.nearest(await storage.as_it_is(group), new_face(0).embedding, 1_000)
    return {neighbour.row for neighbour in found}


async def test_an_index_behind_the_news_that_was_dropped_starts_anew(
    storage: Storage, noting: Erasures
):
    group = await storage.group(await storage.tenant())
    stored = await storage.faces.add(group, new_faces(12), quota=100)
    behind = FaissIndexes(storage.changes, memory_limit=10**9, workers=1)
    current = FaissIndexes(storage.changes, memory_limit=10**9, workers=1)
    assert await held_by(behind, storage, group) == {face.row for face in stored}
    for face in stored[:8]:
        await storage.faces.delete(group, face.face_id)
    assert await held_by(current, storage, group) == {face.row for face in stored[8:]}

    Upkeep(storage.database, noting, kept_deletions=3).compact()
    await storage.faces.delete(group, stored[8].face_id)

    assert storage.count(deletions) == 4
    assert storage.changes.changes(group, 1).is_whole
    assert not storage.changes.changes(group, 9).is_whole
    left = {face.row for face in stored[9:]}
    assert await held_by(behind, storage, group) == left
    assert await held_by(current, storage, group) == left
    behind.close()
    current.close()


async def test_news_is_kept_until_there_is_twice_as_much_of_it_as_needed(
    storage: Storage, noting: Erasures
):
    group = await storage.group(await storage.tenant())
    for face in await storage.faces.add(group, new_faces(6), quota=100):
        await storage.faces.delete(group, face.face_id)

    Upkeep(storage.database, noting, kept_deletions=3).compact()

    assert storage.count(deletions) == 6


async def test_a_deleted_key_takes_its_groups_their_faces_and_their_data_keys_along(
    storage: Storage, noting: Erasures, ledger: Ledger
):
    keys = SqlKeyRegistry(storage.database, storage.vault, noting.remember)
    issued, other = await keys.create("gate", "v1.0"), await keys.create("other", "v1.0")
    for group_id in ("staff", "guests"):
        await storage.faces.add(await storage.group(issued.tenant, group_id), new_faces(3), quota=9)
    kept = await storage.group(other.tenant, "staff")
    await storage.faces.add(kept, new_faces(2), quota=9)

    assert await keys.delete("gate") == 2

    with pytest.raises(UnknownAppKey):
        await keys.authenticate(issued.app_key)
    assert (storage.count(groups), storage.count(faces)) == (1, 2)
    assert [key.tenant.name for key in await keys.list()] == ["other"]
    assert [erasure.kind for erasure in ledger.read()] == [Erased.GROUP, Erased.GROUP, Erased.KEY]
    again = await keys.create("gate", "v1.0")  # the name is free, and the number is another
    assert again.tenant.id > other.tenant.id
    with pytest.raises(UnknownAppKey):
        await keys.delete("nobody")


async def test_what_another_server_changed_or_erased_leaves_memory_without_a_search(
    storage: Storage,
):
    tenant = await storage.tenant()
    group, gone = await storage.group(tenant), await storage.group(tenant, "gone")
    stored = await storage.faces.add(group, new_faces(5), quota=10)
    await storage.faces.add(gone, new_faces(5), quota=10)
    index = FaissIndexes(storage.changes, memory_limit=10**9, workers=1)
    await held_by(index, storage, group)
    await held_by(index, storage, gone)
    follower = Follower(index, storage.changes.standing, lambda _: None)
    await storage.faces.delete(group, stored[0].face_id)
    await storage.groups.delete(tenant, "gone")

    await follower.follow()

    assert index.loaded() == [group.row]
    old = replace(group, version=1)  # a search that asks for nothing newer
    found = await index.nearest(old, new_face(0).embedding, 10)
    assert {neighbour.row for neighbour in found} == {face.row for face in stored[1:]}
    index.close()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_hint_wakes_who_waits_and_a_lost_connection_is_made_again(storage: Storage):
    group = await storage.group(await storage.tenant())
    hints = Hints(storage.database)
    hints.wait(1.0)  # makes the connection

    def waited() -> float:
        began = time.monotonic()
        hints.wait(10.0)
        return time.monotonic() - began

    waiting = asyncio.create_task(asyncio.to_thread(waited))
    await asyncio.sleep(0.2)
    await storage.faces.add(group, new_faces(1), quota=10)
    assert await waiting < 5.0

    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )
    assert storage.database.read_now(lambda c: c.scalars(cut).all()) == [True]
    await asyncio.to_thread(hints.wait, 0.01)  # notices
    await asyncio.to_thread(hints.wait, 0.01)  # listens anew
    waiting = asyncio.create_task(asyncio.to_thread(waited))
    await asyncio.sleep(0.2)
    await storage.faces.add(group, new_faces(1), quota=10)
    assert await waiting < 5.0
    hints.close()


async def test_relaxed_reads_are_late_by_less_than_a_second(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    now = 100.0
    relaxed = RelaxedGroups(storage.groups, clock=lambda: now)
    assert (await relaxed.get(tenant, group.id)).version == 0
    await storage.faces.add(group, new_faces(1), quota=10)

    now = 100.89
    assert (await relaxed.get(tenant, group.id)).version == 0
    now = 100.91
    assert (await relaxed.get(tenant, group.id)).version == 1
    await storage.groups.delete(tenant, group.id)
    now = 101.9
    with pytest.raises(GroupNotFound):
        await relaxed.get(tenant, group.id)


async def test_who_was_deleted_from_a_group_is_known_before_and_after_the_sweep(
    storage: Storage, noting: Erasures
):
    tenant = await storage.tenant()
    group, other = await storage.group(tenant), await storage.group(tenant, "guests")
    kept, gone = await storage.faces.add(group, new_faces(2), quota=10)
    [elsewhere] = await storage.faces.add(other, new_faces(1), quota=10)
    await storage.faces.delete(group, gone.face_id)
    await storage.faces.delete(other, elsewhere.face_id)

    before = await noting.of_group(group)
    noting.sweep(patience=AT_ONCE)

    assert before == {gone.face_id}
    assert await noting.of_group(group) == {gone.face_id}
    assert kept.face_id not in before


async def test_who_was_deleted_is_known_without_a_line_in_the_ledger(storage: Storage):
    group = await storage.group(await storage.tenant())
    [gone] = await storage.faces.add(group, new_faces(1), quota=10)
    await storage.faces.delete(group, gone.face_id)

    nowhere = Ledger(Path("/nowhere/erasures.jsonl"), storage.vault.database_id)

    assert await Erasures(storage.database, nowhere).of_group(group) == {gone.face_id}
