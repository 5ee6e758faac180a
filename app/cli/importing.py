"""`facereco import`: register the photos of a folder, a table or an archive."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import Data, UsageError
from app.cli.process import INTERRUPTED, interruption, step_back, until
from app.cli.progress import progress, shown
from app.cli.reports import Report, Write, report
from app.cli.tenants import KeyName, tenant_of
from app.domain.values import Photo, Tenant
from app.intake.photos import Found, LabelFrom, in_folder, in_table
from app.intake.zips import in_archive
from app.services.importing import EARLIER, Imported, Outcome
from app.settings import Settings
from app.telemetry import logs

if TYPE_CHECKING:
    from app.main.workshop import Workshop

FAILED = 1
COLUMNS = ("file", "label", "outcome", "faceId", "detail")
EXAMPLE = "facereco import --group staff --create --report report.csv photos/"
# So many problems are told on the terminal; the report has all.
_TOLD = 20

Source = Annotated[
    Path, typer.Argument(metavar="FOLDER|CSV|ZIP", exists=True, help="Where the photos are.")
]
Label = Annotated[
    LabelFrom | None,
    typer.Option(
        help="What becomes the externalImageId: the file's name without its ending, the name "
        "of its folder, or the column `label`. The column for a CSV, else the name."
    ),
]
Largest = Annotated[
    bool, typer.Option("--largest", help="Of several faces take the largest, not none.")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, max=256, help="Processes that analyse; as many as cores if not given."),
]


@dataclass(frozen=True, slots=True)
class Options:
    """What an import was asked for."""

    group: str
    name: str | None
    report: Path | None
    create: bool
    largest: bool
    dry: bool


def import_photos(  # noqa: PLR0913 - one for each option
    *,
    source: Source,
    group: Annotated[str, typer.Option(help="The group their faces are registered in.")],
    label: Label = None,
    create: Annotated[bool, typer.Option("--create", help="Make the group if missing.")] = False,
    largest: Largest = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look, and write nothing.")] = False,
    report: Report = None,
    name: KeyName = None,
    workers: Workers = None,
    data: Data = None,
) -> None:
    """Register one face of each photo, beside running servers or without one.

    Begun again, after a kill too, it goes on where it was and registers nothing twice. Exit code 1
    when a photo failed; photos that show no usable face are told apart, and are no failure.
    """
    settings = Settings.read(data=data, workers=workers)
    logs.configure("warning")
    step_back()
    options = Options(group, name, report, create, largest, dry_run)
    with photos_in(source, label) as found:
        tally = asyncio.run(_run(settings, found.photos, options))
    for line in tally.lines():
        typer.echo(line)
    if found.others:
        typer.echo(f"{found.others} other files were passed over")
    if tally.interrupted:
        typer.echo("interrupted; the same command goes on from here", err=True)
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(FAILED if tally.outcomes[Outcome.FAILED] else 0)


@contextmanager
def photos_in(source: Path, label: LabelFrom | None) -> Iterator[Found]:
    """The photos of a folder, table or archive. Raises `UsageError`, `ConfigurationError`."""
    kind = "folder" if source.is_dir() else source.suffix.lower()
    if label is LabelFrom.COLUMN and kind != ".csv":
        raise UsageError("--label column is for a CSV file")
    match kind:
        case "folder":
            yield in_folder(source, label or LabelFrom.NAME)
        case ".csv" if source.is_file():
            yield in_table(source, label or LabelFrom.COLUMN)
        case ".zip" if source.is_file():
            with in_archive(source, label or LabelFrom.NAME) as found:
                yield found
        case _:
            raise UsageError(f"{source}: neither a folder nor a CSV or ZIP file")


@contextmanager
def unlabelled_in(source: Path) -> Iterator[Found]:
    """The photos of a folder or archive by their names alone. Raises as `photos_in`."""
    if source.is_dir():
        yield in_folder(source, None)
    elif source.is_file() and source.suffix.lower() == ".zip":
        with in_archive(source, None) as found:
            yield found
    else:
        raise UsageError(f"{source}: neither a folder nor a ZIP file")


async def _run(settings: Settings, photos: Sequence[Photo], options: Options) -> "Tally":
    from app.main.workshop import open_workshop

    async with open_workshop(settings) as workshop:
        tenant = await tenant_of(workshop.keys, options.name)
        if options.create and not options.dry:
            await workshop.ensure_group(tenant, options.group)
        with report(options.report, COLUMNS) as write:
            return await _import(workshop, tenant, photos, options, write)


async def _import(
    workshop: "Workshop", tenant: Tenant, photos: Sequence[Photo], options: Options, write: Write
) -> "Tally":
    rules = replace(workshop.rules, largest=options.largest, dry=options.dry)
    tally = Tally(write, dry=options.dry)
    with ExitStack() as stack:
        told = stack.enter_context(interruption())
        advance = stack.enter_context(progress(len(photos), "photos"))
        wanted = until(told, photos)
        imports = workshop.import_photos(tenant, options.group, wanted, rules)
        async with aclosing(imports) as outcomes:
            async for imported in outcomes:
                tally.add(imported)
                advance()
    tally.interrupted = tally.outcomes.total() < len(photos)
    return tally


@dataclass(slots=True)
class Tally:
    """What an import did; `interrupted` when photos are left."""

    write: Write
    dry: bool
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    earlier: int = 0
    interrupted: bool = False
    _began: float = field(default_factory=time.monotonic)
    _told: int = 0

    def add(self, imported: Imported) -> None:
        """Count one, report it, and tell of what is wrong with it."""
        photo, outcome = imported.photo, imported.outcome
        self.outcomes[outcome] += 1
        self.earlier += imported.detail == EARLIER
        face_id, detail = imported.face_id or "", imported.detail
        self.write((photo.name, photo.label or "", outcome.value, face_id, detail))
        if outcome is not Outcome.REGISTERED and self._told < _TOLD:
            self._told += 1
            why = f" ({detail})" if detail else ""
            typer.echo(f"{shown(photo.name)}: {outcome.value}{why}", err=True)

    def lines(self) -> Iterator[str]:
        """The sums, for a person."""
        seconds, count = time.monotonic() - self._began, self.outcomes.total()
        yield f"{count} photos in {seconds:.1f} s, {count / seconds:.1f} a second"
        for outcome in Outcome:
            if found := self.outcomes[outcome]:
                yield f"  {outcome.value:14} {found}{self._remark(outcome)}"

    def _remark(self, outcome: Outcome) -> str:
        if outcome is not Outcome.REGISTERED:
            return ""
        if self.dry:
            return f" ({self.earlier} there already; the others not yet, this was a dry run)"
        return f" ({self.earlier} there already)" if self.earlier else ""
