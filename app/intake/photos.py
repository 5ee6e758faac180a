"""Photos that lie ready: the pictures of a folder, of a table, of an archive, with their labels."""

import csv
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePath, PurePosixPath

from app.domain.errors import ConfigurationError, ImageTooLarge, InvalidImageFile
from app.domain.values import EXTERNAL_IMAGE_ID, Photo

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png"})
MOST_PHOTOS = 1_000_000
"""More are not taken at a time: each is remembered until the end."""

# Column names of a table, in lower case; the second is the API's own.
_FILE = ("file",)
_LABEL = ("label", "externalimageid")
# What macOS puts beside pictures, in archives and in folders.
_NO_PICTURES = frozenset({"__MACOSX"})


class LabelFrom(Enum):
    """Where a photo's label comes from."""

    NAME = "from-name"
    FOLDER = "from-folder"
    COLUMN = "column"


@dataclass(frozen=True, slots=True)
class Found:
    """The photos of a source in a fixed order; `others` counts files that are no pictures."""

    photos: list[Photo]
    others: int = 0


def in_folder(folder: Path, labels: LabelFrom | None) -> Found:
    """The pictures below `folder`. Raises `ConfigurationError` where it cannot be read.

    Links to folders are not followed, links to files are.
    """
    photos, others = list[Photo](), 0
    for path in _files(folder):
        name = path.relative_to(folder)
        if not is_picture(name):
            others += 1
            continue
        photos.append(labelled(name.as_posix(), name, labels, reading(path)))
        _bound(len(photos))
    return Found(photos, others)


def in_table(table: Path, labels: LabelFrom) -> Found:
    """The pictures that a CSV file names, its relative paths beginning where the file lies.

    Its first line names the columns: `file`, and `label` if that is where labels come from.
    Raises `ConfigurationError` where it cannot be read or has no such columns.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines)
            columns = _columns(table, rows.fieldnames or (), labels)
            return Found([_row(table.parent, row, columns, labels) for row in _bounded(rows)])
    except OSError as error:
        raise ConfigurationError(f"{table}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{table}: not a CSV file in UTF-8 ({error})") from None


def labelled(
    name: str, path: PurePath, labels: LabelFrom | None, read: Callable[[int], bytes]
) -> Photo:
    """A photo with the label its path gives it; without `labels` it has none."""
    match labels:
        case LabelFrom.NAME:
            return with_label(name, path.stem, read)
        case LabelFrom.FOLDER:
            return with_label(name, path.parent.name, read)
        case _:
            return Photo(name, read)


def with_label(name: str, label: str, read: Callable[[int], bytes]) -> Photo:
    """A photo with this label, or the problem that it cannot be one."""
    if EXTERNAL_IMAGE_ID.fullmatch(label):
        return Photo(name, read, label)
    found = "it has no label" if not label else "its label has other characters or is too long"
    return Photo(name, read, problem=f"{found}: {EXTERNAL_IMAGE_ID.pattern}")


def is_picture(path: PurePath) -> bool:
    """Whether a file is named like a picture, and is none of the hidden ones beside them."""
    # A part that leads upwards hides nothing: it is to be told, not to be passed over.
    hidden = any(
        (part.startswith(".") and not part.startswith("..")) or part in _NO_PICTURES
        for part in path.parts
    )
    return not hidden and path.suffix.lower() in SUFFIXES


def reading(path: Path) -> Callable[[int], bytes]:
    """What `Photo.read` is for a file."""

    def read(limit: int) -> bytes:
        try:
            return _content(path, limit)
        except OSError as error:
            raise InvalidImageFile(f"the file cannot be read: {error.strerror}") from None

    return read


def _content(path: Path, limit: int) -> bytes:
    # Without O_NONBLOCK opening a named pipe would wait for whoever writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidImageFile("it is not a file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ImageTooLarge
    return data


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, in the order of the names."""

    def refuse(error: OSError) -> None:
        raise ConfigurationError(f"{error.filename}: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            yield Path(place, name)


def _columns(table: Path, names: Iterable[str], labels: LabelFrom) -> tuple[str, str | None]:
    """What the columns of files and labels are called in this table."""
    known = {name.strip().lower(): name for name in names}
    file, label = (_first(known, wanted) for wanted in (_FILE, _LABEL))
    if file is None or (label is None and labels is LabelFrom.COLUMN):
        raise ConfigurationError(f"{table}: its first line names no column `file` or `label`")
    return file, label


def _first(known: Mapping[str, str], wanted: Iterable[str]) -> str | None:
    return next((known[name] for name in wanted if name in known), None)


def _row(
    folder: Path, row: Mapping[str, str | None], columns: tuple[str, str | None], labels: LabelFrom
) -> Photo:
    name = (row[columns[0]] or "").strip()
    if not name or "\0" in name:
        return Photo(name, _nothing, problem="the line names no file")
    path = PurePosixPath(name)
    read = reading(folder / name)
    if labels is LabelFrom.COLUMN and columns[1] is not None:
        return with_label(name, (row[columns[1]] or "").strip(), read)
    return labelled(name, path, labels, read)


def _nothing(_limit: int) -> bytes:
    raise InvalidImageFile


def _bounded(rows: Iterable[dict[str, str | None]]) -> Iterator[dict[str, str | None]]:
    for number, row in enumerate(rows, start=1):
        _bound(number)
        yield row


def _bound(count: int) -> None:
    if count > MOST_PHOTOS:
        raise ConfigurationError(f"more than {MOST_PHOTOS} photos at a time; split them")
