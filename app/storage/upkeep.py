"""What a database needs now and then: notes settled, erased bytes overwritten, old news dropped."""

import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import Connection, bindparam, delete, func, select, update

from app.domain.errors import StoreUnavailable
from app.storage.database import Database
from app.storage.erasures import Erasures
from app.storage.tables import deletions, groups

EVERY = 1.0  # seconds
COMPACT_EVERY = 600.0  # seconds
# News of this many deletions is kept for each group; an index further behind loads it anew, which
# costs it no more than catching up would.
KEPT_DELETIONS = 1_000

_log = structlog.stdlib.get_logger(__name__)

_LONG = (
    select(deletions.c.group_row)
    .group_by(deletions.c.group_row)
    .having(func.count() > bindparam("most"))
)
_LOCK = select(groups.c.row).where(groups.c.row == bindparam("group_row")).with_for_update()
_HORIZON = (
    select(deletions.c.version)
    .where(deletions.c.group_row == bindparam("group_row"))
    .order_by(deletions.c.version.desc())
    .offset(bindparam("kept"))
    .limit(1)
)


class Upkeep:
    """Looks after one database in a thread of its own until it is stopped."""

    def __init__(
        self, database: Database, erasures: Erasures, *, kept_deletions: int = KEPT_DELETIONS
    ) -> None:
        self._database = database
        self._erasures = erasures
        self._kept_deletions = kept_deletions
        self._compacted = 0.0
        self._erased = True  # what an earlier process erased may still be in its journal
        self._stopped = threading.Event()
        self.failures = 0
        self._thread = threading.Thread(target=self._run, name="database-upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the round that runs finish, and settle what is left."""
        self._stopped.set()
        self._thread.join()
        self._attempt(self.settle)

    def settle(self) -> None:
        """Settle notes, then overwrite what was erased. Raises `StoreUnavailable`."""
        # On a full disk a long journal may be all that is in the way, of the sweep as well.
        if self._erased or self._database.has_failed:
            self._scrub()
        if self._erasures.sweep():
            self._scrub()

    def _scrub(self) -> None:
        self._erased = True
        if self._database.scrub_now():
            self._erased = self._database.has_failed = False

    def compact(self) -> None:
        """Drop old news of deletions. Raises `StoreUnavailable`."""
        most = {"most": 2 * self._kept_deletions}
        for row in self._database.read_now(lambda c: c.scalars(_LONG, most).all()):
            self._database.write_now(lambda c, row=row: self._compact(c, row))  # type: ignore[misc]

    def _run(self) -> None:
        while not self._stopped.wait(EVERY):
            self._attempt(self.settle)
            if time.monotonic() - self._compacted > COMPACT_EVERY:
                self._attempt(self.compact)
                self._compacted = time.monotonic()

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreUnavailable as error:
            self.failures += 1
            _log.warning("upkeep put off", detail=error.detail)

    def _compact(self, connection: Connection, group_row: int) -> None:
        """Under the group's lock, like every change of what an index may read."""
        if connection.execute(_LOCK, {"group_row": group_row}).first() is None:
            return
        bounds = {"group_row": group_row, "kept": self._kept_deletions}
        horizon = connection.scalar(_HORIZON, bounds)
        if horizon is None:
            return
        old = (deletions.c.group_row == group_row, deletions.c.version <= horizon)
        connection.execute(delete(deletions).where(*old))
        connection.execute(
            update(groups).where(groups.c.row == group_row).values(compacted_version=horizon)
        )
