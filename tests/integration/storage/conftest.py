"""A fresh database for each test, once as a SQLite file and once on a real PostgreSQL."""

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, create_engine, text

from app.storage.database import Database, sqlite_url
from app.storage.keysets import Keyset
from app.storage.migrate import migrate
from tests.integration.storage.opened import Storage, open_storage

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres_admin(postgres: URL) -> Iterator[Engine]:
    engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        # Tests pull no plugs, and waiting for the disk is most of what they would do.
        connection.execute(text("ALTER SYSTEM SET fsync = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text("CREATE DATABASE migrated"))
    database = Database(postgres.set(database="migrated"))
    migrate(database)
    database.close()
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return count()


@pytest.fixture
def new_postgres(
    postgres: URL, postgres_admin: Engine, numbers: Iterator[int]
) -> Iterator[Callable[[str], URL]]:
    """Make a database from a template; all are dropped when the test ends."""
    made: list[str] = []

    def make(template: str) -> URL:
        name = f"test_{next(numbers)}"
        with postgres_admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        made.append(name)
        return postgres.set(database=name)

    yield make
    with postgres_admin.connect() as connection:
        for name in made:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making the tables takes longer than most tests, so it is done once."""
    path = tmp_path_factory.mktemp("migrated") / "facereco.db"
    database = Database(sqlite_url(path))
    migrate(database)
    database.close()
    return path


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """The address of a database whose tables are there already."""
    if request.param == "sqlite":
        migrated: Path = request.getfixturevalue("migrated_file")
        return sqlite_url(Path(shutil.copy(migrated, tmp_path / "facereco.db")))
    make: Callable[[str], URL] = request.getfixturevalue("new_postgres")
    return make("migrated")


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """The address of a database without any table."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "facereco.db")
    make: Callable[[str], URL] = request.getfixturevalue("new_postgres")
    return make("template0")


@pytest.fixture
def opening(url: URL) -> Iterator[Callable[[Keyset], Storage]]:
    """Open the test's database as often as a test likes; everything is closed at its end."""
    opened: list[Storage] = []

    def make(keyset: Keyset) -> Storage:
        opened.append(open_storage(url, keyset))
        return opened[-1]

    yield make
    for storage in opened:
        storage.database.close()


@pytest.fixture
def storage(opening: Callable[[Keyset], Storage]) -> Storage:
    return opening(Keyset.generate())
