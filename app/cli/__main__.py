"""The command line: `facereco serve | test | train | check` and those that manage a server."""

import sys
from typing import Annotated

import typer

from app import __version__
from app.cli import (
    audit,
    backup,
    benching,
    calibrate,
    check,
    doctor,
    evidence,
    importing,
    keys,
    migrating,
    models,
    openapi,
    serve,
    testing,
    training,
    vault,
)
from app.cli.options import UsageError
from app.cli.process import leave_no_core
from app.domain.errors import ConfigurationError, FaceError

# sysexits.h: EX_CONFIG, something was found wrong with the configuration.
EX_CONFIG = 78
EX_USAGE = 2

# What a command does not know itself it hands to the program it runs.
PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True}

app = typer.Typer(
    name="facereco",
    help="Face recognition on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("serve", epilog="Example: facereco serve --port 8000 --data data")(serve.serve)
app.command("test", context_settings=PASS_ON, epilog="Example: facereco test tests/unit")(
    testing.run_tests
)
app.command("train", context_settings=PASS_ON, epilog="Example: facereco train -- --help")(
    training.train
)
app.command("import", epilog=f"Example: {importing.EXAMPLE}")(importing.import_photos)
app.command("migrate", epilog=f"Example: {migrating.EXAMPLE}")(migrating.migrate)
app.command("evidence", epilog=f"Example: {evidence.EXAMPLE}")(evidence.evidence)
app.command("openapi", epilog="Example: facereco openapi --revision v2.0 --out v2.json")(
    openapi.export
)
app.command("doctor", epilog="Example: facereco doctor --json")(doctor.doctor)
app.add_typer(backup.app, name="backup")
app.add_typer(benching.app, name="bench")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(models.app, name="models")
app.add_typer(vault.app, name="vault")
app.add_typer(check.app, name="check")
app.add_typer(calibrate.app, name="calibrate")


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer hands over what was given
    if wanted:
        typer.echo(f"facereco {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: FBT002 - a flag is a boolean
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Face recognition on your own machine."""


def main() -> None:
    """Run a command; what an operator got wrong is one line and an exit code."""
    leave_no_core()
    try:
        app(prog_name="facereco")
    except ConfigurationError as error:
        _give_up(str(error), EX_CONFIG)
    except UsageError as error:
        _give_up(str(error), EX_USAGE)
    except FaceError as error:
        _give_up(error.detail, EX_USAGE)


def _give_up(line: str, code: int) -> None:
    sys.stderr.write(f"facereco: {line}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
