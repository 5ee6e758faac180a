"""The file that remembers erasures when the database is lost: a line each, never taken back.

A line is JSON: the database's id, what was erased (`face`, `group` or `key`), its row, a name that
is never given twice (the face id, or the moment the group or key was made), when, and a checksum.
A line that a crash tore off is cut away by the next writer; its erasure is still noted in the
database and is written again.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from app.domain.errors import ConfigurationError, StoreUnavailable
from app.domain.faults import FaultPoint, reached

_TAIL = 4096  # bytes; longer than any line


class Erased(Enum):
    """What can be erased for good."""

    FACE = "face"
    GROUP = "group"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Erasure:
    """One thing that is gone.

    `row` is the group's for a face and a group, else the key's. `name` is the face id, or the
    moment (ISO 8601) the group or key was made: rows may be given again after a restore.
    """

    kind: Erased
    row: int
    name: str
    at: datetime


class Ledger:
    """Appends to the file `path`, which several processes may share."""

    def __init__(self, path: Path, database_id: str) -> None:
        self.path = path
        self._database_id = database_id

    def append(self, erasures: Sequence[Erasure]) -> None:
        """Write and sync; afterwards a power cut takes nothing back. Raises `StoreUnavailable`."""
        lines = b"".join(_line(self._database_id, erasure) for erasure in erasures)
        try:
            with _opened(self.path) as descriptor:
                _cut_torn_line(descriptor)
                _write(descriptor, lines)
                reached(FaultPoint.LEDGER_BEFORE_SYNC)
                os.fsync(descriptor)
        except OSError as error:
            raise StoreUnavailable("the ledger of erasures cannot be written") from error

    def read(self) -> list[Erasure]:
        """Every erasure in this database, oldest first. Raises `ConfigurationError`."""
        return [
            Erasure(
                Erased(entry["erased"]),
                entry["row"],
                entry["name"],
                datetime.fromisoformat(entry["at"]),
            )
            for entry in _entries(self.path)
            if entry["database"] == self._database_id
        ]


def _line(database_id: str, erasure: Erasure) -> bytes:
    entry: dict[str, Any] = {
        "database": database_id,
        "erased": erasure.kind.value,
        "row": erasure.row,
        "name": erasure.name,
        "at": erasure.at.isoformat(),
    }
    return json.dumps({**entry, "check": _checksum(entry)}).encode() + b"\n"


def _checksum(entry: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(entry, sort_keys=True).encode())


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The file, made where it is missing, for this process alone until the block ends."""
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        if is_new:
            _sync_folder(path.parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _cut_torn_line(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    start = max(0, size - _TAIL)
    tail = os.pread(descriptor, size - start, start)
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(descriptor, start + tail.rfind(b"\n") + 1)


def _write(descriptor: int, content: bytes) -> None:
    """All of it or, where the disk is full, a torn line that counts for nothing."""
    while content:
        content = content[os.write(descriptor, content) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"ledger {path}: {error.strerror}") from None
    # What follows the last line break was torn off while it was written.
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        yield _checked(line, f"ledger {path}: line {number} is damaged")


def _checked(line: bytes, complaint: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
        is_sound = entry.pop("check") == _checksum(entry)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(complaint) from None
    if not is_sound:
        raise ConfigurationError(complaint)
    checked: dict[str, Any] = entry
    return checked
