"""What happens when a stored record does not authenticate: it is counted and named, not shown."""

from collections.abc import Callable

import structlog

_log = structlog.stdlib.get_logger(__name__)


def _nothing() -> None:
    """Nobody counts."""


class Corruption:
    """Tells the log, and whoever counts, of each record that was found broken."""

    def __init__(self, count: Callable[[], None] = _nothing) -> None:
        self._count = count

    def found(self, group_row: int, face_id: str) -> None:
        self._count()
        _log.error("record_corrupt", group_row=group_row, face_id=face_id)
