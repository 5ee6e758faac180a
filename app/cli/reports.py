"""A report as CSV, a line for each thing as it is done."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import UsageError

# A spreadsheet would take such a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Report = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Tell what became of each in a CSV file.")
]
Write = Callable[[Sequence[str]], object]


@contextmanager
def report(file: Path | None, columns: Sequence[str]) -> Iterator[Write]:
    """Write lines of `columns` to `file`; nowhere where there is none. Raises `UsageError`."""
    if file is None:
        yield lambda _: None
        return
    try:
        # File names need not be text; whatever they are, the report stays UTF-8.
        opened = file.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    with opened:
        lines = csv.writer(opened)
        lines.writerow(columns)
        yield lambda row: lines.writerow([safe(cell) for cell in row])


def safe(cell: str) -> str:
    """A cell no spreadsheet calculates with."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
