"""`facereco backup`: take a backup while servers run, prove it, restore it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.auditing import acting, keyset_of
from app.cli.options import Data
from app.domain.values import AuditEntry
from app.settings import Settings

if TYPE_CHECKING:
    from app.storage.archives import Manifest
    from app.storage.inspection import Inspection

app = typer.Typer(help="Back up, check a backup, restore one.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="BACKUP", help="The backup's folder.")]

# For a job that watches: everything ran, and something is wrong with what is stored.
BROKEN = 1


@app.command(epilog="Example: facereco backup create /backups/monday")
def create(
    folder: Folder,
    data: Data = None,
    with_keyset: Annotated[  # noqa: FBT002 - a flag is a boolean
        bool, typer.Option("--with-keyset", help="Put the master keys in, too.")
    ] = False,
) -> None:
    """Write a backup of one moment into a new folder; servers go on meanwhile."""
    from app.storage import backups

    settings = Settings.read(data=data)
    entry = AuditEntry("backup.create", detail="with keyset" if with_keyset else None)
    with acting(settings, entry) as storage:
        manifest = backups.create(storage, folder, with_keyset=with_keyset)
    typer.echo(f"{folder}: {_counted(manifest)}")
    if with_keyset:
        typer.echo("It holds the master keys: whoever has it can read every face.")


@app.command(epilog="Example: facereco backup verify /backups/monday")
def verify(folder: Folder, data: Data = None) -> None:
    """Check every byte and open every vector, with the keyset in use or the backup's own."""
    from app.storage import backups

    settings = Settings.read(data=data)
    manifest, found = backups.verify(folder, keyset_of(settings), _progress)
    typer.echo(f"{folder}: {_counted(manifest)}, of {manifest.created}")
    _tell_broken(found)


@app.command(epilog="Example: facereco backup restore /backups/monday --data data")
def restore(
    folder: Folder,
    data: Data = None,
    ledger: Annotated[
        list[Path] | None,
        typer.Option(help="A ledger of erasures besides the data folder's own; repeatable."),
    ] = None,
) -> None:
    """Bring a backup back where there is no database, without what was erased since."""
    from app.main.parts import obey_test_faults
    from app.storage import backups

    settings = Settings.read(data=data)
    obey_test_faults(settings)
    keyset = keyset_of(settings)
    done = backups.restore(folder, settings.data, settings.database, keyset, ledger or [])
    typer.echo(f"restored {done.groups} groups with {done.faces} faces")
    if done.ledgers:
        typer.echo(f"erased again, as the ledger tells: {done.erased_again}")
    else:
        typer.echo("no ledger: what was erased after the backup is back (see --ledger)")


def _counted(manifest: "Manifest") -> str:
    counts = manifest.counts
    return f"{counts['tenants']} keys, {counts['groups']} groups, {counts['faces']} faces"


def _tell_broken(found: "Inspection") -> None:
    typer.echo(f"{found.groups} data keys and {found.faces} vectors open")
    if not found.sound:
        typer.echo(
            f"{len(found.broken_groups)} data keys and {len(found.broken_faces)} vectors do not"
        )
        raise typer.Exit(BROKEN)


def _progress(faces: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{faces} vectors")
