"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder of the database and the keyset."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone.")]


class UsageError(Exception):
    """A command cannot run as it was asked to; the message is one line (exit code 2)."""
