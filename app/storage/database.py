"""One database, SQLite or PostgreSQL: its connections, its threads, and how transactions begin."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    QueuePool,
    Row,
    create_engine,
    event,
    inspect,
    make_url,
)
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.domain.errors import ConfigurationError, StoreUnavailable
from app.domain.stages import Stage, Timed
from app.storage.driving import Values, driven
from app.storage.reading import Glances, Lookup, ReaderThreads
from app.storage.trips import Trips
from app.storage.writing import WriterThread

if TYPE_CHECKING:
    import psycopg

AnyRow: TypeAlias = Row[*tuple[Any, ...]]

T = TypeVar("T")
Work = Callable[[Connection], T]
"""A function that is one transaction: it gets a connection and keeps nothing of it."""

# The order matters: waiting comes first, and a page size is only taken by an empty database,
# before its journal is chosen. Vectors of 2 KB waste half of a 4 KB page.
_PATIENCE = 5_000  # milliseconds
_PRAGMAS = (
    f"busy_timeout = {_PATIENCE}",
    "page_size = 16384",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "secure_delete = ON",
    "temp_store = MEMORY",
    "trusted_schema = OFF",
    "journal_size_limit = 67108864",
)

_POSTGRES_OPTIONS = (
    "-c statement_timeout=15s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s"
)

_BEGIN = "facereco_begin"
_PSYCOPG_BINARY = 1  # psycopg.pq.Format.BINARY

BINARY = "facereco_binary"
"""A statement with this execution option gets its bytes from PostgreSQL as they are, not in hex."""


def sqlite_url(path: Path) -> URL:
    """The address of a SQLite database in the file `path`."""
    return URL.create("sqlite", database=str(path))


def is_there(url: str | URL) -> bool:
    """Whether there may be a database at an address: a file that exists, or any server.

    Raises `ConfigurationError` like `Database`.
    """
    known = _known(url)
    return known.get_backend_name() != "sqlite" or Path(str(known.database)).exists()


class Database:
    """Runs transactions, each in a thread of its own room so that the event loop never waits.

    Three kinds: `read` is for a single SELECT (`look_up` where it is of a few rows by their key,
    and may stay on the loop), `snapshot` sees one moment over several, and `write` locks (SQLite:
    the whole database; PostgreSQL: the rows the work selects for update).
    The `…_now` forms run in the calling thread. A database that cannot be used raises
    `StoreUnavailable`; whatever else `work` raises undoes the transaction and comes through.
    An `immutable` one is a SQLite file that nobody writes. `has_failed` tells of writes.

    Raises:
        ConfigurationError: the address is not of a database this server knows.
    """

    def __init__(self, url: str | URL, *, threads: int = 8, immutable: bool = False) -> None:
        self._url = _known(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        if immutable:
            self.engine = _immutable_engine(self.file, threads)
        elif self.is_sqlite:
            self.engine = _sqlite_engine(self._url, threads)
        else:
            self.engine = _postgres_engine(self._url, threads)
        self.has_failed = False
        self._read_engine, self._snapshot_engine, self._write_engine = _modes(self.engine)
        self._readers = ReaderThreads(self._read_engine, threads)
        self._glances = Glances(self._read_engine) if self.is_sqlite else None
        self._trips = None if self.is_sqlite else Trips(self.read)
        self._writer = WriterThread(self._write_engine) if self.is_sqlite else None
        self._writers = (
            self._writer.pool if self._writer else ThreadPoolExecutor(threads, "database-write")
        )

    async def read(self, work: Work[T]) -> T:
        return await _in_thread(self._readers.pool, self._read_here, work)

    async def look_up(self, lookup: Lookup, key: Mapping[str, object]) -> Sequence[Values]:
        """A few rows by their key: a `read` that may stay on the loop, or go along with others."""
        if self._trips is not None and self._trips.possible():
            with Timed(Stage.SQL):
                return await self._trips.look_up(lookup, key)
        if self._glances is not None and self._glances.possible():
            # Whatever the error is, the threads have the patience for it.
            with suppress(sqlite3.Error), Timed(Stage.SQL):
                return self._glances.read(lookup, key)
        return await self.read(lambda c: c.execute(lookup.statement, key).all())

    async def snapshot(self, work: Work[T]) -> T:
        return await _in_thread(self._readers.pool, self.snapshot_now, work)

    async def write(self, work: Work[T]) -> T:
        return await _in_thread(self._writers, self._write_here, work)

    def _read_here(self, work: Work[T]) -> T:
        with translated():
            return self._readers.read(work)

    def read_now(self, work: Work[T]) -> T:
        return _transaction(self._read_engine, work)

    def snapshot_now(self, work: Work[T]) -> T:
        return _transaction(self._snapshot_engine, work)

    def write_now(self, work: Work[T]) -> T:
        with self._noticed():
            return _transaction(self._write_engine, work)

    def _write_here(self, work: Work[T]) -> T:
        if self._writer is None:
            return self.write_now(work)
        with self._noticed(), translated():
            return self._writer.write(work)

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable:
            self.has_failed = True
            raise

    @property
    def file(self) -> Path:
        """Where a SQLite database lies."""
        return Path(str(self._url.database))

    @property
    def nbytes(self) -> int | None:
        """Bytes of a SQLite database with its journal; None of a server's."""
        if not self.is_sqlite:
            return None
        parts = (self.file, self.file.with_name(f"{self.file.name}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def has_tables(self) -> bool:
        """Whether there is any table at all. Raises `StoreUnavailable`."""
        return self.read_now(lambda c: bool(inspect(c).get_table_names()))

    def raw_postgres(self) -> "psycopg.Connection[tuple[object, ...]]":
        """A connection outside the pool that listens. Raises `psycopg.Error`."""
        import psycopg

        address = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(address, autocommit=True, connect_timeout=3)

    def scrub_now(self) -> bool:
        """Let nothing erased stay in SQLite's journal; whether that is so now.

        `secure_delete` overwrites what is erased, but in the journal; the file itself is
        overwritten with the journal's checkpoint, and the journal's old pages go with its length.
        """
        if not self.is_sqlite:
            return True
        with translated(), self._read_engine.connect() as connection:
            return _checkpoint(connection)

    def close(self) -> None:
        """Finish what was begun and let go of every connection."""
        self._readers.close()
        if self._glances is not None:
            self._glances.close()
        if self._writer is not None:
            self._writer.close()
        self._writers.shutdown()
        self.engine.dispose()


def _checkpoint(connection: Connection) -> bool:
    # Writers wait for a checkpoint that waits for readers, so it is given little time.
    connection.exec_driver_sql("PRAGMA busy_timeout = 100")
    try:
        busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_PATIENCE}")
    return bool(busy == 0)


async def _in_thread(pool: Executor, run: Callable[[Work[T]], T], work: Work[T]) -> T:
    # The caller's context goes along, so that log lines keep their request id.
    in_context = copy_context().run
    with Timed(Stage.SQL):
        return await asyncio.get_running_loop().run_in_executor(pool, in_context, run, work)


def _transaction(engine: Engine, work: Work[T]) -> T:
    with translated(), engine.begin() as connection:
        return work(connection)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what drivers and the pool raise into `StoreUnavailable`."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        raise StoreUnavailable from error


@contextmanager
def at_start(doing: str) -> Iterator[None]:
    """While the server starts, a database that cannot be used is the operator's to mend."""
    try:
        yield
    except StoreUnavailable as error:
        raise ConfigurationError(f"{doing} {_reason(error.__cause__)}") from error


def _reason(cause: BaseException | None) -> str:
    """Which setting leads to the database, and what its driver says."""
    driver = getattr(cause, "orig", None) or cause
    setting = "FACERECO_DATA" if isinstance(driver, sqlite3.Error) else "FACERECO_DATABASE_URL"
    lines = str(driver).strip().splitlines()
    return f"({setting}): {lines[0] if lines else type(driver).__name__}"


def _known(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The address may hold a password, so it is not repeated; neither is the cause.
        raise ConfigurationError("FACERECO_DATABASE_URL is not a URL") from None
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql" | "postgres":
            _refuse_clear_text(parsed)
            return parsed.set(drivername="postgresql+psycopg")
        case _:
            raise ConfigurationError(
                "FACERECO_DATABASE_URL must be a SQLite file or postgresql://…"
            )


def _refuse_clear_text(url: URL) -> None:
    """A password and every sealed vector would cross the network for all to read."""
    host = str(url.query.get("host", url.host or ""))
    is_here = not host or host.startswith("/") or host in {"localhost", "127.0.0.1", "::1"}
    if url.query.get("sslmode") == "disable" and not is_here:
        raise ConfigurationError(
            "the database is on another host, and sslmode=disable sends all in clear text; "
            "use sslmode=verify-full in FACERECO_DATABASE_URL"
        )


def _modes(engine: Engine) -> tuple[Engine, Engine, Engine]:
    """The same pool three times: for one SELECT, for one moment, for changes."""
    if engine.dialect.name == "sqlite":
        return (
            engine.execution_options(**{_BEGIN: ""}),
            engine.execution_options(**{_BEGIN: "BEGIN"}),
            engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"}),
        )
    return (
        engine.execution_options(isolation_level="AUTOCOMMIT"),
        engine.execution_options(isolation_level="REPEATABLE READ"),
        engine.execution_options(isolation_level="READ COMMITTED"),
    )


def _sqlite_engine(url: URL, threads: int) -> Engine:
    _make_private(Path(str(url.database)))
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=threads + 2,
        max_overflow=2 * threads,
        pool_timeout=10,
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _immutable_engine(file: Path, threads: int) -> Engine:
    """Reads a file that nobody changes, and leaves not a byte of its own beside it."""
    address = f"file:{quote(str(file))}?mode=ro&immutable=1"
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: sqlite3.connect(
            address, uri=True, check_same_thread=False, isolation_level=None
        ),
        poolclass=QueuePool,
        pool_size=threads,
        hide_parameters=True,
    )
    event.listen(engine, "begin", _begin)
    return engine


def _postgres_engine(url: URL, threads: int) -> Engine:
    defaults: dict[str, Any] = {
        "connect_timeout": 3,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "application_name": "facereco",
        "options": _POSTGRES_OPTIONS,
    }
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=threads + 2,
        max_overflow=2 * threads,
        pool_timeout=10,
        pool_pre_ping=True,
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
    )
    event.listen(engine, "before_cursor_execute", _choose_format)
    return engine


def _make_private(path: Path) -> None:
    """Create the file for its owner alone; SQLite gives its journal the same mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigurationError(
            f"cannot open the database {path} (FACERECO_DATA): {error.strerror}"
        ) from None


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # Python's sqlite3 would begin transactions by itself, and never a locking one.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        _set(connection, pragma)


def _set(connection: sqlite3.Connection, pragma: str) -> None:
    """Set one, and again while the file is busy: SQLite does not wait for a journal's choice."""
    until = time.monotonic() + _PATIENCE / 1000
    while True:
        try:
            connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return


class _PsycopgCursor(Protocol):
    format: int


def _choose_format(
    _connection: Connection,
    cursor: _PsycopgCursor,
    _statement: str,
    _parameters: object,
    context: ExecutionContext | None,
    _many: object,
) -> None:
    """Ask for binary results where a statement wishes it."""
    if context is not None and context.execution_options.get(BINARY):
        cursor.format = _PSYCOPG_BINARY


def _begin(connection: Connection) -> None:
    if statement := connection.get_execution_options().get(_BEGIN, "BEGIN"):
        driven(connection, statement)
