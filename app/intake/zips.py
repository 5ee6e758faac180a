"""The pictures of a ZIP archive, each read in memory: nothing is ever unpacked to the disk."""

import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader, FileIO
from pathlib import Path, PurePosixPath

from app.domain.errors import ConfigurationError, ImageTooLarge, InvalidImageFile
from app.domain.values import Photo
from app.intake.photos import MOST_PHOTOS, Found, LabelFrom, is_picture, labelled

# What a table of contents of a million pictures takes; it is read into memory as a whole.
_MOST_CONTENTS = 128 * 1024 * 1024
# Pictures hardly get smaller. What becomes a hundred times larger is no picture.
_MOST_GROWTH = 100
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_HEADER = 30  # bytes before a member's name
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


@contextmanager
def in_archive(file: Path, labels: LabelFrom | None) -> Iterator[Found]:
    """The pictures of the ZIP `file`, which stays open for the block.

    Raises `ConfigurationError` where it is none, or has members that overlap.
    """
    with _opened(file) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > MOST_PHOTOS or _overlap(members):
            raise ConfigurationError(f"{file}: too many members, or members within each other")
        pictures = [m for m in members if is_picture(PurePosixPath(m.filename))]
        reader = _Reader(archive)
        photos = [_photo(reader, member, labels) for member in pictures]
        yield Found(photos, others=len(members) - len(pictures))


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(_Bounded(FileIO(file)))
            archive = stack.enter_context(zipfile.ZipFile(opened))
        except (*_DAMAGED, ValueError, MemoryError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise ConfigurationError(f"{file}: {reason or 'no ZIP archive, or damaged'}") from None
        yield archive


class _Bounded(BufferedReader):
    """A file that gives no more at a time than a table of contents may take."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MOST_CONTENTS:
            raise zipfile.BadZipFile
        return super().read(size)


class _Reader:
    """Reads members for several threads, one at a time."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._reading = threading.Lock()

    def of(self, member: zipfile.ZipInfo) -> Callable[[int], bytes]:
        """What `Photo.read` is for a member."""

        def read(limit: int) -> bytes:
            if member.file_size > limit:
                raise ImageTooLarge
            try:
                # Never more than the member says it has; what says too little fails its checksum.
                with self._reading, self._archive.open(member) as opened:
                    return opened.read(member.file_size)
            except _DAMAGED:
                raise InvalidImageFile("the archive is damaged here") from None

        return read


def _photo(reader: _Reader, member: zipfile.ZipInfo, labels: LabelFrom | None) -> Photo:
    path = PurePosixPath(member.filename)
    read = reader.of(member)
    if problem := _problem(member, path):
        return Photo(member.filename, read, problem=problem)
    return labelled(member.filename, path, labels, read)


def _problem(member: zipfile.ZipInfo, path: PurePosixPath) -> str | None:
    """What keeps a member from being read."""
    objections = {
        "its path leads out of the archive": path.is_absolute()
        or ".." in path.parts
        or "\\" in member.orig_filename,
        "it is encrypted": member.flag_bits & _ENCRYPTED,
        "it is packed in a way that is not read here": member.compress_type not in _METHODS,
        "it is packed too tightly to be a picture": member.file_size
        > _MOST_GROWTH * max(1, member.compress_size),
    }
    return next((objection for objection, holds in objections.items() if holds), None)


def _overlap(members: list[zipfile.ZipInfo]) -> bool:
    """Whether the same bytes are given out as several members, as only bombs do."""
    end = 0
    for member in sorted(members, key=lambda m: m.header_offset):
        if member.header_offset < end:
            return True
        end = member.header_offset + _HEADER + member.compress_size
    return False
