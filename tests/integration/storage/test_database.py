import asyncio
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from app.domain.errors import ConfigurationError, StoreUnavailable
from app.storage.database import Database, sqlite_url
from app.storage.health import DatabaseProbe, KeysetProbe
from app.storage.keysets import Keyset
from app.storage.migrate import migrate
from tests.integration.storage.opened import MODEL, Storage, new_faces

PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "secure_delete": 1,
    "page_size": 16384,
    "busy_timeout": 5000,
}


@pytest.fixture
def file(tmp_path: Path):
    database = Database(sqlite_url(tmp_path / "facereco.db"), threads=4)
    migrate(database)
    yield database
    database.close()


def test_every_pooled_connection_has_the_pragmas(file: Database):
    with ExitStack() as stack:
        connections = [stack.enter_context(file.engine.connect()) for _ in range(10)]

        for connection in connections:
            found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in PRAGMAS}
            assert found == PRAGMAS
        assert len({id(c.connection.driver_connection) for c in connections}) == 10


def test_only_the_owner_can_read_the_files(file: Database, tmp_path: Path):
    file.write_now(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '0001'")))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes == dict.fromkeys(["facereco.db", "facereco.db-wal", "facereco.db-shm"], 0o600)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="No such file"):
        Database(sqlite_url(tmp_path / "missing" / "facereco.db"))


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path):
    (tmp_path / "facereco.db").write_bytes(b"not a database at all" * 100)
    database = Database(sqlite_url(tmp_path / "facereco.db"))

    with pytest.raises(ConfigurationError, match="not a database"):
        migrate(database)

    database.close()


@pytest.mark.parametrize(
    "address", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://u:hunter2@host/db"]
)
def test_other_addresses_are_refused_without_repeating_them(address: str):
    with pytest.raises(ConfigurationError) as refused:
        Database(address)

    assert "hunter2" not in str(refused.value)


async def test_readers_do_not_wait_for_a_writer(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    begun, release = threading.Event(), threading.Event()

    def slow(connection):
        connection.execute(text("UPDATE groups SET version = version + 1"))
        begun.set()
        assert release.wait(20)

    writing = asyncio.create_task(storage.database.write(slow))
    await asyncio.to_thread(begun.wait, 20)
    started = time.perf_counter()
    seen = (await storage.groups.get(tenant, group.id)).version
    elapsed = time.perf_counter() - started
    release.set()
    await writing

    assert seen == 0
    assert elapsed < 2
    assert (await storage.groups.get(tenant, group.id)).version == 1


async def test_a_snapshot_sees_one_moment(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)

    def twice(connection):
        statement = text("SELECT version FROM groups")
        before = connection.scalar(statement)
        asyncio.run(storage.faces.add(group, new_faces(1), quota=10))
        return before, connection.scalar(statement)

    assert await storage.database.snapshot(twice) == (0, 0)
    assert (await storage.groups.get(tenant, group.id)).version == 1


async def test_work_that_fails_is_undone(storage: Storage):
    await storage.tenant()

    def fail(connection):
        connection.execute(text("UPDATE tenants SET name = 'changed'"))
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        await storage.database.write(fail)

    assert [status.tenant.name for status in await storage.keys.list()] == ["team"]


async def test_a_locked_database_is_unavailable_and_recovers(tmp_path: Path):
    database = Database(sqlite_url(tmp_path / "facereco.db"))
    migrate(database)
    storage = Storage(database, _open(database), Keyset.generate())
    tenant = await storage.tenant()
    for connection in [database.engine.connect() for _ in range(2)]:
        connection.execute(text("PRAGMA busy_timeout = 50"))
        connection.close()
    with sqlite3.connect(tmp_path / "facereco.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await storage.groups.create(tenant, "staff", MODEL, quota=10)
        other.execute("ROLLBACK")
    other.close()

    await storage.groups.create(tenant, "staff", MODEL, quota=10)

    assert (await storage.groups.get(tenant, "staff")).face_count == 0
    database.close()


async def test_connections_cut_by_the_server_are_made_anew(new_postgres: Callable[[str], URL]):
    database = Database(new_postgres("migrated"))
    storage = Storage(database, _open(database), Keyset.generate())
    tenant = await storage.tenant()
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    for _ in range(3):
        await storage.groups.page(tenant, None, 10)
    database.read_now(lambda c: c.execute(cut))

    await storage.groups.create(tenant, "staff", MODEL, quota=10)

    assert (await storage.groups.get(tenant, "staff")).face_count == 0
    database.close()


async def test_health_follows_the_database(storage: Storage):
    probe = DatabaseProbe(storage.database, storage.vault)
    await probe.check()

    storage.database.write_now(
        lambda c: c.execute(text("UPDATE server SET database_id = 'another'"))
    )

    with pytest.raises(StoreUnavailable):
        await probe.check()
    storage.database.write_now(lambda c: c.execute(text("DROP TABLE server")))
    with pytest.raises(StoreUnavailable):
        await probe.check()
    assert probe.name == "database"


async def test_the_keyset_is_healthy_once_the_vault_is_open(storage: Storage):
    probe = KeysetProbe(storage.vault)

    await probe.check()

    assert probe.name == "keyset"


def _open(database: Database):
    from app.storage.opening import open_vault

    return open_vault(database, Keyset.generate())
