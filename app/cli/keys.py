"""`facereco keys`: make, list and revoke appKeys."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from app.api.revisions import DEFAULT_REVISION, REVISIONS
from app.cli.auditing import acting, opened
from app.cli.options import AsJson, Data, UsageError
from app.domain.ports import KeyRegistry
from app.domain.values import AuditEntry, KeyStatus
from app.settings import Settings

T = TypeVar("T")

app = typer.Typer(help="Make, list and revoke appKeys.", no_args_is_help=True)


@app.command(epilog="Example: facereco keys create --name front-door")
def create(
    name: Annotated[str, typer.Option(help="Whom the key is for; shown in logs.")],
    data: Data = None,
    revision: Annotated[
        str, typer.Option(help="Edition of the v1.0 contract this key is served.")
    ] = DEFAULT_REVISION,
    as_json: AsJson = False,  # noqa: FBT002 - a flag is a boolean
) -> None:
    """Make an appKey with its secretKey and show both once."""
    if revision not in REVISIONS:
        raise UsageError(f"revision {revision!r} is not served (known: {', '.join(REVISIONS)})")
    made = AuditEntry("keys.create", tenant=name)
    key = _with_keys(data, lambda keys: keys.create(name, revision), made)
    if as_json:
        typer.echo(json.dumps({"appKey": key.app_key, "secretKey": key.secret_key}))
        return
    typer.echo(f"appKey     {key.app_key}\nsecretKey  {key.secret_key}\nShown this once.")


@app.command("list", epilog="Example: facereco keys list")
def list_(data: Data = None, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag is a boolean
    """Show who has a key; the keys themselves are stored as hashes only."""
    keys = _with_keys(data, lambda keys: keys.list())
    if as_json:
        typer.echo(json.dumps([_row(key) for key in keys]))
        return
    for key in keys:
        state = "revoked" if key.revoked else "active"
        typer.echo(f"{key.tenant.name}  {key.tenant.revision}  {state}  {key.created:%Y-%m-%d}")


@app.command(epilog="Example: facereco keys revoke --name front-door")
def revoke(
    name: Annotated[str, typer.Option(help="The name the key was made with.")], data: Data = None
) -> None:
    """Refuse a key from now on; its groups and faces stay."""
    _with_keys(data, lambda keys: keys.revoke(name), AuditEntry("keys.revoke", tenant=name))
    typer.echo(f"{name}: revoked")


@app.command(epilog="Example: facereco keys delete --name front-door --yes")
def delete(
    name: Annotated[str, typer.Option(help="The name the key was made with.")],
    data: Data = None,
    yes: Annotated[bool, typer.Option("--yes", help="Without it nothing is erased.")] = False,  # noqa: FBT002 - a flag is a boolean
) -> None:
    """Erase a key with all of its groups and faces, for good."""
    if not yes:
        raise UsageError(f"this erases every group and face of {name!r} for good; add --yes")
    count = _with_keys(data, lambda keys: keys.delete(name), AuditEntry("keys.delete", tenant=name))
    typer.echo(f"{name}: erased with {count} groups")


def _with_keys(
    data: Data, use: Callable[[KeyRegistry], Awaitable[T]], entry: AuditEntry | None = None
) -> T:
    from app.storage.upkeep import Upkeep

    settings = Settings.read(data=data)

    async def run() -> T:
        with opened(settings) if entry is None else acting(settings, entry) as storage:
            result = await use(storage.keys)
            Upkeep(storage.database, storage.erasures).settle()
            return result

    return asyncio.run(run())


def _row(key: KeyStatus) -> dict[str, str | None]:
    return {
        "name": key.tenant.name,
        "revision": key.tenant.revision,
        "created": key.created.isoformat(),
        "revoked": key.revoked.isoformat() if key.revoked else None,
    }
