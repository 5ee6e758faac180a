"""`facereco models`: which packs there are, on what terms, and whether their files are intact."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from app.cli.options import AsJson
from app.cli.rates import at_shown, error_lines
from app.domain.errors import ConfigurationError
from app.domain.values import SpoofingCondition
from app.settings import Settings
from app.vision.manifests import Pack, PointsSection
from app.vision.packs import MODELS, FileState, FileStatus, PackCatalog

app = typer.Typer(help="List, show and verify model packs.", no_args_is_help=True)

Name = Annotated[str | None, typer.Argument(help="The pack; the one in use when left out.")]


@app.command("list", epilog="Example: facereco models list")
def list_(as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag is a boolean
    """Every pack known, and whether its weights are here."""
    catalog = _catalog()
    rows = [_row(catalog, pack) for pack in catalog.packs()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        state = "ready" if row["ready"] else "weights missing"
        typer.echo(f"{row['name']:<22} {state:<16} {row['licence']}")


@app.command(epilog="Example: facereco models show starter")
def show(name: Name = None, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag is a boolean
    """One pack: what it is, its licence, files and model version, how often it is wrong."""
    catalog = _catalog()
    pack = catalog.get(name or Settings.read().model)
    row = _row(catalog, pack)
    if as_json:
        typer.echo(json.dumps(row))
        return
    typer.echo(f"{catalog.called(pack)}: {pack.title}")
    typer.echo(f"licence         {pack.licence}")
    typer.echo(f"commercial use  {'allowed' if pack.commercial_use else 'not allowed'}")
    typer.echo(f"model version   {pack.model_version}")
    for line in error_lines(catalog.table(pack).rates):
        typer.echo(line)
    for line in _spoofing(pack):
        typer.echo(f"spoofing        {line}")
    for file in catalog.status(pack):
        typer.echo(f"{_state(file):<15} {file.path or file.file}")


@app.command(epilog="Example: facereco models verify starter")
def verify(name: Name = None) -> None:
    """Check the SHA-256 of every file of a pack; exit code 78 when one is missing or differs."""
    catalog = _catalog()
    pack = catalog.get(name or Settings.read().model)
    files = catalog.status(pack)
    for file in files:
        typer.echo(f"{_state(file):<15} {file.path or file.file}")
    if any(file.state is not FileState.OK for file in files):
        raise ConfigurationError(f"model pack {pack.name!r} is not complete")


def _catalog() -> PackCatalog:
    return PackCatalog(MODELS, Settings.read().model_path)


def _row(catalog: PackCatalog, pack: Pack) -> dict[str, object]:
    files = catalog.status(pack)
    return {
        "name": catalog.called(pack),
        "title": pack.title,
        "licence": pack.licence,
        "commercialUse": pack.commercial_use,
        "modelVersion": pack.model_version,
        "errors": [asdict(at) for at in at_shown(catalog.table(pack).rates)],
        "spoofing": None if pack.spoofing_points is None else asdict(pack.spoofing_points),
        "ready": all(file.state is FileState.OK for file in files),
        "files": {file.file: file.state.value for file in files},
    }


def _spoofing(pack: Pack) -> list[str]:
    whole, aligned = pack.spoofing_points, pack.aligned_spoofing_points
    if whole is None:
        return ["not detected: the pack has no spoofing models"]
    return [
        whole.measured_on,
        *_rates("", whole),
        *(_rates("aligned, ", aligned) if aligned else []),
    ]


def _rates(view: str, points: PointsSection) -> list[str]:
    named = ((condition.value, points.at(condition.value)) for condition in SpoofingCondition)
    return [
        f"{view}{name}: {point.apcer:.1%} of attacks pass, {point.bpcer:.1%} of live faces refused"
        for name, point in named
    ]


def _state(file: FileStatus) -> str:
    return file.state.value
