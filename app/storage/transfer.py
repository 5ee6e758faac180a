"""Takes a database's rows to another one, as of one moment and without stopping anybody."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, TextClause, insert, inspect, select, text

from app.domain.errors import StoreUnavailable
from app.storage.database import BINARY, Database, sqlite_url
from app.storage.migrate import migrate
from app.storage.tables import METADATA

_BATCH = 1_000
# Rows whose numbers are never given twice, also not after a restore.
_NUMBERED = {
    "tenants": "id",
    "groups": "row",
    "faces": "row",
    "erasures": "seq",
    "calibrations": "seq",
}

_ENDLESS = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
)


def copy_out(database: Database, file: Path) -> None:
    """Make `file`, a SQLite database of its own with everything `database` holds at one moment.

    Raises `StoreUnavailable`.
    """
    if database.is_sqlite:
        _copy_file(database.file, file)
        return
    target = Database(sqlite_url(file))
    try:
        migrate(target)
        database.snapshot_now(lambda c: target.write_now(lambda t: _copy_rows(c, t)))
    finally:
        target.close()
    _settle(file)


def copy_in(file: Path, database: Database) -> None:
    """Fill `database`, whose tables are there and empty, with the rows of a SQLite `file`.

    In one transaction. Raises `StoreUnavailable`.
    """
    source = Database(sqlite_url(file))
    try:
        source.snapshot_now(lambda s: database.write_now(lambda c: _copy_rows(s, c)))
    finally:
        source.close()


def _copy_file(origin: Path, file: Path) -> None:
    """SQLite's online backup, in one step: writers go on in the journal meanwhile."""
    try:
        with closing(sqlite3.connect(origin)) as source, closing(sqlite3.connect(file)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise StoreUnavailable("the database cannot be copied") from error
    _settle(file)


def _settle(file: Path) -> None:
    """One file without a journal beside it."""
    file.chmod(0o600)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _copy_rows(source: Connection, target: Connection) -> None:
    for connection in (source, target):
        _take_time(connection)
    for table in METADATA.sorted_tables:
        options = {"yield_per": _BATCH, BINARY: True}
        rows = source.execute(select(table), execution_options=options)
        _fill(target, table, (dict(row._mapping) for row in rows))
    _hand_over_numbers(source, target)


def _fill(target: Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    statement = _insert(table) if target.dialect.name == "postgresql" else insert(table)
    while batch := list(islice(rows, _BATCH)):
        target.execute(statement, batch)


def _insert(table: Table) -> TextClause:
    """Numbers of rows are PostgreSQL's own to give, except now."""
    names = [column.name for column in table.columns]
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(f":{name}" for name in names)
    return text(f'INSERT INTO "{table.name}" ({columns}) OVERRIDING SYSTEM VALUE VALUES ({values})')  # noqa: S608 - names of our own tables


def _take_time(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for setting in _ENDLESS:
            connection.execute(text(setting))


def _hand_over_numbers(source: Connection, target: Connection) -> None:
    """Go on counting rows where the source would."""
    for table, last in _last_numbers(source).items():
        if target.dialect.name == "sqlite":
            target.execute(text("DELETE FROM sqlite_sequence WHERE name = :t"), {"t": table})
            target.execute(
                text("INSERT INTO sqlite_sequence (name, seq) VALUES (:t, :n)"),
                {"t": table, "n": last},
            )
        else:
            sequence = text("SELECT setval(pg_get_serial_sequence(:t, :c), :n)")
            target.execute(sequence, {"t": table, "c": _NUMBERED[table], "n": last})


def _last_numbers(source: Connection) -> dict[str, int]:
    if source.dialect.name == "sqlite":
        if not inspect(source).has_table("sqlite_sequence"):
            return {}
        rows = source.execute(text("SELECT name, seq FROM sqlite_sequence"))
        return {row.name: row.seq for row in rows if row.name in _NUMBERED and row.seq}
    found = {}
    for table, column in _NUMBERED.items():
        sequence = source.scalar(
            text("SELECT pg_get_serial_sequence(:t, :c)"), {"t": table, "c": column}
        )
        last = source.scalar(text(f"SELECT last_value FROM {sequence} WHERE is_called"))  # noqa: S608 - its own name
        if last:
            found[table] = last
    return found
