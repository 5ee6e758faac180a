"""Single SELECTs, on connections that a thread keeps from one to the next.

Taking a connection out of the pool and giving it back costs more than most of our reads, and on
PostgreSQL a trip to ask whether it still lives.
"""

import resource
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, PoolProxiedConnection, Select
from sqlalchemy.dialects.postgresql import psycopg as postgresql_psycopg
from sqlalchemy.exc import DBAPIError

from app.storage.driving import SQLITE, Prepared, Values

T = TypeVar("T")
_POSTGRES = postgresql_psycopg.dialect()  # type: ignore[no-untyped-call]

# A read that found its pages in memory takes 0.05 ms. One that waited for the disk this long shows
# that they are not there, and then the threads do the waiting for a while.
_LONG = 0.005
_REST = 5.0


class ReaderThreads:
    """`pool` are the threads; what they run may call `read`. Statements commit by themselves."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine = engine
        self._mine = threading.local()
        self._opened: set[Connection] = set()
        self._lock = threading.Lock()
        self.pool = ThreadPoolExecutor(threads, "database-read")

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run one SELECT on this thread's connection; a second time where the first was lost."""
        try:
            return work(self._connection())
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # The database was started anew since the last read. It is asked once more; whether
            # it is back is for the new connection to find out.
            self._let_go()
            return work(self._connection())

    def close(self) -> None:
        """Wait for what runs, and give every connection back."""
        self.pool.shutdown()
        for connection in self._opened:
            connection.close()
        self._opened.clear()

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._engine.connect()
            self._mine.connection = connection
            with self._lock:
                self._opened.add(connection)
        return connection

    def _let_go(self) -> None:
        connection: Connection = self._mine.connection
        self._mine.connection = None
        with self._lock:
            self._opened.discard(connection)
        connection.close()


class Lookup:
    """A SELECT of a few rows by their key, which the driver runs without the toolkit.

    The toolkit takes several times as long as the database does. Rows are plain sequences.
    """

    def __init__(self, statement: "Select[*tuple[Any, ...]]") -> None:
        self.statement = statement
        self.sqlite = Prepared(statement, SQLITE)
        self.postgres = Prepared(statement, _POSTGRES)


class Glances:
    """Look-ups in a SQLite file, in the thread that asks.

    A hop to another thread and back costs several times the look-up itself, and much more on a
    busy machine. SQLite's readers wait for no writer, so all that could hold up the caller is the
    disk.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pooled: PoolProxiedConnection | None = None
        self._not_before = 0.0

    def possible(self) -> bool:
        """Whether look-ups have not been slow lately."""
        return time.monotonic() >= self._not_before

    def read(self, lookup: Lookup, key: Mapping[str, object]) -> list[Values]:
        """Raises `sqlite3.Error`; it does not wait for a lock that somebody has all the same."""
        began, fetched = time.monotonic(), _blocks_fetched()
        try:
            return _run(lookup.sqlite, self._connection(), key)
        except sqlite3.Error:
            self.close()
            raise
        finally:
            # Both, because on a busy machine a thread may also wait for its turn.
            if time.monotonic() - began > _LONG and _blocks_fetched() > fetched:
                self._not_before = time.monotonic() + _REST

    def close(self) -> None:
        """Give the connection back."""
        if self._pooled is not None:
            self._pooled.invalidate()  # its patience is another than the pool's others'
            self._pooled = None

    def _connection(self) -> sqlite3.Connection:
        if self._pooled is None:
            self._pooled = self._engine.raw_connection()
            self._pooled.cursor().execute("PRAGMA busy_timeout = 0")
        return cast("sqlite3.Connection", self._pooled.dbapi_connection)


def _run(
    prepared: Prepared, connection: sqlite3.Connection, key: Mapping[str, object]
) -> list[Values]:
    return prepared.processed(
        connection.execute(prepared.sql, [key[name] for name in prepared.names]).fetchall()
    )


def _blocks_fetched() -> int:
    """How often this thread had to wait for a block from the disk."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock
