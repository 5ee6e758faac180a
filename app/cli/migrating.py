"""`facereco migrate`: take groups over from the cloud, or another server, with their ids."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import urlsplit

import typer

from app.cli.importing import Workers, unlabelled_in
from app.cli.options import Data, UsageError, base_url, demand_printable
from app.cli.process import INTERRUPTED, interruption, step_back, until
from app.cli.progress import progress, shown
from app.cli.reports import Report, Write, report
from app.cli.tenants import KeyName, tenant_of
from app.domain.errors import CloudRefused
from app.domain.values import CloudFace, Photo, Tenant
from app.intake.cloud import CloudAccount, CloudKeys
from app.services.moving import EARLIER, Fate, Moved, MoveRules, preview
from app.services.shelf import PhotoShelf
from app.settings import Settings
from app.telemetry import logs

if TYPE_CHECKING:
    from app.main.workshop import Workshop

LEFT_BEHIND = 1
UNUSED = "unused photo"
COLUMNS = ("group", "faceId", "imageId", "externalImageId", "photo", "outcome", "detail")
EXAMPLE = (
    "MIGRATE_APP_KEY=KEY facereco migrate --from https://CLOUD --photos photos/ --report moved.csv"
)
_DONE = frozenset({Fate.MOVED, Fate.DELETED})
_TOLD = 20
_LONGEST_SECRET = 4096

Base = Annotated[str, typer.Option("--from", metavar="URL", help="Base URL to move from.")]
AppKey = Annotated[
    str, typer.Option(envvar="MIGRATE_APP_KEY", metavar="KEY", help="The appKey there.")
]
SecretKey = Annotated[str | None, typer.Option(envvar="MIGRATE_SECRET_KEY", hidden=True)]
SecretKeyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Its secretKey; v2.0 is spoken then.")
]
AskSecretKey = Annotated[
    bool, typer.Option("--ask-secret-key", help="Ask for the secretKey on the terminal.")
]
Photos = Annotated[
    Path,
    typer.Option(metavar="FOLDER|ZIP", exists=True, help="Photos called as externalImageId says."),
]
Groups = Annotated[
    list[str] | None, typer.Option(help="Only this group; repeatable. All if not given.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List, compare names, and write nothing.")]


@dataclass(frozen=True, slots=True)
class Options:
    """What a migration was asked for; no `groups` means all."""

    base: str
    keys: CloudKeys
    groups: Sequence[str]
    name: str | None
    report: Path | None
    dry: bool


def migrate(  # noqa: PLR0913 - one for each option
    context: typer.Context,
    *,
    base: Base,
    app_key: AppKey,
    photos: Photos,
    secret_key: SecretKey = None,
    secret_key_file: SecretKeyFile = None,
    ask_secret_key: AskSecretKey = False,
    group: Groups = None,
    dry_run: DryRun = False,
    report: Report = None,
    name: KeyName = None,
    workers: Workers = None,
    data: Data = None,
) -> None:
    """Register here what an account elsewhere has, keeping faceId and imageId.

    Vectors cannot be taken from there: each face is found again in its photo, at the place where
    the other server has it. Begun again, after a kill too, it goes on where it was. Exit code 1
    when a face is left behind. A secretKey may also be in MIGRATE_SECRET_KEY.
    """
    source = context.get_parameter_source("secret_key")
    if source is not None and source.name == "COMMANDLINE":
        raise UsageError("others see arguments: MIGRATE_SECRET_KEY, or --secret-key-file FILE")
    settings = Settings.read(data=data, workers=workers)
    logs.configure("warning")
    step_back()
    secret = _secret(secret_key, secret_key_file, ask=ask_secret_key)
    demand_printable(app_key, secret or "")
    keys = CloudKeys(app_key, secret)
    options = Options(_safe(base_url(base)), keys, group or (), name, report, dry_run)
    with unlabelled_in(photos) as found:
        tally = _finished(settings, options, found.photos)
    _sum_up(tally)


def _sum_up(tally: "Tally") -> NoReturn:
    for line in tally.lines():
        typer.echo(line)
    if tally.interrupted:
        typer.echo("interrupted; the same command goes on from here", err=True)
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(0 if tally.is_whole else LEFT_BEHIND)


def _secret(given: str | None, file: Path | None, *, ask: bool) -> str | None:
    """The secretKey from where it was said to be. Raises `UsageError`."""
    if ask:
        answer: str = typer.prompt("secretKey", hide_input=True, err=True)
        return answer.strip()
    if file is None:
        return given
    try:
        with file.open(encoding="utf-8") as lines:
            secret = lines.readline(_LONGEST_SECRET).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text"
        raise UsageError(f"{file}: {reason}") from None
    if not secret:
        raise UsageError(f"{file}: its first line is empty")
    return secret


def _safe(base: str) -> str:
    """A base URL that keys may be sent to. Raises `UsageError`."""
    parts = urlsplit(base)
    if parts.scheme == "https" or _is_near(parts.hostname or ""):
        return base
    raise UsageError("keys and faces would be sent in clear text: --from https://…")


def _is_near(host: str) -> bool:
    """Whether an address is in the own network."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_private
    except ValueError:
        return False


def _finished(settings: Settings, options: Options, photos: Sequence[Photo]) -> "Tally":
    try:
        return asyncio.run(_run(settings, options, photos))
    except CloudRefused as error:
        raise UsageError(f"{options.base}: {error}") from None


async def _run(settings: Settings, options: Options, photos: Sequence[Photo]) -> "Tally":
    from app.main.workshop import open_workshop

    async with CloudAccount(options.base, options.keys) as cloud, open_workshop(settings) as shop:
        tenant = await tenant_of(shop.keys, options.name)
        groups = await _groups(cloud, options.groups)
        with report(options.report, COLUMNS) as write, interruption() as told:
            shelf, tally = PhotoShelf(photos), Tally(write)
            migration = _Migration(shop, tenant, shelf, options.dry, tally, told)
            for group_id in until(told, groups):
                await migration.take(group_id, await cloud.faces(group_id))
            return migration.finished()


async def _groups(cloud: CloudAccount, wanted: Sequence[str]) -> Sequence[str]:
    """The groups to move, all or those wanted. Raises `UsageError` when one is not there."""
    there = await cloud.groups()
    for group_id in wanted:
        if group_id not in there:
            raise UsageError(f"there is no group {shown(group_id)!r} to move")
    return wanted or there


@dataclass(frozen=True, slots=True)
class _Migration:
    """Takes one group after the other; `told` when somebody tells to stop."""

    shop: "Workshop"
    tenant: Tenant
    shelf: PhotoShelf
    dry: bool
    tally: "Tally"
    told: asyncio.Event

    async def take(self, group_id: str, faces: Sequence[CloudFace]) -> None:
        """Register the faces of a group here, and tell what became of each."""
        typer.echo(f"{group_id}: {len(faces)} faces", err=True)
        if not self.dry:
            await self.shop.ensure_group(self.tenant, group_id)
        with progress(len(faces), "faces") as advance:
            async with aclosing(self._moved(group_id, faces)) as moves:
                async for moved in moves:
                    self.tally.add(group_id, moved)
                    advance()
                    if self.told.is_set():
                        break

    async def _moved(
        self, group_id: str, faces: Sequence[CloudFace]
    ) -> AsyncGenerator[Moved, None]:
        if self.dry:
            for moved in preview(group_id, faces, self.shelf):
                yield moved
            return
        given = self.shop.rules
        rules = MoveRules(given.limits, given.quota, given.ahead)
        moves = self.shop.move_faces(self.tenant, group_id, faces, self.shelf, rules)
        async with aclosing(moves):
            async for moved in moves:
                yield moved

    def finished(self) -> "Tally":
        """The sums, with the photos that belong to no face if all faces were looked at."""
        self.tally.interrupted = self.told.is_set()
        if not self.tally.interrupted:
            for photo in self.shelf.unused:
                self.tally.unused(photo)
        return self.tally


@dataclass(slots=True)
class Tally:
    """What a migration did."""

    write: Write
    fates: Counter[Fate] = field(default_factory=Counter)
    earlier: int = 0
    photos_unused: int = 0
    interrupted: bool = False
    _told: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether no face was left behind."""
        return all(fate in _DONE for fate in self.fates)

    def add(self, group_id: str, moved: Moved) -> None:
        """Count one face, report it, and tell of what is wrong with it."""
        face, fate = moved.face, moved.fate
        self.fates[fate] += 1
        self.earlier += moved.detail == EARLIER
        ids = (group_id, face.face_id, face.image_id, face.external_image_id or "")
        self.write((*ids, moved.photo, fate.value, moved.detail))
        if fate not in _DONE:
            why = f" ({moved.detail})" if moved.detail else ""
            self._tell(f"{group_id}/{face.face_id}: {fate.value}{why}")

    def unused(self, photo: Photo) -> None:
        """Report a photo that belongs to no face."""
        self.photos_unused += 1
        self.write(("", "", "", "", photo.name, UNUSED, ""))
        self._tell(f"{shown(photo.name)}: no face has this name")

    def lines(self) -> Iterator[str]:
        """The sums, for a person."""
        yield f"{self.fates.total()} faces"
        for fate in Fate:
            if count := self.fates[fate]:
                earlier = f" ({self.earlier} there already)" if self.earlier else ""
                yield f"  {fate.value:14} {count}{earlier if fate is Fate.MOVED else ''}"
        if self.photos_unused:
            yield f"{self.photos_unused} photos belong to no face"

    def _tell(self, line: str) -> None:
        if self._told < _TOLD:
            self._told += 1
            typer.echo(line, err=True)
