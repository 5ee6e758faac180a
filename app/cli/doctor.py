"""`facereco doctor`: what is wrong with this installation, and what to do about it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from app.cli.options import AsJson, Data
from app.domain.errors import ConfigurationError
from app.settings import Settings

if TYPE_CHECKING:
    from app.cli.checkup import Finding

# For a job that watches: everything was looked at, and something needs somebody.
BROKEN = 1


def doctor(data: Data = None, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag is a boolean
    """Look at every part of the installation; each is ok, or told with what to do. Changes nothing.

    Exit code 1 when there is a fault; notes can wait.
    """
    findings = _found(data)
    if as_json:
        rows = [{**asdict(finding), "state": finding.state.value} for finding in findings]
        typer.echo(json.dumps(rows))
    else:
        for finding in findings:
            _show(finding)
    if any(finding.state.value == "fault" for finding in findings):
        raise typer.Exit(BROKEN)


def _found(data: Data) -> Sequence["Finding"]:
    # Seconds of imports that `--help` does without.
    from app.cli.checkup import Finding, State, check_up

    try:
        settings = Settings.read(data=data)
    except ConfigurationError as error:
        advice = "Correct or unset it; README.md lists every setting."
        return [Finding("settings", State.FAULT, str(error), advice)]
    return list(check_up(settings))


def _show(finding: "Finding") -> None:
    typer.echo(f"{finding.state.value:<6}{finding.check:<20} {finding.said}")
    if finding.advice:
        typer.echo(f"{'':<26} -> {finding.advice}")
