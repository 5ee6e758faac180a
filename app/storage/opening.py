"""Matches a keyset with a database, or refuses before anything is written."""

import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, text

from app.domain.errors import ConfigurationError, RecordCorrupt
from app.storage.database import AnyRow, Database, at_start
from app.storage.keysets import KEY_BYTES, Keyset
from app.storage.tables import groups, key_checks, server, tenants
from app.storage.vault import SERVER_SECRET, MasterKeys, Masters, Sealed, Vault

_CHECK = b"facereco key check"
_CHECK_PURPOSE = "key-check"

# Any number, as long as nothing else on the same PostgreSQL database locks it.
_LOCK = 0x66616365_6B657973

_CHECKS = select(key_checks.c.key_id, key_checks.c.sealed, key_checks.c.retired)


Follow = Callable[[Callable[[Keyset], None]], MasterKeys]
"""Makes a keyset that follows its source, given what refuses a keyset this database cannot use."""


def open_vault(database: Database, keyset: Keyset, follow: Follow | None = None) -> Vault:
    """The vault of `database`, whose schema is up to date; an empty database is initialised.

    A keyset may hold keys the database has not met; every key the database was written with must
    be there, and be the same. The vault works with `keyset` for ever, or with what `follow` makes.

    Raises:
        ConfigurationError: the keyset is another one, an older one, or has disabled a key in use.
    """
    with at_start("cannot read the database"):
        if database.snapshot_now(_is_empty):
            database.write_now(lambda connection: _initialise(connection, keyset))
        database_id, secret = database.snapshot_now(lambda c: _unlock(c, keyset))
        introduce(database, keyset)
    keys = keyset if follow is None else follow(lambda changed: accept(database, changed))
    return Vault(keys, database_id, secret)


def compare(connection: Connection, keyset: Keyset | None) -> None:
    """Refuse a foreign keyset for a database of any schema so far, before it is migrated.

    Only by columns that every schema has; whatever else is wrong is told after the migration.
    Raises `ConfigurationError`.
    """
    database_id = connection.scalar(select(server.c.database_id))
    if database_id is None:
        return  # made, and never opened
    rows = connection.execute(select(key_checks.c.key_id, key_checks.c.sealed)).all()
    checks = {row.key_id: row.sealed for row in rows}
    if keyset is None or not checks.keys() & keyset.keys.keys():
        names = ", ".join(sorted(checks))
        raise ConfigurationError(
            f"the database was written with key {names}, which this keyset lacks"
        )
    _open_checks(keyset, Masters(keyset, database_id), checks)


def unlock(database: Database, keyset: Keyset) -> Vault:
    """The vault of a database that is only read. Raises `ConfigurationError` like `open_vault`."""
    with at_start("cannot read the database"):
        database_id, secret = database.snapshot_now(lambda c: _unlock(c, keyset))
    return Vault(keyset, database_id, secret)


def introduce(database: Database, keyset: Keyset) -> None:
    """Make the database know every key of `keyset` that may be used."""
    if database.snapshot_now(lambda c: _usable(keyset) - _met(c)):
        database.write_now(lambda c: _introduce(c, keyset))


def accept(database: Database, keyset: Keyset) -> None:
    """Raises `ConfigurationError` for a changed keyset that a running server cannot go on with.

    Its primary key must be one the database knows: a key reaches every server before it is used.
    """

    def check(connection: Connection) -> None:
        _unlock(connection, keyset)
        if keyset.primary not in _met(connection):
            raise ConfigurationError(
                f"its primary key {keyset.primary} is new to the database; "
                "use `facereco vault add-key` and `promote`"
            )

    database.snapshot_now(check)


def is_new(database: Database) -> bool:
    """Whether a migrated database has never been opened, so that any keyset will do."""
    with at_start("cannot read the database"):
        return database.snapshot_now(_is_empty)


def _is_empty(connection: Connection) -> bool:
    return not any(
        connection.execute(select(table).limit(1)).first()
        for table in (server, key_checks, tenants, groups)
    )


def _initialise(connection: Connection, keyset: Keyset) -> None:
    _lock(connection)
    if not _is_empty(connection):
        return  # another replica was faster
    database_id = str(uuid.uuid4())
    masters = Masters(keyset, database_id)
    sealed = masters.seal(secrets.token_bytes(KEY_BYTES), SERVER_SECRET)
    connection.execute(
        insert(server).values(
            id=1,
            database_id=database_id,
            sealed_secret=sealed.record,
            key_id=sealed.key_id,
            created=datetime.now(UTC),
        )
    )
    _add_checks(connection, masters, _usable(keyset))


def _unlock(connection: Connection, keyset: Keyset) -> tuple[str, bytes]:
    """The database's id and the server secret, once the keyset was found to be the right one."""
    row = connection.execute(select(server)).first()
    if row is None:
        raise ConfigurationError("the database has lost its server row; restore it from a backup")
    masters = Masters(keyset, row.database_id)
    _compare(keyset, masters, connection.execute(_CHECKS).all())
    _demand_keys_in_use(connection, keyset)
    return row.database_id, _server_secret(masters, row)


def _compare(keyset: Keyset, masters: Masters, rows: Sequence[AnyRow]) -> None:
    in_service = {row.key_id for row in rows if row.retired is None}
    if missing := in_service - keyset.keys.keys():
        names = ", ".join(sorted(missing))
        raise ConfigurationError(
            f"the database was written with key {names}, which this keyset lacks"
        )
    checks = {row.key_id: row.sealed for row in rows}
    if keyset.primary in checks.keys() - in_service:
        raise ConfigurationError(
            f"its primary key {keyset.primary} was taken out of service: the keyset is an older one"
        )
    _open_checks(keyset, masters, checks)


def _open_checks(keyset: Keyset, masters: Masters, checks: Mapping[str, bytes]) -> None:
    for key_id in checks.keys() & _usable(keyset):
        try:
            masters.open(Sealed(key_id, checks[key_id]), _CHECK_PURPOSE)
        except RecordCorrupt:
            raise ConfigurationError(
                f"key {key_id} of this keyset is not the one the database was written with"
            ) from None


def _demand_keys_in_use(connection: Connection, keyset: Keyset) -> None:
    used = set(connection.scalars(select(groups.c.key_id).distinct()))
    used.update(connection.scalars(select(server.c.key_id)))
    if lost := used - _usable(keyset):
        names = ", ".join(sorted(lost))
        raise ConfigurationError(f"key {names} still covers data, yet this keyset does not use it")


def _server_secret(masters: Masters, row: AnyRow) -> bytes:
    try:
        return masters.open(Sealed(row.key_id, row.sealed_secret), SERVER_SECRET)
    except RecordCorrupt:
        raise ConfigurationError("the server secret in the database does not open") from None


def _introduce(connection: Connection, keyset: Keyset) -> None:
    _lock(connection)
    masters = Masters(keyset, connection.scalars(select(server.c.database_id)).one())
    _add_checks(connection, masters, _usable(keyset) - _met(connection))


def _met(connection: Connection) -> set[str]:
    return set(connection.scalars(select(key_checks.c.key_id)))


def _add_checks(connection: Connection, masters: Masters, key_ids: set[str]) -> None:
    for key_id in sorted(key_ids):
        sealed = masters.seal_with(key_id, _CHECK, _CHECK_PURPOSE)
        connection.execute(insert(key_checks).values(key_id=key_id, sealed=sealed.record))


def _usable(keyset: Keyset) -> set[str]:
    return {key_id for key_id in keyset.keys if keyset.enabled(key_id) is not None}


def _lock(connection: Connection) -> None:
    """On PostgreSQL one replica at a time; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
