"""The groups of each tenant, each with its own data key."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from app.domain.errors import (
    GroupExists,
    GroupNotFound,
    GroupQuotaExceeded,
    InvalidGroupId,
    UnknownAppKey,
)
from app.domain.faults import FaultPoint, reached
from app.domain.values import Group, ModelVersion, Tenant
from app.storage.database import Database
from app.storage.driving import Values
from app.storage.erasures import Noted, Remember, later, note
from app.storage.hints import hint
from app.storage.ledger import Erased
from app.storage.reading import Lookup
from app.storage.retirement import demand_in_service
from app.storage.tables import calibrations, deletions, faces, groups, tenants
from app.storage.text import is_storable
from app.storage.vault import Place, Vault

GROUP_COLUMNS = (
    groups.c.row,
    groups.c.tenant,
    groups.c.group_id,
    groups.c.model_version,
    groups.c.version,
    groups.c.face_count,
    groups.c.created,
)
_BY_ID = select(*GROUP_COLUMNS).where(
    groups.c.tenant == bindparam("tenant"), groups.c.group_id == bindparam("group_id")
)
_LOOK_UP = Lookup(_BY_ID)
_BY_ROW = select(*GROUP_COLUMNS).where(groups.c.row.in_(bindparam("rows", expanding=True)))
_PAGE = (
    select(*GROUP_COLUMNS)
    .where(groups.c.tenant == bindparam("tenant"), groups.c.group_id > bindparam("after"))
    .order_by(groups.c.group_id)
    .limit(bindparam("limit"))
)
_COUNT = select(func.count()).where(groups.c.tenant == bindparam("tenant"))
_LOCK_TENANT = select(tenants.c.id).where(tenants.c.id == bindparam("tenant")).with_for_update()


def utc_now() -> datetime:
    """This moment, aware."""
    return datetime.now(UTC)


class SqlGroupStore:
    """Satisfies `GroupStore`. Ids compare byte by byte."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        remember: Remember = later,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._vault = vault
        self._remember = remember
        self._clock = clock

    async def create(
        self, tenant: Tenant, group_id: str, model: ModelVersion, *, quota: int
    ) -> None:
        if not is_storable(group_id):
            raise InvalidGroupId
        await self._database.write(lambda c: self._create(c, tenant.id, group_id, model, quota))

    async def get(self, tenant: Tenant, group_id: str) -> Group:
        if not is_storable(group_id):
            raise GroupNotFound
        key = {"tenant": tenant.id, "group_id": group_id}
        for row in await self._database.look_up(_LOOK_UP, key):
            return as_group(row)
        raise GroupNotFound

    async def delete(self, tenant: Tenant, group_id: str) -> Group:
        if not is_storable(group_id):
            raise GroupNotFound
        group, noted = await self._database.write(lambda c: _delete(c, tenant.id, group_id))
        self._vault.forget(group.row)
        reached(FaultPoint.DELETE_GROUP_AFTER_COMMIT)
        await self._remember([noted])
        return group

    async def page(self, tenant: Tenant, after: str | None, limit: int) -> list[Group]:
        bounds = {"tenant": tenant.id, "after": after or "", "limit": limit}
        rows = await self._database.read(lambda c: c.execute(_PAGE, bounds).all())
        return [as_group(row) for row in rows]

    def _create(
        self, connection: Connection, tenant: int, group_id: str, model: ModelVersion, quota: int
    ) -> None:
        _check_room(connection, tenant, group_id, quota)
        group_row = _insert(connection, tenant, group_id, model, self._clock())
        # Bound to the row, so it can only be made once the row has its number.
        wrapped = self._vault.new_group_key(Place(tenant, group_row, model))
        demand_in_service(connection, wrapped.key_id)
        connection.execute(
            update(groups)
            .where(groups.c.row == group_row)
            .values(wrapped_key=wrapped.record, key_id=wrapped.key_id)
        )


def _check_room(connection: Connection, tenant: int, group_id: str, quota: int) -> None:
    """Hold the tenant's row, so that parallel requests neither overfill nor make a group twice."""
    if connection.execute(_LOCK_TENANT, {"tenant": tenant}).first() is None:
        raise UnknownAppKey
    if connection.execute(_BY_ID, {"tenant": tenant, "group_id": group_id}).first():
        raise GroupExists
    if connection.execute(_COUNT, {"tenant": tenant}).scalar_one() >= quota:
        raise GroupQuotaExceeded


def _insert(
    connection: Connection, tenant: int, group_id: str, model: ModelVersion, now: datetime
) -> int:
    statement = insert(groups).returning(groups.c.row)
    row: int = connection.execute(
        statement,
        {
            "tenant": tenant,
            "group_id": group_id,
            "model_version": model,
            "version": 0,
            "face_count": 0,
            "wrapped_key": b"",
            "key_id": "",
            "created": now,
        },
    ).scalar_one()
    return row


def _delete(connection: Connection, tenant: int, group_id: str) -> tuple[Group, Noted]:
    locked = _BY_ID.with_for_update()
    row = connection.execute(locked, {"tenant": tenant, "group_id": group_id}).first()
    if row is None:
        raise GroupNotFound
    noted = erase_group(connection, row.row, row.created)
    reached(FaultPoint.DELETE_GROUP_BEFORE_COMMIT)
    return as_group(row), noted


def erase_group(connection: Connection, group_row: int, created: datetime) -> Noted:
    """Remove a group that is locked, with its faces and its data key, and note it."""
    hint(connection)
    for table in (faces, deletions, calibrations):
        connection.execute(delete(table).where(table.c.group_row == group_row))
    connection.execute(delete(groups).where(groups.c.row == group_row))
    return note(connection, Erased.GROUP, group_row, created.isoformat())


def standing(connection: Connection, rows: Sequence[int]) -> list[Group]:
    """Those groups among `rows` that are still there."""
    found = connection.execute(_BY_ROW, {"rows": list(rows)}).all()
    return [as_group(row) for row in found]


def as_group(row: Values) -> Group:
    """What `GROUP_COLUMNS` hold."""
    return Group(*row)
