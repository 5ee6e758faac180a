"""What is erased is gone: from rows, from files, and for whoever restores an older copy."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import URL, select, text

from app.domain.errors import StoreUnavailable
from app.domain.values import Group
from app.index.faiss_indexes import FaissIndexes
from app.storage.corruption import Corruption
from app.storage.erasures import Erasures
from app.storage.faces import SqlFaceStore
from app.storage.groups import SqlGroupStore
from app.storage.ledger import Erased, Ledger
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
    now = storage.database.read_now(lambda c: c.execute(select(groups.c.version)).scalar_one())
    fresh = Group(group.row, group.tenant, group.id, group.model, now, 0, group.created)
    found = await index.nearest(fresh, new_face(0).embedding, 1_000)
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
