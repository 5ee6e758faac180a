"""An index over a real database, and what an audit of the two finds."""

import numpy as np
import pytest
from sqlalchemy import update

from app.domain.values import FaceFilter, FaceRow, Group
from app.index import audit as auditing
from app.index.audit import IndexAudit
from app.index.faiss_indexes import FaissIndexes
from app.index.group_index import GroupIndex
from app.storage.tables import faces
from tests.integration.storage.opened import Storage, new_face, new_faces

FACES = 25


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(auditing, "PAGE", 10)
    monkeypatch.setattr(auditing, "REST", 0.0)


@pytest.fixture
def indexes(storage: Storage):
    opened = FaissIndexes(storage.changes, memory_limit=10**9, workers=1)
    yield opened
    opened.close()


@pytest.fixture
async def group(storage: Storage) -> Group:
    made = await storage.group(await storage.tenant())
    await storage.faces.add(made, new_faces(FACES), quota=100)
    return made


async def loaded(storage: Storage, indexes: FaissIndexes, group: Group) -> GroupIndex:
    """The index itself, for a test to break."""
    [standing] = storage.changes.standing([group.row])
    await indexes.nearest(standing, new_face().embedding, 1)
    return indexes._lanes[group.row].index


async def nearest(storage: Storage, indexes: FaissIndexes, group: Group, seed: int) -> float:
    [standing] = storage.changes.standing([group.row])
    [best, *_] = await indexes.nearest(standing, new_face(seed).embedding, 1)
    return best.cosine


async def test_an_index_that_holds_what_the_database_holds_is_left_alone(
    storage: Storage, indexes: FaissIndexes, group: Group
):
    index = await loaded(storage, indexes, group)
    [first, *_] = await storage.faces.page(group, None, 1, FaceFilter())
    await storage.faces.delete(group, first.face_id)
    await storage.faces.add(group, new_faces(12, seed=100), quota=100)
    audit = IndexAudit(indexes, storage.changes)

    await audit.round()

    assert audit.rebuilt == 0
    assert indexes._lanes[group.row].index is index
    assert len(index) == FACES - 1 + 12


def one_bit(index: GroupIndex) -> None:
    assert index._vectors is not None
    index._vectors.filled.view(np.uint32)[2, 3] ^= 1


def one_missing(index: GroupIndex) -> None:
    index.discard(FaceRow(int(index._rows[12])))


def one_twice(index: GroupIndex) -> None:
    assert index._vectors is not None
    index._vectors.room(1)[0] = index._vectors.filled[0]
    index._vectors.keep(1)
    index._number(np.asarray([10_000], dtype=np.int64))


def two_exchanged(index: GroupIndex) -> None:
    assert index._vectors is not None
    index._vectors.filled[[4, 5]] = index._vectors.filled[[5, 4]]


@pytest.mark.parametrize("drift", [one_bit, one_missing, one_twice, two_exchanged])
async def test_planted_drift_is_found_counted_and_healed(
    storage: Storage, indexes: FaissIndexes, group: Group, drift
):
    drift(await loaded(storage, indexes, group))
    audit = IndexAudit(indexes, storage.changes)

    await audit.round()
    await audit.round()

    assert audit.rebuilt == 1
    assert len(indexes._lanes[group.row].index) == FACES
    cosines = [await nearest(storage, indexes, group, seed) for seed in range(FACES)]
    assert cosines == pytest.approx([1.0] * FACES, abs=1e-6)


async def test_a_record_that_never_opened_is_no_drift_and_one_that_was_changed_is(
    storage: Storage, indexes: FaissIndexes, group: Group
):
    records = await storage.faces.page(group, None, 2, FaceFilter())
    spoil(storage, records[0].row)
    await loaded(storage, indexes, group)
    audit = IndexAudit(indexes, storage.changes)

    await audit.round()
    before = audit.rebuilt
    spoil(storage, records[1].row)
    await audit.round()

    assert (before, audit.rebuilt) == (0, 1)
    assert len(indexes._lanes[group.row].index) == FACES - 2


async def test_a_group_deleted_meanwhile_does_not_end_the_audit(
    storage: Storage, indexes: FaissIndexes, group: Group
):
    other = await storage.group(await storage.tenant("others"))
    await storage.faces.add(other, new_faces(3), quota=10)
    await loaded(storage, indexes, group)
    one_bit(await loaded(storage, indexes, other))
    indexes._lanes.move_to_end(other.row)
    [tenant] = [key.tenant for key in await storage.keys.list() if key.tenant.name == "team"]
    await storage.groups.delete(tenant, group.id)
    audit = IndexAudit(indexes, storage.changes)

    await audit.round()

    assert audit.rebuilt == 1


def spoil(storage: Storage, row: FaceRow) -> None:
    changed = update(faces).where(faces.c.row == row).values(sealed_vector=b"\x01" + bytes(300))
    storage.database.write_now(lambda c: c.execute(changed))
