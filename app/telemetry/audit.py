"""Who did what to whose face: one record each, appended before the answer leaves.

A trail is a folder. Every writer has files of its own there: `0.jsonl` is being written,
`0.000001.jsonl` and so on are full, `0.head` says how far the writer synced. A process takes the
first number that nobody holds, and goes on with its chain.
"""

import asyncio
import errno
import fcntl
import os
import threading
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Self

import orjson
import structlog

from app.domain.errors import ConfigurationError
from app.domain.values import AuditEntry
from app.telemetry.audit_chain import Chain, Link, split

_log = structlog.stdlib.get_logger(__name__)

# Longer than any record: a tail of this size holds the last one whole.
_TAIL_BYTES = 65_536
_SYNC_SECONDS = 1.0
_MOST_WRITERS = 10_000


class Sync(Enum):
    """When records are forced to the disk: each before its answer, every second, or never."""

    EACH = "each"
    SECOND = "second"
    NONE = "none"


# `asdict` copies what it finds, which would cost a search more than the rest of its record.
_FIELDS = fields(AuditEntry)


class NoTrail:
    """Satisfies `AuditTrail` where nothing is recorded."""

    failures = 0

    async def write(self, _entry: AuditEntry) -> None:
        """Forget it."""


class Trail:
    """Satisfies `AuditTrail`: appends to files of its own in `folder`. Threads may share it.

    A disk that takes no record is told in the log, and the server goes on; `failures` counts.

    Args:
        folder: made where it is missing; for its owner alone.
        key: 32 bytes.
        sync: when records are forced to the disk.
        segment_bytes: a file that has become longer is set aside.
    """

    PURPOSE = "audit/1"
    """What its key is derived for."""

    def __init__(self, folder: Path, key: bytes, *, sync: Sync, segment_bytes: int) -> None:
        self._sync_each = sync is Sync.EACH
        self._force = sync is not Sync.NONE
        self._lock, self._syncing = threading.Lock(), threading.Lock()
        self._closing = threading.Event()
        self.failures = 0
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._files = _Files(folder, key, segment_bytes)
        except OSError as error:
            raise ConfigurationError(
                f"audit folder {folder} (FACERECO_AUDIT): {error.strerror}"
            ) from None
        self._thread = threading.Thread(target=self._sync_now_and_then, name="audit", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def write(self, entry: AuditEntry) -> None:
        self.record(entry)
        if self._sync_each:
            await asyncio.to_thread(self.sync)

    def record(self, entry: AuditEntry) -> None:
        """Append one record, without waiting for the disk."""
        with self._lock:
            try:
                self._files.append(entry)
            except OSError as error:
                self.failures += 1
                _log.error("audit_not_written", reason=error.strerror)

    def sync(self) -> None:
        """Force to the disk what was recorded before, then say so in the head."""
        with self._syncing:
            try:
                with self._lock:
                    last, file = self._files.last, os.dup(self._files.active)
                self._files.advance(last, file, force=self._force)
            except OSError as error:
                _log.error("audit_not_synced", reason=error.strerror)

    def close(self) -> None:
        """Sync and let go of the writer's number."""
        self._closing.set()
        self._thread.join()
        self.sync()
        self._files.close()

    def _sync_now_and_then(self) -> None:
        while not self._closing.wait(_SYNC_SECONDS):
            self.sync()


class _Files:
    """The files of one writer; who calls sees to it that one thread appends at a time."""

    def __init__(self, folder: Path, key: bytes, segment_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._writer, self._head_file = _take_writer(folder)
        self._chain = Chain(key, self._writer)
        self._head = self._chain.unseal(os.pread(self._head_file, _TAIL_BYTES, 0))
        self.active = _open(folder / f"{self._writer}.jsonl", os.O_APPEND)
        self.last = self._recover()

    def append(self, entry: AuditEntry) -> None:
        """Write one record, whole or not at all. Raises `OSError`."""
        if os.fstat(self.active).st_size >= self._segment_bytes:
            self._set_aside()
        body = _body(self.last.number + 1, entry)
        link, line = self._chain.line(self.last, body)
        _write_whole(self.active, line)
        self.last = link

    def advance(self, last: Link, file: int, *, force: bool) -> None:
        """Bring the head to `last`, the end of `file`, which is closed. Raises `OSError`."""
        try:
            if last != self._head:
                if force:
                    os.fdatasync(file)
                os.pwrite(self._head_file, self._chain.seal(last), 0)
                self._head = last
        finally:
            os.close(file)

    def close(self) -> None:
        os.close(self.active)
        os.close(self._head_file)

    def _set_aside(self) -> None:
        os.fdatasync(self.active)
        number = 1 + max((segment_number(path) for path in self._segments()), default=0)
        active = self._folder / f"{self._writer}.jsonl"
        active.rename(self._folder / f"{self._writer}.{number:06}.jsonl")
        fresh = _open(active, os.O_APPEND)
        os.close(self.active)
        self.active = fresh

    def _recover(self) -> Link:
        """Where the chain goes on; what a crash tore off is cut away and told."""
        torn = _cut_torn_line(self.active)
        found = _last_link(self.active) or self._last_of_segments() or self._chain.start
        head = self._head
        # What was synced and is not there any more leaves a hole in the numbers for ever.
        self.last = head if head is not None and head.number > found.number else found
        if torn:
            self.append(AuditEntry("audit.repaired", detail=f"{torn} bytes of a torn record cut"))
        if self.last.number > found.number + bool(torn):
            missing = f"{found.number + 1}..{self.last.number - bool(torn)}"
            self.append(AuditEntry("audit.gap", detail=f"records {missing} are missing"))
        return self.last

    def _last_of_segments(self) -> Link | None:
        for path in sorted(self._segments(), key=segment_number, reverse=True):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return _last_link(descriptor)
            finally:
                os.close(descriptor)
        return None

    def _segments(self) -> list[Path]:
        return list(self._folder.glob(f"{self._writer}.*.jsonl"))


def _write_whole(descriptor: int, line: bytes) -> None:
    """Append all of `line` or nothing. Raises `OSError`."""
    before = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, line)
    except OSError:
        written = 0
    if written < len(line):
        os.ftruncate(descriptor, before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def segment_number(path: Path) -> int:
    """Which of a writer's full files this is, from 1 on; the one being written is 0."""
    parts = path.name.split(".")
    return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else 0


def _take_writer(folder: Path) -> tuple[str, int]:
    """The first number that no other process holds, and its head file, locked."""
    for number in range(_MOST_WRITERS):
        try:
            descriptor = _open(folder / f"{number}.head")
        except PermissionError:
            continue  # another user's
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
        else:
            return str(number), descriptor
    raise OSError(errno.EMFILE, "too many writers")


def _open(path: Path, flags: int = 0) -> int:
    """Open or make a file for the owner of its folder alone."""
    private = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, private | flags, 0o600)
    owner = path.parent.stat()
    if os.geteuid() == 0 and os.fstat(descriptor).st_uid != owner.st_uid:
        # An administrator's command must not lock the server out of its own trail.
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def _body(number: int, entry: AuditEntry) -> bytes:
    given = ((field.name, getattr(entry, field.name)) for field in _FIELDS)
    said = {name: value for name, value in given if value not in (None, ())}
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return orjson.dumps({"n": number, "time": now, **said})


def _cut_torn_line(descriptor: int) -> int:
    """Cut off what follows the last end of line; how many bytes that was."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - _TAIL_BYTES)
    tail = os.pread(descriptor, _TAIL_BYTES, start)
    torn = len(tail) - (tail.rfind(b"\n") + 1)
    if torn:
        os.ftruncate(descriptor, size - torn)
    return torn


def _last_link(descriptor: int) -> Link | None:
    """The place of a file's last record; None in an empty file, or where it is no record."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    line = tail[tail.rfind(b"\n", 0, -1) + 1 :]
    parts = split(line)
    try:
        return None if parts is None else Link(int(orjson.loads(line)["n"]), parts[1])
    except (ValueError, KeyError, TypeError):
        return None
