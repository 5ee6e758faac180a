"""The faces of each group, vectors sealed; every change bumps the group's version."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    insert,
    literal_column,
    select,
    update,
)

from app.domain.errors import FaceNotFound, FaceQuotaExceeded, GroupNotFound, RecordCorrupt
from app.domain.faults import FaultPoint, reached
from app.domain.values import (
    Box,
    Embedding,
    FaceFilter,
    FaceRecord,
    FaceRow,
    Group,
    Identity,
    NewFace,
    Tenant,
)
from app.storage.corruption import Corruption
from app.storage.database import Database
from app.storage.driving import Change, Values
from app.storage.erasures import Noted, Remember, later, note
from app.storage.groups import GROUP_COLUMNS, as_group
from app.storage.hints import hint
from app.storage.ledger import Erased
from app.storage.reading import Lookup
from app.storage.tables import BIGINT, deletions, faces, groups
from app.storage.text import is_storable
from app.storage.vault import GroupCipher, Place, Sealed, Vault

_COLUMNS = (
    faces.c.row,
    faces.c.face_id,
    faces.c.image_id,
    faces.c.external_image_id,
    faces.c.x0,
    faces.c.y0,
    faces.c.x1,
    faces.c.y1,
    faces.c.confidence,
)
PageQuery = Select[tuple[Any, ...]]

_PAGE: PageQuery = (
    select(*_COLUMNS)
    .where(faces.c.group_row == bindparam("group_row"), faces.c.row < bindparam("before"))
    .order_by(faces.c.row.desc())
    .limit(bindparam("limit"))
)
_KEY = (groups.c.tenant, groups.c.model_version, groups.c.key_id, groups.c.wrapped_key)
_WITH_VECTOR = (
    select(*_COLUMNS, faces.c.sealed_vector, *_KEY)
    .join(groups, groups.c.row == faces.c.group_row)
    .where(faces.c.group_row == bindparam("group_row"), faces.c.face_id == bindparam("face_id"))
)
_FIND_IN = Lookup(
    select(
        *(column.label(f"group_{column.name}") for column in GROUP_COLUMNS),
        *_COLUMNS,
        faces.c.sealed_vector,
        groups.c.key_id,
        groups.c.wrapped_key,
    )
    .select_from(groups)
    .outerjoin(
        faces,
        and_(faces.c.group_row == groups.c.row, faces.c.face_id == bindparam("face_id")),
    )
    .where(groups.c.tenant == bindparam("tenant"), groups.c.group_id == bindparam("group_id"))
)
_FEW = tuple(f"row_{number}" for number in range(20))
# Always so many, so that it is one statement: who asks for fewer asks for the last one again.
_FEW_RECORDS = Lookup(
    select(*_COLUMNS).where(
        faces.c.group_row == bindparam("group_row"),
        faces.c.row.in_(bindparam(name, type_=BIGINT) for name in _FEW),
    )
)
_RECORDS = select(*_COLUMNS).where(
    faces.c.group_row == bindparam("group_row"), faces.c.row.in_(bindparam("rows", expanding=True))
)
_LOCK_GROUP = (
    select(groups.c.version, groups.c.face_count, *_KEY)
    .where(groups.c.row == bindparam("group_row"))
    .with_for_update()
)
_CHANGE_GROUP = (
    update(groups)
    .where(groups.c.row == bindparam("group_row"))
    .values(version=bindparam("new_version"), face_count=bindparam("new_count"))
)
# Locks and changes at once, where all fit.
_GROW_GROUP = Change(
    update(groups)
    .where(
        groups.c.row == bindparam("group_row"),
        groups.c.face_count <= bindparam("quota") - bindparam("added"),
    )
    .values(
        version=groups.c.version + literal_column("1"),
        face_count=groups.c.face_count + bindparam("added"),
    )
    .returning(groups.c.version, groups.c.face_count, *_KEY)
)
_KNOWN = {
    by: select(faces.c[by.value]).where(
        faces.c.group_row == bindparam("group_row"),
        faces.c[by.value].in_(bindparam("ids", expanding=True)),
    )
    for by in Identity
}
_ADDED = (
    *(column.name for column in _COLUMNS if column is not faces.c.row),
    "group_row",
    "added_version",
    "sealed_vector",
)
_ADD_ONE = Change(insert(faces).returning(faces.c.row), _ADDED)
_ADD_SOME = insert(faces).returning(faces.c.row, sort_by_parameter_order=True)
_REMOVE = (
    delete(faces)
    .where(faces.c.group_row == bindparam("group_row"), faces.c.face_id == bindparam("face_id"))
    .returning(faces.c.row, faces.c.added_version)
)

_BEYOND_EVERY_ROW = 2**63 - 1
# Both databases take this many parameters in one statement.
_MAX_ROWS = 10_000


class SqlFaceStore:
    """Satisfies `FaceStore`. Face ids are lower-case text; others are looked up as such."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        corruption: Corruption,
        remember: Remember = later,
    ) -> None:
        self._database = database
        self._vault = vault
        self._corruption = corruption
        self._remember = remember

    async def add(self, group: Group, faces: Sequence[NewFace], *, quota: int) -> list[FaceRecord]:
        stored = await self._database.write(lambda c: self._add(c, group, faces, quota))
        reached(FaultPoint.REGISTER_AFTER_COMMIT)
        return stored

    async def add_missing(
        self, group: Group, faces: Sequence[NewFace], by: Identity, *, quota: int
    ) -> list[FaceRecord]:
        stored = await self._database.write(lambda c: self._add_missing(c, group, faces, by, quota))
        reached(FaultPoint.REGISTER_AFTER_COMMIT)
        return stored

    async def delete(self, group: Group, face_id: str) -> FaceRow:
        row, noted = await self._database.write(lambda c: erase_face(c, group.row, face_id))
        reached(FaultPoint.DELETE_FACE_AFTER_COMMIT)
        await self._remember([noted])
        return row

    async def page(
        self, group: Group, before: FaceRow | None, limit: int, only: FaceFilter
    ) -> list[FaceRecord]:
        if not all(is_storable(value) for value in astuple(only) if value is not None):
            return []
        page = _narrowed(_PAGE, only)
        behind = _BEYOND_EVERY_ROW if before is None else before
        bounds = {"group_row": group.row, "before": behind, "limit": limit}
        rows = await self._database.read(lambda c: c.execute(page, bounds).all())
        return [_record(row) for row in rows]

    async def find(self, group: Group, face_id: str) -> tuple[FaceRecord, Embedding]:
        return await self._database.read(lambda c: self._find(c, group, face_id))

    async def find_in(
        self, tenant: Tenant, group_id: str, face_id: str
    ) -> tuple[Group, FaceRecord, Embedding]:
        if not is_storable(group_id):
            raise GroupNotFound
        # No face has an id that cannot be stored, and the group is asked for first.
        face = face_id.lower() if is_storable(face_id) else ""
        key = {"tenant": tenant.id, "group_id": group_id, "face_id": face}
        for row in await self._database.look_up(_FIND_IN, key):
            return self._found_in(row)
        raise GroupNotFound

    async def records(self, group: Group, rows: Sequence[FaceRow]) -> Mapping[FaceRow, FaceRecord]:
        if len(rows) > len(_FEW):
            return await self._database.read(lambda c: _records(c, group, rows))
        wanted = (*rows, *[rows[-1]] * (len(_FEW) - len(rows))) if rows else ()
        key = {"group_row": group.row, **dict(zip(_FEW, wanted, strict=False))}
        found = map(_record, await self._database.look_up(_FEW_RECORDS, key) if rows else ())
        return {record.row: record for record in found}

    def _add(
        self, connection: Connection, group: Group, new: Sequence[NewFace], quota: int
    ) -> list[FaceRecord]:
        if new and (grown := _grown(connection, group.row, len(new), quota)):
            return self._insert_as(connection, grown, grown.version, new)
        state = _lock(connection, group.row)
        fitting = new[: max(0, quota - state.face_count)]
        if new and not fitting:
            raise FaceQuotaExceeded
        return self._insert(connection, state, fitting)

    def _add_missing(
        self,
        connection: Connection,
        group: Group,
        new: Sequence[NewFace],
        by: Identity,
        quota: int,
    ) -> list[FaceRecord]:
        # The lock comes first: from here on nobody else adds one.
        state = _lock(connection, group.row)
        ids = [_id_of(face, by) for face in new]
        there = {"group_row": group.row, "ids": ids}
        known = set(connection.execute(_KNOWN[by], there).scalars())
        missing = [face for face, own in zip(new, ids, strict=True) if own not in known]
        return self._insert(connection, state, missing[: max(0, quota - state.face_count)])

    def _insert(
        self, connection: Connection, state: "_State", new: Sequence[NewFace]
    ) -> list[FaceRecord]:
        if not new:
            return []
        version = _change(connection, state, added=len(new))
        return self._insert_as(connection, state, version, new)

    def _insert_as(
        self, connection: Connection, state: "_State", version: int, new: Sequence[NewFace]
    ) -> list[FaceRecord]:
        cipher = self._vault.cipher(state.place, state.wrapped)
        rows = [_columns(face, state.place.group_row, version, cipher) for face in new]
        numbers = _added(connection, rows)
        reached(FaultPoint.REGISTER_BEFORE_COMMIT)
        return [_stored(number, face) for number, face in zip(numbers, new, strict=True)]

    def _find(
        self, connection: Connection, group: Group, face_id: str
    ) -> tuple[FaceRecord, Embedding]:
        key = {"group_row": group.row, "face_id": _normal(face_id)}
        row = connection.execute(_WITH_VECTOR, key).first()
        if row is None:
            raise FaceNotFound
        place = Place(row.tenant, group.row, row.model_version)
        sealed = Sealed(row.key_id, row.wrapped_key)
        return _record(row), self._opened(place, sealed, row.face_id, row.sealed_vector)

    def _found_in(self, row: Values) -> tuple[Group, FaceRecord, Embedding]:
        group, face = as_group(row[: len(GROUP_COLUMNS)]), row[len(GROUP_COLUMNS) :]
        if face[0] is None:
            raise FaceNotFound
        record, (vector, key_id, wrapped_key) = _record(face), face[len(_COLUMNS) :]
        place = Place(group.tenant, group.row, group.model)
        sealed = Sealed(key_id, wrapped_key)
        return group, record, self._opened(place, sealed, record.face_id, vector)

    def _opened(self, place: Place, key: Sealed, face_id: str, vector: bytes) -> Embedding:
        try:
            return self._vault.cipher(place, key).open(face_id, vector)
        except RecordCorrupt:
            self._corruption.found(place.group_row, face_id)
            raise


def _narrowed(page: PageQuery, only: FaceFilter) -> PageQuery:
    only = replace(only, face_id=_lower(only.face_id), image_id=_lower(only.image_id))
    for column in (faces.c.face_id, faces.c.image_id, faces.c.external_image_id):
        wanted = getattr(only, column.name)
        if wanted is not None:
            page = page.where(column == wanted)
    return page


def _id_of(face: NewFace, by: Identity) -> str:
    return face.face_id.lower() if by is Identity.FACE else face.image_id


def _lower(made_id: str | None) -> str | None:
    return None if made_id is None else made_id.lower()


class _State(NamedTuple):
    """A group as its lock shows it."""

    version: int
    face_count: int
    place: Place
    wrapped: Sealed


def _lock(connection: Connection, group_row: int) -> _State:
    row = connection.execute(_LOCK_GROUP, {"group_row": group_row}).first()
    if row is None:
        raise GroupNotFound
    return _state(group_row, row)


def _grown(connection: Connection, group_row: int, added: int, quota: int) -> _State | None:
    """A group as it is with so many more, locked; None where it is gone, or not all fit."""
    key = {"group_row": group_row, "added": added, "quota": quota}
    row = _GROW_GROUP.first(connection, key)
    if row is None:
        return None
    hint(connection)
    return _state(group_row, row)


def _state(group_row: int, row: Values) -> _State:
    version, face_count, tenant, model_version, key_id, wrapped_key = row
    place = Place(tenant, group_row, model_version)
    return _State(version, face_count, place, Sealed(key_id, wrapped_key))


def _added(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
    """The numbers of rows that are new, in their order."""
    if len(rows) > 1:
        return connection.execute(_ADD_SOME, rows).scalars().all()
    return [added[0] for row in rows if (added := _ADD_ONE.first(connection, row))]


def _change(connection: Connection, state: _State, *, added: int) -> int:
    """Write the next version and count of a group that is locked; return the version."""
    row, version = state.place.group_row, state.version + 1
    hint(connection)
    connection.execute(
        _CHANGE_GROUP,
        {"group_row": row, "new_version": version, "new_count": state.face_count + added},
    )
    return version


def erase_face(connection: Connection, group_row: int, face_id: str) -> tuple[FaceRow, Noted]:
    """Remove a face and note it. Raises `FaceNotFound`, `GroupNotFound`."""
    state = _lock(connection, group_row)
    normal = _normal(face_id)
    key = {"group_row": group_row, "face_id": normal}
    gone = connection.execute(_REMOVE, key).first()
    if gone is None:
        raise FaceNotFound
    version = _change(connection, state, added=-1)
    connection.execute(
        insert(deletions),
        {
            "group_row": group_row,
            "face_row": gone.row,
            "added_version": gone.added_version,
            "version": version,
        },
    )
    noted = note(connection, Erased.FACE, group_row, normal)
    reached(FaultPoint.DELETE_FACE_BEFORE_COMMIT)
    return FaceRow(gone.row), noted


def _records(
    connection: Connection, group: Group, rows: Sequence[FaceRow]
) -> dict[FaceRow, FaceRecord]:
    found: dict[FaceRow, FaceRecord] = {}
    for start in range(0, len(rows), _MAX_ROWS):
        part = {"group_row": group.row, "rows": rows[start : start + _MAX_ROWS]}
        found.update((row.row, _record(row)) for row in connection.execute(_RECORDS, part))
    return found


def _normal(face_id: str) -> str:
    if not is_storable(face_id):
        raise FaceNotFound
    return face_id.lower()


def _columns(face: NewFace, group_row: int, version: int, cipher: GroupCipher) -> dict[str, Any]:
    face_id = face.face_id.lower()
    return {
        "group_row": group_row,
        "face_id": face_id,
        "image_id": face.image_id,
        "external_image_id": face.external_image_id,
        "x0": face.box.x0,
        "y0": face.box.y0,
        "x1": face.box.x1,
        "y1": face.box.y1,
        "confidence": face.confidence,
        "added_version": version,
        "sealed_vector": cipher.seal(face_id, face.embedding),
    }


def _stored(number: int, face: NewFace) -> FaceRecord:
    return FaceRecord(
        row=FaceRow(number),
        face_id=face.face_id.lower(),
        image_id=face.image_id,
        external_image_id=face.external_image_id,
        box=face.box,
        confidence=face.confidence,
    )


def _record(row: Values) -> FaceRecord:
    """What `_COLUMNS` hold, and perhaps more behind them."""
    number, face_id, image_id, external_image_id, x0, y0, x1, y1, confidence = row[: len(_COLUMNS)]
    return FaceRecord(
        row=FaceRow(number),
        face_id=face_id,
        image_id=image_id,
        external_image_id=external_image_id,
        box=Box(x0, y0, x1, y1),
        confidence=confidence,
    )
