"""Looks at a database without changing anything in it, for whoever asks what is wrong."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select, text

from app.domain.values import ModelVersion
from app.storage.database import Database, at_start, is_there
from app.storage.keysets import Keyset
from app.storage.migrate import is_current
from app.storage.opening import is_new, unlock
from app.storage.tables import groups, tenants

# A whole check reads every page; of a larger file it would take longer than anybody waits.
_WORTH_CHECKING = 256 * 1024 * 1024

_MODELS = select(groups.c.model_version, func.count()).group_by(groups.c.model_version)
_NEWEST = tuple(select(func.max(table.c.created)) for table in (tenants, groups))


@dataclass(frozen=True, slots=True)
class Examined:
    """What a database of today's schema says of itself; of an older one only that it is older.

    `keys` are those in service, `models` counts the groups of each model version. `newest` is when
    the last key or group was made, `skew` how much later it is by the database's clock than here.
    `damage` is what SQLite found wrong with the file, empty when nothing, or when it is too large
    to look.
    """

    kind: str
    current: bool
    is_new: bool = True
    keys: int = 0
    groups: int = 0
    faces: int = 0
    models: Mapping[ModelVersion, int] = field(default_factory=dict)
    newest: datetime | None = None
    skew: timedelta = timedelta()
    damage: str = ""


def examine(url: str) -> Examined | None:
    """What is at `url`; None where there is no database yet. Raises `ConfigurationError`."""
    if not is_there(url):
        return None
    with closing(Database(url, threads=1)) as database, at_start("cannot use the database"):
        kind = "SQLite" if database.is_sqlite else "PostgreSQL"
        if not database.snapshot_now(is_current):
            return Examined(kind, current=False, is_new=not database.has_tables())
        damage = _damage(database)
        if is_new(database):
            return Examined(kind, current=True, damage=damage)
        return database.snapshot_now(lambda connection: _examined(connection, kind, damage))


def fits(url: str, keyset: Keyset) -> None:
    """Raises `ConfigurationError` when the database at `url` was not written with `keyset`."""
    with closing(Database(url, threads=1)) as database:
        unlock(database, keyset).self_check()


def _examined(connection: Connection, kind: str, damage: str) -> Examined:
    count, total = connection.execute(
        select(func.count(), func.coalesce(func.sum(groups.c.face_count), 0))
    ).one()
    keys = connection.scalar(select(func.count()).where(tenants.c.revoked.is_(None)))
    made = [moment for query in _NEWEST if (moment := connection.scalar(query)) is not None]
    models = {ModelVersion(name): number for name, number in connection.execute(_MODELS)}
    return Examined(
        kind=kind,
        current=True,
        is_new=False,
        keys=keys or 0,
        groups=count,
        faces=int(total),
        models=models,
        newest=max(made, default=None),
        skew=_skew(connection),
        damage=damage,
    )


def _skew(connection: Connection) -> timedelta:
    if connection.dialect.name == "sqlite":
        return timedelta()
    moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment - datetime.now(UTC)


def _damage(database: Database) -> str:
    if not database.is_sqlite or (database.nbytes or 0) > _WORTH_CHECKING:
        return ""
    check = text("PRAGMA quick_check(1)")
    said = str(database.read_now(lambda connection: connection.scalar(check)))
    return "" if said == "ok" else said
