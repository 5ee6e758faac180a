"""What an index reads to catch up with its group: one moment, decrypted straight into a matrix."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, bindparam, func, select
from sqlalchemy.dialects.postgresql import psycopg as postgresql_psycopg

from app.domain.digests import BEYOND_EVERY_ROW, DigestedPage, FacesDigest
from app.domain.errors import GroupNotFound, RecordCorrupt, StoreUnavailable
from app.domain.faults import FaultPoint, reached
from app.domain.values import FaceRow, Group, GroupChanges, Room, new_matrix
from app.storage.corruption import Corruption
from app.storage.database import BINARY, Database
from app.storage.groups import standing
from app.storage.tables import deletions, faces, groups
from app.storage.vault import GroupCipher, Place, Sealed, Vault

_GROUP = select(
    groups.c.version,
    groups.c.tenant,
    groups.c.model_version,
    groups.c.key_id,
    groups.c.wrapped_key,
    groups.c.compacted_version,
).where(groups.c.row == bindparam("group_row"))

_IS_NEW = (
    faces.c.group_row == bindparam("group_row"),
    faces.c.added_version > bindparam("after"),
)
_COUNT = select(func.count()).select_from(faces).where(*_IS_NEW)
# Rows grow with versions inside a group, so the index gives this order without sorting.
_ADDED = (
    select(faces.c.row, faces.c.face_id, faces.c.sealed_vector)
    .where(*_IS_NEW)
    .order_by(faces.c.added_version, faces.c.row)
)
_POSTGRES = postgresql_psycopg.dialect()  # type: ignore[no-untyped-call]
_COPY = f"COPY ({_ADDED.compile(dialect=_POSTGRES)}) TO STDOUT (FORMAT BINARY)"
_PATIENCE = "SET LOCAL statement_timeout = '5min'"
_REMOVED = (
    select(deletions.c.face_row)
    .where(
        deletions.c.group_row == bindparam("group_row"),
        deletions.c.version > bindparam("after"),
        deletions.c.added_version <= bindparam("after"),
    )
    .order_by(deletions.c.face_row)
)
_PAGE = (
    select(faces.c.row, faces.c.face_id, faces.c.sealed_vector)
    .where(faces.c.group_row == bindparam("group_row"), faces.c.row > bindparam("after"))
    .order_by(faces.c.row)
    .limit(bindparam("limit"))
)
# Enough to make the trips to PostgreSQL cheap; a few MB do not matter beside the matrix.
_BATCH = 2_000


class SqlChangeLog:
    """Satisfies `ChangeLog` and `FaceDigests`: blocking, so it is called off the event loop.

    Where nothing was added `vectors` has shape (0, 0). A group whose data key does not open has no
    readable face at all and raises `RecordCorrupt`.
    """

    def __init__(self, database: Database, vault: Vault, corruption: Corruption) -> None:
        self._database = database
        self._vault = vault
        self._corruption = corruption

    def changes(self, group: Group, after_version: int, room: Room = new_matrix) -> GroupChanges:
        def read(connection: Connection) -> GroupChanges:
            return self._changes(connection, group, after_version, room)

        try:
            return self._database.snapshot_now(read)
        except GroupNotFound:
            self._vault.forget(group.row)
            raise

    def standing(self, rows: Sequence[int]) -> list[Group]:
        """Those groups among `rows` that are still there, as they are now."""
        return self._database.read_now(lambda c: standing(c, rows))

    def _changes(
        self, connection: Connection, group: Group, after: int, room: Room
    ) -> GroupChanges:
        state = connection.execute(_GROUP, {"group_row": group.row}).first()
        if state is None:
            raise GroupNotFound
        # News of what left before is dropped: such an index starts from nothing.
        is_whole = after < state.compacted_version
        bounds = {"group_row": group.row, "after": 0 if is_whole else after}
        place = Place(state.tenant, group.row, state.model_version)
        cipher = self._vault.cipher(place, Sealed(state.key_id, state.wrapped_key))
        loading = _Loading(cipher, group.row, self._corruption, room)
        count = connection.execute(_COUNT, bounds).scalar_one()
        for row in _added(connection, bounds, count):
            loading.take(row, count)
        reached(FaultPoint.INDEX_LOADING)
        removed = connection.execute(_REMOVED, bounds).scalars().all()
        return GroupChanges(
            version=state.version,
            added=loading.rows(),
            vectors=loading.vectors(),
            removed=np.array(removed, dtype=np.int64),
            is_whole=is_whole,
        )

    def digest(self, group: Group, after: FaceRow, limit: int, key: bytes) -> DigestedPage:
        bounds = {"group_row": group.row, "after": after, "limit": limit}
        return self._database.snapshot_now(lambda c: self._digest(c, bounds, FacesDigest(key)))

    def _digest(
        self, connection: Connection, bounds: dict[str, int], digest: FacesDigest
    ) -> DigestedPage:
        state = connection.execute(_GROUP, bounds).first()
        if state is None:
            raise GroupNotFound
        place = Place(state.tenant, bounds["group_row"], state.model_version)
        cipher = self._vault.cipher(place, Sealed(state.key_id, state.wrapped_key))
        options = {BINARY: True}
        rows = connection.execute(_PAGE, bounds, execution_options=options).all()
        for row, face_id, record in rows:
            # What does not open was counted when it was loaded, and is in no index either.
            with suppress(RecordCorrupt):
                digest.add(row, cipher.open(face_id, record))
        more = len(rows) == bounds["limit"]
        upto = FaceRow(rows[-1].row) if more else BEYOND_EVERY_ROW
        return DigestedPage(state.version, upto, digest)


class _Loading:
    """Collects opened vectors in one matrix, leaving out what does not open."""

    def __init__(
        self, cipher: GroupCipher, group_row: int, corruption: Corruption, room: Room
    ) -> None:
        self._cipher = cipher
        self._group_row = group_row
        self._corruption = corruption
        self._room = room
        self._rows: list[int] = []
        self._matrix: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)
        self._bytes: NDArray[np.uint8] = np.empty((0, 0), dtype=np.uint8)

    def take(self, row: Sequence[Any], expected: int) -> None:
        """Open one row into the next line; the first sound record decides the dimension."""
        number, face_id, record = row
        try:
            if not self._rows:
                self._make_room(face_id, record, expected)
            self._cipher.open_into(face_id, record, self._bytes[len(self._rows)])
        except RecordCorrupt:
            self._corruption.found(self._group_row, face_id)
        else:
            self._rows.append(number)

    def rows(self) -> NDArray[np.int64]:
        return np.array(self._rows, dtype=np.int64)

    def vectors(self) -> NDArray[np.float32]:
        return self._matrix[: len(self._rows)]

    def _make_room(self, face_id: str, record: bytes, expected: int) -> None:
        dimension = len(self._cipher.open(face_id, record))
        self._matrix = self._room(expected, dimension)
        self._bytes = self._matrix.view(np.uint8)


def _added(connection: Connection, bounds: dict[str, int], count: int) -> Iterator[Sequence[Any]]:
    if count > _BATCH and connection.dialect.name == "postgresql":
        return _copied(connection, bounds)
    return _streamed(connection, _ADDED, bounds) if count else iter(())


def _streamed(
    connection: Connection, statement: "Select[*tuple[Any, ...]]", bounds: dict[str, int]
) -> Iterator[Sequence[Any]]:
    options = {"yield_per": _BATCH, BINARY: True}
    return iter(connection.execute(statement, bounds, execution_options=options))


def _copied(connection: Connection, bounds: dict[str, int]) -> Iterator[Sequence[Any]]:
    """What `_ADDED` selects from PostgreSQL, without a trip for each batch.

    The server sends on while we decrypt, which takes a third off a load.
    """
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    try:
        with driver.cursor() as cursor:
            # One statement from beginning to end: ours is the time it takes, not the server's.
            cursor.execute(_PATIENCE)
            with cursor.copy(_COPY, bounds) as copy:
                copy.set_types(("int8", "text", "bytea"))
                yield from copy.rows()
    except psycopg.Error as error:
        raise StoreUnavailable from error
