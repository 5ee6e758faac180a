"""Statements in the words of one database, run by its driver without the toolkit.

The toolkit takes several times as long as SQLite does for what a request needs of it.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import UpdateBase

Values: TypeAlias = Sequence[Any]
SQLITE = sqlite.dialect()
# PostgreSQL's number of the only kind of ours whose processor asks for one.
_FLOAT8 = 701


class Prepared:
    """A statement that returns rows, in the words of one database, for its driver alone.

    `filled` are the columns that an INSERT fills; values are bound as they are.
    """

    def __init__(
        self,
        statement: "Select[*tuple[Any, ...]] | UpdateBase",
        dialect: Dialect,
        filled: Sequence[str] | None = None,
    ) -> None:
        compiled = statement.compile(
            dialect=dialect, column_keys=None if filled is None else list(filled)
        )
        self.sql = str(compiled)
        self.names: Sequence[str] = getattr(compiled, "positiontup", None) or ()
        types = [column.type.dialect_impl(dialect) for column in statement.exported_columns]
        processors = [kind.result_processor(dialect, _FLOAT8) for kind in types]
        self._processors = [(at, how) for at, how in enumerate(processors) if how is not None]

    def processed(self, rows: list[Any]) -> list[Values]:
        """The driver's rows with what the toolkit would make of their values."""
        return [self._processed(row) for row in rows] if self._processors else rows

    def _processed(self, row: Values) -> Values:
        values = list(row)
        for at, process in self._processors:
            values[at] = process(values[at])
        return values


class Change:
    """A change of one row that returns it, for the transaction of a connection.

    `filled` are the columns that an INSERT fills.
    """

    def __init__(self, statement: UpdateBase, filled: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._sqlite = Prepared(statement, SQLITE, filled)

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Values | None:
        """The row that was changed; None where there was none. Raises `DBAPIError`."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, values).first()
        ordered = [values[name] for name in self._sqlite.names]
        rows = self._sqlite.processed(driven(connection, self._sqlite.sql, ordered))
        return rows[0] if rows else None


def driven(connection: Connection, sql: str, values: Sequence[object] = ()) -> list[Any]:
    """Run a statement on SQLite's driver, in the transaction of `connection`.

    Raises:
        DBAPIError: what the driver raised, as the toolkit would tell it.
    """
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    try:
        return driver.execute(sql, values).fetchall()
    except sqlite3.Error as error:
        raise DBAPIError.instance(
            sql, None, error, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
        ) from error
