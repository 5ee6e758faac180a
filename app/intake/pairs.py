"""Which photos show one person: the standard lists of pairs, and a folder for each person."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from app.domain.errors import ConfigurationError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos, whether they show one person, and the fold (from 1) they are judged in."""

    first: Path
    second: Path
    same: bool
    fold: int = 1


def read_pairs(file: Path, photos: Path) -> list[Pair]:
    """The pairs of `file`, in the format of LFW, of photos PERSON/PERSON_0001.jpg below `photos`.

    The first line holds the number of folds and of pairs of each kind in a fold; then come, by
    turns, pairs of one person (three columns) and of two (four).

    Raises:
        ConfigurationError: the file cannot be read, or a line is none of these.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        per_kind = int(lines[0].split()[-1])
        rows = [line.split() for line in lines[1:] if line.strip()]
        return [_pair(row, number // (2 * per_kind) + 1, photos) for number, row in enumerate(rows)]
    except (OSError, ValueError, IndexError, ZeroDivisionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(f"{file} is no list of pairs as LFW has it: {reason}") from None


def _pair(row: list[str], fold: int, photos: Path) -> Pair:
    if len(row) == 3:
        name, first, second = row
        return Pair(_photo(photos, name, first), _photo(photos, name, second), same=True, fold=fold)
    one, first, other, second = row
    return Pair(_photo(photos, one, first), _photo(photos, other, second), same=False, fold=fold)


def _photo(photos: Path, person: str, number: str) -> Path:
    return photos / person / f"{person}_{int(number):04d}.jpg"


Row = Mapping[str, str]
"""The cells of a line by their column."""

_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """Two photos with the similarity 0..100 another service gave; `same` where it is known."""

    first: Path
    second: Path
    similarity: float
    same: bool | None


def read_labelled(file: Path, photos: Path) -> list[Pair]:
    """Pairs of a CSV file with the columns left, right and same (1 or 0), paths below `photos`.

    Raises `ConfigurationError` with the line that is wrong.
    """
    rows = _table(file, ("left", "right", "same"))
    return _once(
        file,
        [
            (line, Pair(*_two(row, photos, file, line), _truth(row["same"], file, line)))
            for line, row in rows
        ],
    )


def read_scored(file: Path, photos: Path) -> list[ScoredPair]:
    """Pairs of a CSV file with the columns left, right, similarity and, if known, same.

    Raises `ConfigurationError` with the line that is wrong.
    """
    rows = _table(file, ("left", "right", "similarity"))
    return _once(file, [(line, _scored(row, photos, file, line)) for line, row in rows])


def _scored(row: Row, photos: Path, file: Path, line: int) -> ScoredPair:
    return ScoredPair(
        *_two(row, photos, file, line),
        _similarity(row["similarity"], file, line),
        _truth(row["same"], file, line) if row.get("same") else None,
    )


def _two(row: Row, photos: Path, file: Path, line: int) -> tuple[Path, Path]:
    """The paths of a row's photos."""
    left, right = row["left"], row["right"]
    if not left or not right:
        raise ConfigurationError(f"{file}, line {line}: left and right each name a photo")
    if left == right:
        raise ConfigurationError(f"{file}, line {line}: left and right are the same photo")
    return photos / left, photos / right


Told = TypeVar("Told", Pair, ScoredPair)


def _once(file: Path, told: Sequence[tuple[int, Told]]) -> list[Told]:
    """Each pair once, however often and in whichever order its photos are listed."""
    known: dict[frozenset[Path], tuple[int, Told]] = {}
    for line, pair in told:
        photos = frozenset((pair.first, pair.second))
        before, other = known.setdefault(photos, (line, pair))
        if replace(pair, first=other.first, second=other.second) != other:
            raise ConfigurationError(f"{file}, line {line}: line {before} tells otherwise of them")
    return [pair for _, pair in known.values()]


def _table(file: Path, columns: Sequence[str]) -> list[tuple[int, Row]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.reader(lines)
            head = [name.strip() for name in next(reader, [])]
            missing = [name for name in columns if head.count(name) != 1]
            if missing:
                raise ConfigurationError(f"{file} has no column {' or '.join(missing)}, or two")
            return [
                (reader.line_num, _row(head, cells, file, reader.line_num))
                for cells in reader
                if cells
            ]
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{file}: not a CSV file in UTF-8 ({error})") from None


def _row(head: Sequence[str], cells: Sequence[str], file: Path, line: int) -> Row:
    # More cells than columns: a comma was meant as a decimal point, or a name holds one.
    if len(cells) > len(head):
        raise ConfigurationError(f"{file}, line {line}: {len(cells)} cells for {len(head)} columns")
    return dict(zip_longest(head, (cell.strip() for cell in cells), fillvalue=""))


def _truth(value: str, file: Path, line: int) -> bool:
    told = _TRUTH.get(value.strip().lower())
    if told is None:
        raise ConfigurationError(f"{file}, line {line}: same is 1 or 0")
    return told


def _similarity(value: str, file: Path, line: int) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0.0 <= number <= 100.0:
        raise ConfigurationError(f"{file}, line {line}: similarity is a number from 0 to 100")
    return number


def people_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every picture of a folder that has a folder for each person, with the person's name."""
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
            yield path.parent.name, path
