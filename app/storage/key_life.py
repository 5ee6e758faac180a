"""The life of the master keys: added, made primary, given all the work, switched off, destroyed.

Each step can be killed at any moment and run again. A key reaches the keyset before the database,
and the database before it becomes primary; it goes the other way round.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, bindparam, select, update

from app.domain.errors import InvalidParameter, RecordCorrupt
from app.domain.faults import FaultPoint, reached
from app.storage.database import AnyRow, Database
from app.storage.keyrings import KeysetSource
from app.storage.keysets import Keyset, KeyStatus
from app.storage.opening import accept, introduce
from app.storage.retirement import covered, demand_in_service, reinstate, retire, retired_keys
from app.storage.tables import groups, server
from app.storage.vault import Place, Sealed, Vault

# Data keys per transaction: few enough that a group being changed waits for milliseconds.
_BATCH = 100

_STALE = groups.c.key_id != bindparam("primary")
_NEXT = (
    select(
        groups.c.row,
        groups.c.tenant,
        groups.c.model_version,
        groups.c.key_id,
        groups.c.wrapped_key,
    )
    .where(_STALE, groups.c.row > bindparam("after"))
    .order_by(groups.c.row)
    .limit(_BATCH)
    .with_for_update()
)
_PUT = (
    update(groups)
    .where(groups.c.row == bindparam("group_row"))
    .values(wrapped_key=bindparam("record"), key_id=bindparam("key"))
)


@dataclass(frozen=True, slots=True)
class KeyState:
    """A master key as an operator may see it; `records` is how many it covers."""

    id: str
    status: KeyStatus
    created: str
    primary: bool
    retired: bool
    records: int


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many data keys moved to the primary key, and which groups' do not open."""

    moved: int
    failed: list[int]


class KeyLife:
    """Changes the keyset of a database that servers are running on."""

    def __init__(self, database: Database, vault: Vault, source: KeysetSource) -> None:
        self._database = database
        self._vault = vault
        self._source = source

    def status(self) -> list[KeyState]:
        """Every key of the keyset, in its order."""
        keyset = self._source.load()
        counts, retired = self._database.snapshot_now(lambda c: (covered(c), retired_keys(c)))
        return [
            KeyState(
                key.id,
                key.status,
                key.created,
                primary=key.id == keyset.primary,
                retired=key.id in retired,
                records=counts.get(key.id, 0),
            )
            for key in keyset.keys.values()
        ]

    def add(self) -> str:
        """Add a fresh key that is not primary yet; its id."""
        with self._source.changing():
            keyset, key_id = self._source.load().with_fresh_key()
            self._source.replace(keyset)
            introduce(self._database, keyset)
        return key_id

    def promote(self, key_id: str) -> None:
        """Wrap with this key from now on. Raises `InvalidParameter` unless it is in service."""
        with self._source.changing():
            keyset = self._source.load().with_primary(key_id)
            introduce(self._database, keyset)
            if key_id in self._database.snapshot_now(retired_keys):
                raise InvalidParameter(f"key {key_id} is out of service; enable it first")
            self._replace(keyset)

    def rewrap(self, progress: Callable[[int], None]) -> Rewrapped:
        """Cover everything with the primary key, a batch at a time; `progress` hears the sum."""
        self._database.write_now(self._rewrap_secret)
        moved, failed = 0, list[int]()
        for batch in self._batches():
            failed += [row for row, good in batch if not good]
            moved += sum(good for _, good in batch)
            progress(moved)
        return Rewrapped(moved, failed)

    def disable(self, key_id: str) -> None:
        """Switch a key off. Raises `InvalidParameter` when it is primary or covers anything."""
        with self._source.changing():
            keyset = self._source.load().with_status(key_id, KeyStatus.DISABLED)
            introduce(self._database, self._source.load())
            self._database.write_now(lambda c: retire(c, key_id))
            self._replace(keyset)

    def enable(self, key_id: str) -> None:
        """Take a key that was switched off back into service."""
        with self._source.changing():
            keyset = self._source.load().with_status(key_id, KeyStatus.ENABLED)
            self._replace(keyset)
            introduce(self._database, keyset)
            self._database.write_now(lambda c: reinstate(c, key_id))

    def destroy(self, key_id: str) -> None:
        """Forget a key's bytes for ever. Raises `InvalidParameter` unless it was switched off."""
        with self._source.changing():
            keyset = self._source.load()
            if keyset.known(key_id).status is KeyStatus.ENABLED:
                raise InvalidParameter(f"key {key_id} is in service; disable it first")
            self._database.write_now(lambda c: retire(c, key_id))
            self._replace(keyset.with_status(key_id, KeyStatus.DESTROYED))

    def _replace(self, keyset: Keyset) -> None:
        accept(self._database, keyset)
        self._source.replace(keyset)

    def _rewrap_secret(self, connection: Connection) -> None:
        primary = self._vault.primary
        used = select(server.c.key_id).with_for_update()
        if connection.execute(used).scalar_one() != primary:
            sealed = self._vault.rewrapped_secret()
            demand_in_service(connection, sealed.key_id)
            connection.execute(
                update(server), {"sealed_secret": sealed.record, "key_id": sealed.key_id}
            )

    def _batches(self) -> Iterator[list[tuple[int, bool]]]:
        after = 0
        while batch := self._database.write_now(partial(self._rewrap, after=after)):
            reached(FaultPoint.REWRAP_AFTER_COMMIT)
            after = batch[-1][0]
            yield batch

    def _rewrap(self, connection: Connection, after: int) -> list[tuple[int, bool]]:
        """The rows of a batch behind row `after`, and whether each could be moved."""
        primary = self._vault.primary
        demand_in_service(connection, primary)
        rows = connection.execute(_NEXT, {"primary": primary, "after": after}).all()
        moved = list(self._moved(rows))
        if moved:
            connection.execute(_PUT, moved)
        reached(FaultPoint.REWRAP_BEFORE_COMMIT)
        good = {put["group_row"] for put in moved}
        return [(row.row, row.row in good) for row in rows]

    def _moved(self, rows: "Sequence[AnyRow]") -> Iterator[dict[str, object]]:
        for row in rows:
            place = Place(row.tenant, row.row, row.model_version)
            try:
                sealed = self._vault.rewrapped_key(place, Sealed(row.key_id, row.wrapped_key))
            except RecordCorrupt:
                continue
            yield {"group_row": row.row, "record": sealed.record, "key": sealed.key_id}
