"""Making a backup, proving it, and restoring it into an empty place."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Table, func, make_url, select

from app import __version__
from app.domain.errors import ConfigurationError
from app.domain.faults import FaultPoint, reached
from app.storage.archives import (
    DATABASE,
    KEYSET,
    SEALING,
    Archive,
    Manifest,
    drafted,
    sums_of,
    sync,
    write_manifest,
)
from app.storage.database import Database, at_start, sqlite_url
from app.storage.inspection import Inspection, inspect
from app.storage.keyrings import KeysetFile, KeysetSource
from app.storage.ledger import Ledger
from app.storage.migrate import REVISIONS, migrate
from app.storage.opening import is_new, unlock
from app.storage.replay import replay
from app.storage.stores import LEDGER, Storage, make_folders
from app.storage.tables import faces, groups, key_checks, tenants
from app.storage.transfer import copy_in, copy_out


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back, and how much of it the ledgers erased again."""

    groups: int
    faces: int
    erased_again: int
    ledgers: int


def create(storage: Storage, target: Path, *, with_keyset: bool) -> Manifest:
    """Write a backup of one moment into the new folder `target`, while servers go on.

    Raises `ConfigurationError`, `StoreUnavailable`.
    """
    with drafted(target) as draft:
        copy_out(storage.database, draft / DATABASE)
        reached(FaultPoint.BACKUP_WRITING)
        if with_keyset:
            KeysetFile(draft / KEYSET).create(storage.keyset.load())
        manifest = _described(draft, storage.vault.database_id)
        write_manifest(draft, manifest, storage.vault.derive(SEALING))
    return manifest


def verify(
    folder: Path, keyset: KeysetSource, progress: Callable[[int], None]
) -> tuple[Manifest, Inspection]:
    """Check every byte, and open every data key and vector. Raises `ConfigurationError`."""
    archive = Archive.open(folder)
    _demand_schema(archive)
    database = Database(sqlite_url(archive.database), immutable=True)
    try:
        vault = unlock(database, _keyset(archive, keyset).load())
        archive.demand_seal(vault.derive(SEALING))
        return archive.manifest, inspect(database, vault, progress)
    finally:
        database.close()


def restore(
    folder: Path, data: Path, url: str, keyset: KeysetSource, ledgers: Sequence[Path]
) -> Restored:
    """Bring a backup back where there is no database yet, without what was erased since.

    The ledger that lies in `data` counts, and those named. Raises `ConfigurationError`: there is a
    database already, the keyset is another one, or anything is damaged; then nothing is restored.
    """
    archive = Archive.open(folder)
    if archive.manifest.schema not in REVISIONS:
        raise ConfigurationError(f"backup {folder}: a newer server made it; restore it with one")
    source = _keyset(archive, keyset)
    loaded = source.load()
    with ExitStack() as stack:
        target = stack.enter_context(_empty_target(url))
        make_folders(data)
        stage = stack.enter_context(_staged(archive, data / "database"))
        database = Database(sqlite_url(stage))
        stack.callback(database.close)
        with at_start(f"backup {folder}"):
            migrate(database)
            vault = unlock(database, loaded)
            archive.demand_seal(vault.derive(SEALING))
            known = _Ledgers(data / "ledger" / LEDGER, ledgers, vault.database_id)
            again = database.write_now(lambda c: replay(c, known.erasures))
            counts = _counts(database)
            reached(FaultPoint.RESTORE_WRITING)
            if not keyset.exists():
                keyset.create(loaded)
            known.keep()
            database.close()
            target(stage)
    return Restored(counts["groups"], counts["faces"], again, known.count)


class _Ledgers:
    """Every erasure of one database that any of several ledgers remembers."""

    def __init__(self, own: Path, others: Sequence[Path], database_id: str) -> None:
        self._own = Ledger(own, database_id)
        # Dictionaries keep the order, and looking one up takes no longer in a ledger of millions.
        mine = dict.fromkeys(self._own.read() if own.exists() else [])
        theirs = dict.fromkeys(e for path in others for e in Ledger(path, database_id).read())
        self._new = [erasure for erasure in theirs if erasure not in mine]
        self.erasures = [*mine, *self._new]
        self.count = len(others) + own.exists()

    def keep(self) -> None:
        """Remember all of them in the own ledger from now on."""
        if self._new:
            self._own.append(self._new)


def _described(draft: Path, database_id: str) -> Manifest:
    database = Database(sqlite_url(draft / DATABASE), immutable=True)
    try:
        counts = _counts(database)
        keys = database.read_now(lambda c: c.scalars(select(key_checks.c.key_id)).all())
    finally:
        database.close()
    return Manifest(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        schema=REVISIONS[-1],
        database=database_id,
        master_keys=tuple(sorted(keys)),
        counts=counts,
        files=sums_of(draft),
    )


def _counts(database: Database) -> dict[str, int]:
    def count(connection: Connection, table: Table) -> int:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()

    return database.read_now(lambda c: {t.name: count(c, t) for t in (tenants, groups, faces)})


def _demand_schema(archive: Archive) -> None:
    if archive.manifest.schema != REVISIONS[-1]:
        raise ConfigurationError(
            f"backup {archive.folder}: it has schema {archive.manifest.schema}, this server"
            f" {REVISIONS[-1]}; verify it with the version that made it, or restore it"
        )


def _keyset(archive: Archive, keyset: KeysetSource) -> KeysetSource:
    """The operator's keyset; where there is none, the backup's own."""
    if keyset.exists():
        return keyset
    if archive.keyset is None:
        raise ConfigurationError(
            f"keyset {keyset}: there is no such file, and the backup was made without one"
        )
    return KeysetFile(archive.keyset)


@contextmanager
def _staged(archive: Archive, folder: Path) -> Iterator[Path]:
    """A copy of the backup's database beside where it goes; gone when the block ends."""
    stage = folder / f".restoring-{secrets.token_hex(8)}.db"
    try:
        shutil.copyfile(archive.database, stage)
        stage.chmod(0o600)
        yield stage
    except OSError as error:
        raise ConfigurationError(f"cannot restore into {folder}: {error.strerror}") from None
    finally:
        for leftover in folder.glob(f"{stage.name}*"):
            leftover.unlink()


@contextmanager
def _empty_target(url: str) -> Iterator[Callable[[Path], None]]:
    """What puts a staged database in its place, where there must be none."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        file = Path(str(address.database))
        if os.path.lexists(file):
            raise ConfigurationError(f"there is a database already: {file}")
        yield lambda stage: _put(stage, file)
        return
    database = Database(url)
    try:
        with at_start("cannot use the database"):
            _demand_empty(database)
            yield lambda stage: _pour(stage, database)
    finally:
        database.close()


def _put(stage: Path, file: Path) -> None:
    sync(stage)
    try:
        # Unlike a rename, a link fails when a database has appeared meanwhile.
        os.link(stage, file)
    except OSError as error:
        raise ConfigurationError(f"cannot write {file}: {error.strerror}") from None
    sync(file.parent)


def _pour(stage: Path, database: Database) -> None:
    migrate(database)
    if not is_new(database):
        raise ConfigurationError("there is a database already at this address")
    copy_in(stage, database)


def _demand_empty(database: Database) -> None:
    if database.has_tables() and not is_new(database):
        raise ConfigurationError("there is a database already at this address")
