"""`facereco audit`: whether the audit trail is whole, and what it says."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.auditing import opened
from app.cli.options import AsJson, Data, UsageError
from app.cli.reports import safe
from app.settings import Settings
from app.telemetry.audit import Trail
from app.telemetry.audit_chain import Link
from app.telemetry.audit_check import Asked, Checked, check, records

app = typer.Typer(help="Check and export the audit trail.", no_args_is_help=True)

# For a job that watches: the command ran, and the trail is not whole.
BROKEN = 1

_COLUMNS = (
    "time",
    "tenant",
    "operation",
    "group",
    "face",
    "faces",
    "count",
    "code",
    "request",
    "source",
    "detail",
    "writer",
    "n",
)


class Format(Enum):
    """How an export looks."""

    JSONL = "jsonl"
    CSV = "csv"


_TIME = "ISO 8601; UTC where it names no zone."


@app.command(epilog="Example: facereco audit verify --json > anchor.json")
def verify(
    data: Data = None,
    anchor: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What an earlier `verify --json` printed."),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag is a boolean
) -> None:
    """Check every record against its chain; exit code 1 when one was changed or is missing."""
    settings = Settings.read(data=data)
    anchors = {} if anchor is None else _anchors(anchor)
    with opened(settings) as storage:
        key = storage.vault.derive(Trail.PURPOSE)
    trails = check(settings.audit_folder, key, anchors)
    _show(trails, as_json=as_json)
    if any(trail.findings for trail in trails):
        raise typer.Exit(BROKEN)


@app.command(epilog="Example: facereco audit export --from 2026-11-01 --format csv")
def export(
    data: Data = None,
    begin: Annotated[str | None, typer.Option("--from", metavar="TIME", help=_TIME)] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help=_TIME)] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this key's records.")] = None,
    form: Annotated[Format, typer.Option("--format", help="How it looks.")] = Format.JSONL,
) -> None:
    """Print the records of all servers of this data folder, oldest first."""
    folder = Settings.read(data=data).audit_folder
    found = records(folder, Asked(_moment(begin), _moment(end), tenant))
    if form is Format.CSV:
        _print_csv(found)
        return
    for record in found:
        typer.echo(json.dumps(record, ensure_ascii=False))


def _anchors(file: Path) -> dict[str, Link]:
    try:
        [*trails] = json.loads(file.read_text(encoding="utf-8"))
        return {row["writer"]: Link(int(row["records"]), row["mac"]) for row in trails}
    except (OSError, ValueError, TypeError, KeyError):
        raise UsageError(f"{file} is not what `audit verify --json` prints") from None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a time like 2026-11-21T16:00") from None
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


def _show(trails: list[Checked], *, as_json: bool) -> None:
    rows = [
        {
            "writer": trail.writer,
            "records": trail.last.number,
            "mac": trail.last.mac,
            "findings": trail.findings,
        }
        for trail in trails
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for trail in trails:
        state = "whole" if not trail.findings else "NOT WHOLE"
        typer.echo(f"writer {trail.writer}: {trail.last.number} records, {state}")
        for finding in trail.findings:
            typer.echo(f"  {finding}")


def _print_csv(found: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(_COLUMNS)
    for record in found:
        writer.writerow(_cell(record.get(column, "")) for column in _COLUMNS)


def _cell(value: object) -> str:
    text = " ".join(value) if isinstance(value, list) else str(value)
    return safe(text)
