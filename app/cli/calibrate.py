"""`facereco calibrate`: fit a table of similarity on one's own photos, and let it count."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import numpy as np
import typer

from app.cli import tables
from app.cli.options import UsageError
from app.cli.rates import error_lines, share
from app.cli.tables import known_packs
from app.domain.calibration import InvalidTable, Table, read_table
from app.domain.equating import At, Scored, TooFewScores, compared, equate
from app.domain.errors import ConfigurationError
from app.domain.fitting import TooFewPairs, Trials, cross, fit
from app.intake.pairs import (
    Pair,
    ScoredPair,
    people_below,
    read_labelled,
    read_pairs,
    read_scored,
)
from app.settings import Settings

if TYPE_CHECKING:
    from app.cli.vectors import Vector
    from app.vision.manifests import Pack

EXAMPLE = "facereco calibrate --photos people/ --out table.json"
THRESHOLDS = (50.0, 60.0, 70.0, 80.0, 90.0)

Told = TypeVar("Told", Pair, ScoredPair)

app = typer.Typer(
    help="Fit a table of similarity on your own photos, and let it count.", epilog=EXAMPLE
)

Folder = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="The photos; beside the list if not given."),
]


@dataclass(frozen=True, slots=True)
class Made:
    """A table as it is written, and what is said of it."""

    content: dict[str, object]
    lines: list[str]
    left_out: dict[Path, str]


@app.callback(invoke_without_command=True, epilog=f"Example: {EXAMPLE}")
def calibrate(  # noqa: PLR0913 - one for each option
    context: typer.Context,
    *,
    pairs: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Labelled pairs: LFW's format, or a CSV left,right,same."
        ),
    ] = None,
    match: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A CSV left,right,similarity[,same] of the cloud."
        ),
    ] = None,
    photos: Folder = None,
    threshold: Annotated[
        list[float] | None,
        typer.Option(min=1, max=99, help="With --match: a threshold clients use; repeatable."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The pack; the one in use if not given.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the table is written.")] = Path("table.json"),
) -> None:
    """Fit a table of similarity on your own photos, and tell how sure it is.

    On labelled pairs (--pairs), on a folder for each person (--photos alone), or on pairs with the
    similarity the cloud gave (--match). It is written to a file; `calibrate apply` lets it count.
    """
    if context.invoked_subcommand is not None:
        return
    if pairs is not None and match is not None:
        raise UsageError("of --pairs and --match, one at a time")
    listed = pairs or match
    if photos is None and listed is None:
        raise UsageError("calibrate needs --photos, --pairs or --match")
    folder = photos or (listed.parent if listed else Path())
    made = _made(pairs, match, folder, model, tuple(threshold or THRESHOLDS))
    for line in made.lines:
        typer.echo(line)
    for path, why in list(made.left_out.items())[:20]:
        typer.echo(f"{path}: {why}", err=True)
    if made.left_out:
        typer.echo(f"{len(made.left_out)} photos were left out", err=True)
    _write(out, made.content)
    typer.echo(f"written to {out}; `facereco calibrate apply {out}` lets it count")


def _made(
    pairs: Path | None,
    match: Path | None,
    photos: Path,
    model: str | None,
    thresholds: Sequence[float],
) -> Made:
    pack = known_packs().get(model or Settings.read().model)
    try:
        if match is not None:
            return _matched(pack, _listed(read_scored, match, photos), thresholds)
        if pairs is None:
            return _crossed(pack, {path: who for who, path in people_below(photos)})
        read = read_labelled if pairs.suffix.lower() == ".csv" else read_pairs
        return _paired(pack, _listed(read, pairs, photos))
    except (TooFewPairs, TooFewScores) as error:
        raise UsageError(str(error)) from None


def _listed(read: Callable[[Path, Path], list[Told]], file: Path, photos: Path) -> list[Told]:
    """The pairs of a list, all of photos that are there. Raises `UsageError`."""
    try:
        pairs = read(file, photos)
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
    for path in (path for pair in pairs for path in (pair.first, pair.second)):
        if not path.is_file():
            raise UsageError(f"{file} names {path}, where no photo is")
    return pairs


def _crossed(pack: "Pack", people: dict[Path, str]) -> Made:
    known, left_out = _vectors(pack, people)
    names = [people[path] for path in known]
    matrix = np.stack(list(known.values())) if known else np.empty((0, 1), np.float32)
    same, different = cross(matrix, names)
    told = f"every pair of {len(names)} photos of {len(set(names))} people"
    return _fitted(pack, same, different, told, left_out)


def _paired(pack: "Pack", pairs: Sequence[Pair]) -> Made:
    known, left_out = _vectors(pack, [p for pair in pairs for p in (pair.first, pair.second)])
    usable = [pair for pair in pairs if pair.first in known and pair.second in known]
    kinds = {True: list[float](), False: list[float]()}
    for pair in usable:
        kinds[pair.same].append(float(known[pair.first] @ known[pair.second]))
    same, different = (Trials.unrelated(np.array(kinds[kind])) for kind in (True, False))
    return _fitted(pack, same, different, f"{len(usable)} labelled pairs", left_out)


def _fitted(
    pack: "Pack", same: Trials, different: Trials, told: str, left_out: dict[Path, str]
) -> Made:
    content = {"model": pack.model_version, **fit(same, different).as_json(f"Own photos: {told}.")}
    return Made(content, error_lines(_read(json.dumps(content)).rates), left_out)


def _matched(pack: "Pack", pairs: Sequence[ScoredPair], thresholds: Sequence[float]) -> Made:
    known, left_out = _vectors(pack, [p for pair in pairs for p in (pair.first, pair.second)])
    usable = [pair for pair in pairs if pair.first in known and pair.second in known]
    labels = [pair.same for pair in usable]
    scored = Scored(
        np.array([float(known[pair.first] @ known[pair.second]) for pair in usable]),
        np.array([pair.similarity for pair in usable]),
        np.array(labels, bool) if labels and None not in labels else None,
    )
    cosines, similarities = equate(scored)
    content: dict[str, object] = {
        "model": pack.model_version,
        "cosine": cosines,
        "similarity": similarities,
        "provenance": f"Matched to the similarities of {len(usable)} pairs of another service.",
    }
    table = _read(json.dumps(content)).calibration
    found = [compared(scored, at, table.cosine(at)) for at in thresholds]
    own = known_packs().table(pack)
    return Made(content, [line for at in found for line in _told(at, own)], left_out)


def _told(at: At, own: Table) -> list[str]:
    """What becomes of a client's threshold under the new table."""
    similarity = own.calibration.similarity(at.cosine)
    lines = [
        f"threshold {at.threshold:g}",
        f"  accepted there        {share(at.there)}",
        f"  accepted here         {share(at.here)}",
        f"  decided alike         {share(at.agreed)}",
    ]
    for title, errors in (("there", at.errors_there), ("here", at.errors_here)):
        if errors is not None:
            lines.append(f"  strangers match {title:<6}{share(errors.false_matches)}")
            lines.append(f"  missed {title:<15}{share(errors.false_rejections)}")
    if own.rates is not None:
        rates = own.rates.at(similarity)
        lines.append(
            f"  by the pack's table   similarity {similarity:.1f}: strangers match "
            f"{rates.false_match:.2g}, same person missed {rates.false_rejection:.1%}"
        )
    return lines


def _vectors(pack: "Pack", photos: Iterable[Path]) -> "tuple[dict[Path, Vector], dict[Path, str]]":
    from app.cli.vectors import vectors

    return vectors(known_packs(), pack, photos)


def _read(text: str) -> Table:
    try:
        return read_table(text)
    except InvalidTable as error:
        raise UsageError(f"these pairs make no table: {error}") from None


def _write(out: Path, content: dict[str, object]) -> None:
    try:
        out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out}: {error.strerror}") from None


app.command("apply", epilog="Example: facereco calibrate apply table.json --group staff")(
    tables.apply_table
)
app.command("revert", epilog="Example: facereco calibrate revert --group staff")(tables.revert)
app.command("list", epilog="Example: facereco calibrate list --json")(tables.list_tables)
