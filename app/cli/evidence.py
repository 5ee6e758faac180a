"""`facereco evidence`: what a pack does on this machine and on one's own pictures, as a page."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.tables import Model
from app.settings import Settings

EXAMPLE = "facereco evidence --out evidence --people photos/"


def evidence(  # noqa: PLR0913 - one for each option
    *,
    out: Annotated[Path, typer.Option(help="Folder for index.html and evidence.json.")],
    people: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="A folder for each person, with photos."),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Labelled boxes in the format of WIDER."),
    ] = None,
    boxes_photos: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of their photos.")
    ] = None,
    masked: Annotated[
        list[Path] | None,
        typer.Option(exists=True, file_okay=False, help="Faces with masks; repeatable."),
    ] = None,
    bare: Annotated[
        list[Path] | None,
        typer.Option(exists=True, file_okay=False, help="Faces without; repeatable."),
    ] = None,
    live: Annotated[
        list[Path] | None,
        typer.Option(exists=True, file_okay=False, help="Live faces; repeatable."),
    ] = None,
    attacks: Annotated[
        list[Path] | None,
        typer.Option(exists=True, file_okay=False, help="One kind of attack each; repeatable."),
    ] = None,
    model: Model = None,
) -> None:
    """Measure a pack on your own pictures and write a page that stands on its own, and JSON.

    Verification, identification among up to 100,000, detection, masks, angles, spoofing, speed.
    Without pictures of your own, the few that come with the packages are shown.
    """
    settings = Settings.read()
    command = [sys.executable, "-P", "-m", "benchmarks.evidence", "--out", str(out)]
    command += ["--pack", model or settings.model]
    for folder in settings.model_path:
        command += ["--weights", str(folder)]
    single = {"people": people, "boxes": boxes, "boxes-photos": boxes_photos}
    several = {"masked": masked, "bare": bare, "live": live, "attacks": attacks}
    for name, path in single.items():
        command += [f"--{name}", str(path)] if path is not None else []
    for name, paths in several.items():
        command += [f"--{name}", *map(str, paths)] if paths else []
    raise typer.Exit(subprocess.call(command))  # noqa: S603 - our own interpreter
