"""`facereco vault`: the life of the master keys, while servers run."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.auditing import acting, keyset_of, opened
from app.cli.options import AsJson, Data, UsageError
from app.domain.values import AuditEntry
from app.settings import Settings

if TYPE_CHECKING:
    from app.storage.key_life import KeyLife, KeyState
    from app.storage.keyrings import KeysetSource

app = typer.Typer(help="Rotate and check the master keys.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The key's id, as `status` shows it.")]

# For a job that watches: everything ran, and something is wrong with what is stored.
BROKEN = 1


@app.command(epilog="Example: facereco vault status")
def status(data: Data = None, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag is a boolean
    """Show every master key and how many records it covers; no key is shown itself."""
    with _life(data) as life:
        rows = [_row(key) for key in life.status()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        primary = "primary" if row["primary"] else ""
        records = f"{row['records']} records"
        typer.echo(
            f"{row['id']:<10} {row['status']:<10} {primary:<8} {records:>16}  {row['created']}"
        )


@app.command("add-key", epilog="Example: facereco vault add-key")
def add_key(data: Data = None) -> None:
    """Add a fresh key. It wraps nothing until it is promoted."""
    with _life(data, "add-key") as life:
        key_id = life.add()
    typer.echo(
        f"{key_id}: added. Once every server has this keyset: facereco vault promote {key_id}"
    )


@app.command(epilog="Example: facereco vault promote b66095ce")
def promote(key: Key, data: Data = None) -> None:
    """Wrap whatever is new with this key."""
    with _life(data, "promote", key) as life:
        life.promote(key)
    typer.echo(f"{key}: primary. Next: facereco vault rewrap")


@app.command(epilog="Example: facereco vault rewrap")
def rewrap(data: Data = None) -> None:
    """Cover every data key with the primary key; safe to interrupt and to run again."""
    with _life(data, "rewrap") as life:
        done = life.rewrap(_progress("data keys moved"))
    typer.echo(f"{done.moved} data keys moved, {len(done.failed)} do not open")
    if done.failed:
        typer.echo(f"groups (row): {_some(done.failed)}")
        raise typer.Exit(BROKEN)


@app.command(epilog="Example: facereco vault disable b66095ce")
def disable(key: Key, data: Data = None) -> None:
    """Switch a key off; one that still covers anything is refused."""
    with _life(data, "disable", key) as life:
        life.disable(key)
    typer.echo(f"{key}: disabled. `enable` takes it back, `destroy` is for ever")


@app.command(epilog="Example: facereco vault enable b66095ce")
def enable(key: Key, data: Data = None) -> None:
    """Take a key that was switched off back into service."""
    with _life(data, "enable", key) as life:
        life.enable(key)
    typer.echo(f"{key}: enabled")


@app.command(epilog="Example: facereco vault destroy b66095ce --yes")
def destroy(
    key: Key,
    data: Data = None,
    yes: Annotated[bool, typer.Option("--yes", help="Really.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Erase a key that was switched off; backups made before `rewrap` become unreadable."""
    if not yes:
        raise UsageError(
            f"destroying {key} makes every backup it covers unreadable; repeat with --yes"
        )
    with _life(data, "destroy", key) as life:
        life.destroy(key)
    typer.echo(f"{key}: destroyed")


@app.command(epilog="Example: FACERECO_KEYSET_KMS=vault://transit/facereco facereco vault wrap")
def wrap(data: Data = None) -> None:
    """Have the key service of FACERECO_KEYSET_KMS keep the keyset file closed."""
    settings = _with_service(data)
    _rewrite(settings, keyset_of(settings.model_copy(update={"keyset_kms": None})), "wrap")
    typer.echo(f"{settings.keyset}: wrapped by {settings.keyset_kms}")


@app.command(epilog="Example: FACERECO_KEYSET_KMS=vault://transit/facereco facereco vault unwrap")
def unwrap(data: Data = None) -> None:
    """Write the keyset file in clear again; afterwards unset FACERECO_KEYSET_KMS."""
    settings = _with_service(data)
    _rewrite(settings.model_copy(update={"keyset_kms": None}), keyset_of(settings), "unwrap")
    typer.echo(f"{settings.keyset}: in clear")


@app.command(epilog="Example: facereco vault verify --json")
def verify(data: Data = None, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag is a boolean
    """Open every data key and every vector; exit code 1 when something does not open."""
    from app.storage.inspection import inspect

    with acting(Settings.read(data=data), _entry("verify")) as storage:
        found = inspect(storage.database, storage.vault, _progress("faces opened"))
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        typer.echo(f"{found.groups} groups and {found.faces} faces open")
        typer.echo(f"broken groups (row): {_some(found.broken_groups)}")
        typer.echo(f"broken faces: {_some([face for _, face in found.broken_faces])}")
    if not found.sound:
        raise typer.Exit(BROKEN)


def _with_service(data: Data) -> Settings:
    settings = Settings.read(data=data)
    if settings.keyset_kms is None:
        raise UsageError("FACERECO_KEYSET_KMS names no key service")
    return settings


def _rewrite(settings: Settings, before: "KeysetSource", name: str) -> None:
    """Store the keyset the way `settings` say, in the place of `before`."""
    after = keyset_of(settings)
    with before.changing():
        after.replace(before.load())
    # Opens the database with what was written, and records that it was.
    with acting(settings, _entry(name)):
        pass


@contextmanager
def _life(data: Data, *action: str) -> Iterator["KeyLife"]:
    """What changes the keyset; an action, `("promote", key)`, is recorded."""
    from app.storage.key_life import KeyLife

    settings = Settings.read(data=data)
    with acting(settings, _entry(*action)) if action else opened(settings) as storage:
        yield KeyLife(storage.database, storage.vault, storage.keyset)


def _entry(name: str, key: str | None = None) -> AuditEntry:
    return AuditEntry(f"vault.{name}", detail=None if key is None else f"key {key}")


def _row(key: "KeyState") -> dict[str, object]:
    return {**asdict(key), "status": key.status.value}


def _some(names: list[int] | list[str]) -> str:
    shown = ", ".join(str(name) for name in names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown or "none"


def _progress(what: str) -> Callable[[int], None]:
    """Tells a person who waits, on standard error; a pipe is not disturbed."""
    shown = [0]

    def tell(count: int) -> None:
        if count - shown[0] >= 10_000:
            shown[0] = count
            typer.echo(f"{count} {what}", err=True)

    return tell
