"""A word between replicas that something changed: it makes others early, never right or wrong."""

import threading
import time
from contextlib import suppress

import psycopg
from sqlalchemy import Connection, text

from app.storage.database import Database

_CHANNEL = "facereco_changes"
_MOMENT = 0.1  # seconds
_NOTIFY = text("SELECT pg_notify(:channel, '')")


def hint(connection: Connection) -> None:
    """Let other replicas know once this transaction has committed; SQLite has none."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY, {"channel": _CHANNEL})


class Hints:
    """Waits for hints on a connection of its own, which is made anew when it is lost.

    For one thread; `close` may be called by another.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listening: psycopg.Connection[tuple[object, ...]] | None = None
        self._using = threading.Lock()
        self._closed = threading.Event()

    def wait(self, seconds: float) -> None:
        """Return at a hint, and in any case after `seconds`."""
        if self._database.is_sqlite:
            self._closed.wait(seconds)
            return
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until and not self._closed.is_set():
                if self._hears():
                    return
        except psycopg.Error:
            self._hang_up()
            self._closed.wait(seconds)

    def close(self) -> None:
        """Wait no longer."""
        self._closed.set()
        self._hang_up()

    def _hears(self) -> bool:
        """Whether there was a hint within a moment, or may have been one before we listened."""
        with self._using:
            if self._closed.is_set():
                return False
            if self._listening is None:
                self._listening = self._database.raw_postgres()
                self._listening.execute(f"LISTEN {_CHANNEL}")
                return True
            return any(self._listening.notifies(timeout=_MOMENT, stop_after=1))

    def _hang_up(self) -> None:
        with self._using:
            if self._listening is not None:
                with suppress(psycopg.Error):
                    self._listening.close()
            self._listening = None
