"""`facereco openapi`: an OpenAPI document as a file, for tools and for reading."""

from pathlib import Path
from typing import Annotated

import typer

from app.api.openapi.document import SURFACES, rendered
from app.api.revisions import DEFAULT_REVISION
from app.cli.options import UsageError


def export(
    revision: Annotated[
        str, typer.Option(help=f"Which edition: {', '.join(SURFACES)}.")
    ] = DEFAULT_REVISION,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it; printed if left out.")
    ] = None,
) -> None:
    """Write the OpenAPI 3.1 document of an edition of the contract."""
    if revision not in SURFACES:
        raise UsageError(f"there is no edition {revision!r} (known: {', '.join(SURFACES)})")
    if out is None:
        typer.echo(rendered(revision))
        return
    try:
        out.write_bytes(rendered(revision) + b"\n")
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from None
