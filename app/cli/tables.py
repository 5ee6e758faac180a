"""`facereco calibrate apply | revert | list`: which tables of similarity count, and where."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.cli.auditing import acting, opened
from app.cli.options import AsJson, Data, UsageError
from app.cli.tenants import KeyName, tenant_of
from app.domain.calibration import read_table
from app.domain.values import AppliedTable, AuditEntry, ModelVersion
from app.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.storage.calibrations import SqlCalibrations
    from app.storage.stores import Storage
    from app.vision.packs import PackCatalog

T = TypeVar("T")

GroupName = Annotated[
    str | None, typer.Option(metavar="ID", help="For one group; the whole server if not given.")
]

Model = Annotated[str | None, typer.Option(help="The pack; the one in use if not given.")]


def apply_table(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The table.")],
    *,
    group: GroupName = None,
    name: KeyName = None,
    data: Data = None,
) -> None:
    """Let a table count, within a second and on every replica."""
    text, model = _checked(file)
    detail = f"model {model}"
    number = _with(
        data,
        lambda storage, row: _store(storage).apply(text, model, row),
        (name, group),
        AuditEntry("calibrate.apply", group=group, detail=detail),
    )
    typer.echo(f"table {number} counts for {group or 'the server'} ({model})")


def revert(
    *,
    group: GroupName = None,
    name: KeyName = None,
    model: Model = None,
    data: Data = None,
) -> None:
    """Take the table that counts out of force; the one before it counts again, or the pack's."""
    version = known_packs().get(model or Settings.read().model).model_version
    number = _with(
        data,
        lambda storage, row: _store(storage).revert(version, row),
        (name, group),
        AuditEntry("calibrate.revert", group=group, detail=f"model {version}"),
    )
    if number is None:
        raise UsageError(f"no table counts for {group or 'the server'} and {version}")
    typer.echo(f"table {number} counts no more for {group or 'the server'} ({version})")


def list_tables(*, data: Data = None, as_json: AsJson = False) -> None:
    """Every table that was applied, oldest first."""

    async def run() -> list[AppliedTable]:
        with opened(Settings.read(data=data)) as storage:
            return await _store(storage).list()

    tables = asyncio.run(run())
    if as_json:
        typer.echo(json.dumps([_row(table) for table in tables]))
        return
    for table in tables:
        where = f"{table.tenant}/{table.group}" if table.group else "server"
        state = "counts" if table.in_force else "reverted" if table.reverted else "superseded"
        said = read_table(table.content).rates
        why = said.provenance if said else ""
        typer.echo(
            f"{table.number:<4} {state:<11} {where:<24} {table.model}  "
            f"{table.applied:%Y-%m-%d %H:%M}  {why}"
        )


def _row(table: AppliedTable) -> dict[str, object]:
    return {
        "number": table.number,
        "tenant": table.tenant,
        "group": table.group,
        "modelVersion": table.model,
        "applied": table.applied.isoformat(),
        "reverted": table.reverted.isoformat() if table.reverted else None,
        "counts": table.in_force,
        "table": json.loads(table.content),
    }


def known_packs() -> "PackCatalog":
    """The packs that the settings know."""
    from app.vision.packs import MODELS, PackCatalog

    return PackCatalog(MODELS, Settings.read().model_path)


def _checked(file: Path) -> tuple[str, ModelVersion]:
    """A table's text and the model version it is for, which must be installed."""
    try:
        text = file.read_text(encoding="utf-8")
        read_table(text)
        model = json.loads(text).get("model")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from None
    versions = {pack.model_version for pack in known_packs().packs()}
    if not isinstance(model, str) or model not in versions:
        raise UsageError(f"{file}: it is for no model version that is known here")
    return text, ModelVersion(model)


def _store(storage: "Storage") -> "SqlCalibrations":
    from app.storage.calibrations import SqlCalibrations

    return SqlCalibrations(storage.database)


def _with(
    data: Data,
    use: "Callable[[Storage, int | None], Awaitable[T]]",
    where: tuple[str | None, str | None],
    entry: AuditEntry,
) -> T:
    settings = Settings.read(data=data)

    async def run() -> T:
        with acting(settings, entry) as storage:
            return await use(storage, await _row_of(storage, *where))

    return asyncio.run(run())


async def _row_of(storage: "Storage", name: str | None, group: str | None) -> int | None:
    """The row of a group of a key; None for the whole server. Raises `GroupNotFound`."""
    from app.storage.groups import SqlGroupStore

    if group is None:
        return None
    tenant = await tenant_of(storage.keys, name)
    found = await SqlGroupStore(storage.database, storage.vault).get(tenant, group)
    return found.row
