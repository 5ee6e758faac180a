"""Changes of a SQLite database: one thread makes them all, on a connection that it keeps."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")


class WriterThread:
    """`pool` is the thread; what it runs may call `write`.

    SQLite has one writer at a time: a queue in front of it is fairer than its busy waiting. Taking
    a connection out of the pool and giving it back costs as much as the change of a row.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self.pool = ThreadPoolExecutor(1, "database-write")

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run all of `work` or nothing in one transaction."""
        if self._connection is None:
            self._connection = self._engine.connect()
        try:
            with self._connection.begin():
                return work(self._connection)
        except DBAPIError:
            # Whatever went wrong with it, the next change begins on another.
            self._let_go()
            raise

    def close(self) -> None:
        """Wait for what runs, and give the connection back."""
        self.pool.shutdown()
        self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
