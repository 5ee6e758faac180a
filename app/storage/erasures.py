"""Every erasure twice: noted in its own transaction, then in the ledger before it is answered.

The note makes the ledger tell exactly what was committed, whatever dies in between: a note that
never reached the ledger is found by a sweep and written then, by any server of the database.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select

from app.domain.values import Group
from app.storage.database import AnyRow, Database
from app.storage.ledger import Erased, Erasure, Ledger
from app.storage.tables import erasures

# A note this old was left by a server that died, or whose ledger could not be written.
PATIENCE = timedelta(seconds=5)
_BATCH = 1_000

_NOTES = select(erasures).order_by(erasures.c.seq).limit(_BATCH)
_OF_GROUP = select(erasures.c.name).where(
    erasures.c.kind == Erased.FACE.value, erasures.c.row == bindparam("row")
)
_SETTLE = delete(erasures).where(erasures.c.seq.in_(bindparam("settled", expanding=True)))


@dataclass(frozen=True, slots=True)
class Noted:
    """An erasure whose transaction has committed, with the number of its note."""

    seq: int
    erasure: Erasure


Remember = Callable[[Sequence[Noted]], Awaitable[None]]
"""Writes noted erasures where they outlive the database. Raises `StoreUnavailable`."""


async def later(_noted: Sequence[Noted]) -> None:
    """A `Remember` that leaves the notes to the next sweep."""


def note(connection: Connection, kind: Erased, row: int, name: str) -> Noted:
    """Note, in the transaction that erases it, that something is gone."""
    erasure = Erasure(kind, row, name, datetime.now(UTC))
    statement = insert(erasures).values(kind=kind.value, row=row, name=name, at=erasure.at)
    seq: int = connection.execute(statement.returning(erasures.c.seq)).scalar_one()
    return Noted(seq, erasure)


class Erasures:
    """Takes notes of one database to one ledger."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger
        self._written: set[int] = set()
        self._lock = threading.Lock()

    async def of_group(self, group: Group) -> frozenset[str]:
        """Ids of the faces that were deleted from `group`, as far as this data folder knows."""
        return await asyncio.to_thread(self._of_group, group.row)

    async def remember(self, noted: Sequence[Noted]) -> None:
        """See `Remember`."""
        await asyncio.to_thread(self._write, noted)

    def sweep(self, *, patience: timedelta = PATIENCE) -> int:
        """Write notes nobody else has written for `patience`, and drop those written.

        Blocking. Returns how many notes were dropped. Raises `StoreUnavailable`.
        """
        rows = self._database.read_now(lambda c: c.execute(_NOTES).all())
        if not rows:
            return 0
        now = datetime.now(UTC)
        # A note of the future was made by a clock that was wrong: nobody knows how old it is.
        fresh = {row.seq for row in rows if now - patience < row.at <= now}
        self._write([_noted(r) for r in rows if r.seq not in fresh | self._written])
        settled = self._written.intersection(row.seq for row in rows)
        if settled:
            self._database.write_now(lambda c: c.execute(_SETTLE, {"settled": sorted(settled)}))
        with self._lock:
            self._written -= settled
        return len(settled)

    def _of_group(self, row: int) -> frozenset[str]:
        # Notes first: what leaves them meanwhile is in the ledger by then.
        notes = self._database.read_now(
            lambda c: c.execute(_OF_GROUP, {"row": row}).scalars().all()
        )
        lines = self._ledger.read() if self._ledger.path.exists() else []
        return frozenset(notes).union(
            line.name for line in lines if line.kind is Erased.FACE and line.row == row
        )

    def _write(self, noted: Sequence[Noted]) -> None:
        if not noted:
            return
        self._ledger.append([one.erasure for one in noted])
        with self._lock:
            self._written.update(one.seq for one in noted)


def _noted(row: AnyRow) -> Noted:
    return Noted(row.seq, Erasure(Erased(row.kind), row.row, row.name, row.at))
