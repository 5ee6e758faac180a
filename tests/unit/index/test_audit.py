"""An audit of groups that change while it looks."""

import asyncio

import numpy as np
import pytest

from app.domain.digests import BEYOND_EVERY_ROW, DigestedPage, FacesDigest
from app.domain.errors import StoreUnavailable
from app.domain.values import FaceRow, Group
from app.index import audit as auditing
from app.index.audit import IndexAudit
from app.index.faiss_indexes import FaissIndexes
from tests.unit.index.test_faiss_indexes import Ledger, Log, group

VECTORS = Log(30).vectors


class Watched(Ledger):
    """A ledger that can be digested, and where something happens after it was."""

    def __init__(self) -> None:
        super().__init__()
        self.afterwards: list[int] = []
        self.broken: Exception | None = None

    def digest(self, group: Group, after: FaceRow, limit: int, key: bytes) -> DigestedPage:
        if self.broken is not None:
            raise self.broken
        with self.moment:
            rows = sorted(row for row in self.faces if row > after)[:limit]
            digest = FacesDigest(key)
            for row in rows:
                digest.add(row, self.faces[row])
            upto = FaceRow(rows[-1]) if len(rows) == limit else BEYOND_EVERY_ROW
            page = DigestedPage(self.version, upto, digest)
        if self.afterwards:
            self.remove(self.afterwards.pop())
        return page


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(auditing, "PAGE", 10)
    monkeypatch.setattr(auditing, "REST", 0.0)


@pytest.fixture
def ledger():
    filled = Watched()
    next(filled.rows)  # rows begin with 1
    for vector in VECTORS:
        filled.add(vector)
    return filled


@pytest.fixture
def indexes(ledger):
    opened = FaissIndexes(ledger, memory_limit=10_000_000, workers=2)
    yield opened
    opened.close()


async def test_faces_that_leave_while_it_looks_are_no_drift(indexes, ledger):
    await indexes.nearest(group(1, ledger.version), VECTORS[0], 1)
    ledger.afterwards = [7, 8, 25]
    audit = IndexAudit(indexes, ledger)

    await audit.round()

    assert audit.rebuilt == 0
    assert ledger.afterwards == []


async def test_a_face_erased_from_memory_before_its_change_is_read_is_no_drift(indexes, ledger):
    class Erasing(IndexAudit):
        async def _look(self, group: Group, after: FaceRow) -> tuple[bool, FaceRow | None]:
            if 5 in ledger.faces:
                ledger.afterwards = [5]
                await indexes.discard(1, FaceRow(5))
            return await super()._look(group, after)

    await indexes.nearest(group(1, ledger.version), VECTORS[0], 1)
    audit = Erasing(indexes, ledger)

    await audit.round()

    assert audit.rebuilt == 0


async def test_searches_during_a_rebuild_are_right(indexes, ledger):
    await indexes.nearest(group(1, ledger.version), VECTORS[0], 1)
    indexes._lanes[1].index._vectors.filled[:] = np.roll(VECTORS, 1, axis=0)
    audit = IndexAudit(indexes, ledger)
    rows: list[int] = []

    async def search() -> None:
        while not audit.rebuilt:  # noqa: ASYNC110 - to begin in the midst of it
            await asyncio.sleep(0)
        for row in range(1, 31):
            found = await indexes.nearest(group(1, ledger.version), VECTORS[row - 1], 1)
            rows.append(found[0].row)

    await asyncio.gather(audit.round(), search())

    assert audit.rebuilt == 1
    assert rows == list(range(1, 31))


async def test_a_database_that_is_away_is_asked_again_in_the_next_round(indexes, ledger):
    await indexes.nearest(group(1, ledger.version), VECTORS[0], 1)
    indexes._lanes[1].index._vectors.filled[3] = 0.0
    audit = IndexAudit(indexes, ledger)
    ledger.broken = StoreUnavailable()

    await audit.round()
    ledger.broken = None
    before = audit.rebuilt
    await audit.round()

    assert (before, audit.rebuilt) == (0, 1)
