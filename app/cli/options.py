"""Options that several commands share."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder of the database and the keyset."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone.")]


class UsageError(Exception):
    """A command cannot run as it was asked to; the message is one line (exit code 2)."""


def base_url(url: str) -> str:
    """A base URL that can be shown: no password in it, and no key in a path."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or "@" in url:
        raise UsageError("a URL is http://HOST[:PORT] or https://HOST[:PORT], without a password")
    if "?" in url or "#" in url or "appkeys" in url:
        raise UsageError("a URL ends before /nhn-face-reco or /v2.0, and carries no key")
    return url


def demand_printable(*keys: str) -> None:
    """Raises `UsageError` when a key cannot be one; it may hold what a header must not."""
    if not all(key.isascii() and key.isprintable() for key in keys):
        raise UsageError("a key is made of printable ASCII characters")
