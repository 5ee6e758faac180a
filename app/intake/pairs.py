"""Which photos show one person: the standard lists of pairs, and a folder for each person."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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


def people_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every picture of a folder that has a folder for each person, with the person's name."""
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
            yield path.parent.name, path
