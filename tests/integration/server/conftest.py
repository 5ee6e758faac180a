"""The databases a server can stand on."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from tests.integration.server.fast import Foundry, Shell


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """None for SQLite in the data folder; else the address of an empty PostgreSQL database."""
    if request.param == "sqlite":
        yield None
        return
    postgres: URL = request.getfixturevalue("postgres")
    engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE served"))
        yield postgres.set(database="served").render_as_string(hide_password=False)
        connection.execute(text("DROP DATABASE served WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Like `database_url`, for one test alone."""
    if request.param == "sqlite":
        yield None
        return
    postgres: URL = request.getfixturevalue("postgres")
    name = f"fresh_{secrets.token_hex(4)}"
    engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield postgres.set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(scope="session")
def foundry() -> Iterator[Foundry]:
    """Starts real servers in a blink."""
    foundry = Foundry()
    yield foundry
    foundry.close()


@pytest.fixture
def shell(foundry: Foundry, tmp_path: Path, fresh_url: str | None) -> Shell:
    settings = {"database_url": fresh_url} if fresh_url else {}
    return Shell(foundry, tmp_path, settings)
