"""Tables of similarity an operator applied, for a group or for all; the newest one counts."""

from collections.abc import Callable, Mapping
from datetime import datetime

import structlog
from sqlalchemy import Connection, bindparam, func, insert, select, update

from app.domain.calibration import Calibration, InvalidTable, read_table
from app.domain.errors import GroupNotFound, InvalidParameter
from app.domain.values import AppliedTable, ModelVersion
from app.storage.database import AnyRow, Database
from app.storage.groups import utc_now
from app.storage.hints import hint
from app.storage.tables import calibrations, groups, tenants

Scope = tuple[ModelVersion, int | None]
"""A model version, and the row of a group or None for the whole server."""

_log = structlog.stdlib.get_logger(__name__)

_LIST = (
    select(
        calibrations.c.seq,
        calibrations.c.group_row,
        groups.c.group_id,
        tenants.c.name.label("tenant"),
        calibrations.c.model_version,
        calibrations.c.content,
        calibrations.c.applied,
        calibrations.c.reverted,
    )
    .join_from(calibrations, groups, isouter=True)
    .join(tenants, groups.c.tenant == tenants.c.id, isouter=True)
    .order_by(calibrations.c.seq)
)
_IN_FORCE = (
    select(
        calibrations.c.seq,
        calibrations.c.group_row,
        calibrations.c.model_version,
        calibrations.c.content,
    )
    .where(calibrations.c.reverted.is_(None))
    .order_by(calibrations.c.seq)
)
# Another one whenever a table was applied or reverted, or left with its group.
_STAMP = select(
    func.count(), func.count(calibrations.c.reverted), func.max(calibrations.c.seq)
).select_from(calibrations)
_LOCK_GROUP = select(groups.c.model_version).where(groups.c.row == bindparam("row"))
_REVERT = (
    update(calibrations)
    .where(calibrations.c.seq == bindparam("number"))
    .values(reverted=bindparam("now"))
)


class SqlCalibrations:
    """What operators do with tables. Each step is one transaction."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def apply(self, content: str, model: ModelVersion, group_row: int | None) -> int:
        """Let a table count from now on; its number.

        Raises:
            InvalidTable: `content` is none.
            InvalidParameter: the group was made with another model.
            GroupNotFound: it has gone.
        """
        read_table(content)
        return await self._database.write(lambda c: self._apply(c, content, model, group_row))

    async def revert(self, model: ModelVersion, group_row: int | None) -> int | None:
        """Take the table that counts out of force; its number, None where there was none."""
        return await self._database.write(lambda c: self._revert(c, (model, group_row)))

    async def list(self) -> list[AppliedTable]:
        """Every table that was ever applied and whose group is still there, oldest first."""
        rows = await self._database.read(lambda c: c.execute(_LIST).all())
        newest = {
            (row.model_version, row.group_row): row.seq for row in rows if row.reverted is None
        }
        return [
            AppliedTable(
                number=row.seq,
                tenant=row.tenant,
                group=row.group_id,
                model=ModelVersion(row.model_version),
                content=row.content,
                applied=row.applied,
                reverted=row.reverted,
                in_force=row.seq == newest.get((row.model_version, row.group_row)),
            )
            for row in rows
        ]

    def _apply(
        self, connection: Connection, content: str, model: ModelVersion, group_row: int | None
    ) -> int:
        if group_row is not None:
            _demand_model(connection, group_row, model)
        hint(connection)
        row = {
            "group_row": group_row,
            "model_version": model,
            "content": content,
            "applied": self._clock(),
        }
        statement = insert(calibrations).returning(calibrations.c.seq)
        number: int = connection.execute(statement, row).scalar_one()
        return number

    def _revert(self, connection: Connection, scope: Scope) -> int | None:
        in_force = {_scope(row): row.seq for row in connection.execute(_IN_FORCE).all()}
        number: int | None = in_force.get(scope)
        if number is not None:
            hint(connection)
            connection.execute(_REVERT, {"number": number, "now": self._clock()})
        return number


def _demand_model(connection: Connection, group_row: int, model: ModelVersion) -> None:
    known = connection.execute(_LOCK_GROUP.with_for_update(), {"row": group_row}).scalar()
    if known is None:
        raise GroupNotFound
    if known != model:
        raise InvalidParameter(f"the group was made with {known}, and the table is for {model}")


def _scope(row: AnyRow) -> Scope:
    return ModelVersion(row.model_version), row.group_row


class LiveCalibrations:
    """Satisfies `TablesInForce`: what the database said when it was last looked at."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stamp: object = None
        self._known: Mapping[Scope, Calibration] = {}

    def of(self, model: ModelVersion, group_row: int | None) -> Calibration | None:
        known = self._known
        own = None if group_row is None else known.get((model, group_row))
        return known.get((model, None)) if own is None else own

    def refresh(self) -> None:
        """Look again. Blocking: call it off the event loop. Raises `StoreUnavailable`."""
        self._database.snapshot_now(self._look)

    def _look(self, connection: Connection) -> None:
        stamp = tuple(connection.execute(_STAMP).one())
        if stamp == self._stamp:
            return
        rows = connection.execute(_IN_FORCE).all()
        read = ((_scope(row), _calibration(row.content, row.seq)) for row in rows)
        self._known = {scope: table for scope, table in read if table is not None}
        self._stamp = stamp


def _calibration(content: str, number: int) -> Calibration | None:
    """The table, unless somebody wrote another one past the checks: the pack's counts then."""
    try:
        return read_table(content).calibration
    except InvalidTable:
        _log.exception("calibration_unreadable", number=number)
        return None
