"""Brings a database to the schema this code knows, or says why it cannot."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table, text

from app.domain.errors import ConfigurationError
from app.domain.faults import FaultPoint, reached
from app.storage.database import Database, at_start

REVISIONS = ("0001", "0002", "0003", "0004")
"""Every revision under migrations/versions, oldest first; a test compares."""

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"

_VERSION = table("alembic_version", column("version_num"))

# Any number, as long as nothing else on the same PostgreSQL database locks it.
_LOCK = 0x66616365_6D696772


def _anything_goes(_connection: Connection) -> None:
    """No objection."""


def migrate(database: Database, accept: Callable[[Connection], None] = _anything_goes) -> None:
    """Upgrade to the newest schema, one process at a time; a no-op costs one SELECT.

    Before an older schema is touched `accept` looks at it, and may raise `ConfigurationError`.

    Raises:
        ConfigurationError: the schema is newer than this code, the tables are not ours, or the
            database cannot be used; nothing was written.
    """
    with at_start("cannot use the database"):
        if not database.snapshot_now(is_current):
            database.write_now(lambda c: _upgrade(c, accept))


def is_current(connection: Connection) -> bool:
    """Whether nothing is to be done. Raises `ConfigurationError` for a schema that is not ours."""
    revision = _revision(connection)
    if revision is None:
        _refuse_foreign_tables(connection)
    elif revision not in REVISIONS:
        raise ConfigurationError(
            f"the database has schema {revision}, newer than this server; start a newer one"
        )
    return revision == REVISIONS[-1]


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION.name):
        return None
    revision: str | None = connection.scalar(select(_VERSION.c.version_num))
    return revision


def _refuse_foreign_tables(connection: Connection) -> None:
    if inspect(connection).has_table("groups"):
        raise ConfigurationError("the database holds tables that this server did not make")


def _upgrade(connection: Connection, accept: Callable[[Connection], None]) -> None:
    _lock(connection)
    if is_current(connection):
        return  # another replica was faster
    if _revision(connection) is not None:
        accept(connection)
    # Half a second of imports, so only when there is something to do.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
    reached(FaultPoint.MIGRATING)


def _lock(connection: Connection) -> None:
    """On PostgreSQL one replica at a time, however long it takes; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
