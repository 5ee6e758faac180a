"""Opens a database with its keyset, or makes both where there is neither."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.domain.errors import ConfigurationError
from app.storage.database import Database, at_start, is_there
from app.storage.erasures import Erasures
from app.storage.keyrings import KeysetFile, KeysetSource, LiveKeyset, locked_folder
from app.storage.keys import SqlKeyRegistry
from app.storage.keysets import Keyset
from app.storage.ledger import Ledger
from app.storage.migrate import is_current, migrate
from app.storage.opening import compare, is_new, open_vault
from app.storage.vault import Vault

LEDGER = "erasures.jsonl"


@dataclass(frozen=True, slots=True)
class Storage:
    """An open database with its vault."""

    database: Database
    vault: Vault
    keys: SqlKeyRegistry
    erasures: Erasures
    keyset: KeysetSource


@contextmanager
def open_storage(data: Path, url: str, keyset: Path | KeysetSource) -> Iterator[Storage]:
    """The database at `url`, at its newest schema, with the keyset it was written with.

    The folder `data` is made where it is missing, and an empty database without a keyset gets one.

    Raises:
        ConfigurationError: the folder, the database or the keyset cannot be used, or they do not
            belong together; one line for the operator.
    """
    source = KeysetFile(keyset) if isinstance(keyset, Path) else keyset
    _refuse_beside_database(data, source)
    # Before a folder is made: whatever is wrong with a keyset, nothing was written. The stamp is
    # taken before reading, so that a change in between is seen as one.
    stamp, known = source.stamp(), _known(source)
    _refuse_unusable(data, url)
    make_folders(data)
    with ExitStack() as stack:
        # Several first starts on one folder would each make a keyset, and SQLite refuses all but
        # one of them while the journal is chosen.
        with locked_folder(data):
            if known is None:
                stamp, known = source.stamp(), _known(source)
            database = Database(url)
            stack.callback(database.close)
            migrate(database, partial(compare, keyset=known))
            if known is None:
                known, stamp = _new_keyset(source, database), source.stamp()
            vault = open_vault(database, known, partial(LiveKeyset, source, known, stamp))
        ledger = Ledger(data / "ledger" / LEDGER, vault.database_id)
        erasures = Erasures(database, ledger)
        keys = SqlKeyRegistry(database, vault, erasures.remember)
        yield Storage(database, vault, keys, erasures, source)


def _known(source: KeysetSource) -> Keyset | None:
    return source.load() if source.exists() else None


def _refuse_beside_database(data: Path, source: KeysetSource) -> None:
    folder = (data / "database").resolve()
    if isinstance(source, KeysetFile) and source.path.parent.resolve().is_relative_to(folder):
        raise ConfigurationError(
            f"keyset {source}: it is in the folder of the database, so a copy of one has both"
        )


def _refuse_unusable(data: Path, url: str) -> None:
    """Before a folder is made: a database that cannot be used, or is newer, changes nothing.

    In turn with other starts where there is a folder to agree on: one of them may be choosing the
    journal of a file that it has only just made.
    """
    turn = locked_folder(data) if data.is_dir() else nullcontext()
    if is_there(url):
        with turn, closing(Database(url)) as database, at_start("cannot use the database"):
            database.snapshot_now(is_current)


def make_folders(data: Path) -> None:
    """Those of a data folder, for the owner alone. The parent of `data` must exist.

    A mistyped path or a disk that is not mounted must not become a new, empty database.
    """
    try:
        for folder in (data, data / "database", data / "keys", data / "ledger"):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"data folder {data} (FACERECO_DATA): {error.strerror}") from None


def _new_keyset(source: KeysetSource, database: Database) -> Keyset:
    if not is_new(database):
        raise ConfigurationError(
            f"keyset {source}: there is no such file, and the database was written with one"
        )
    keyset = Keyset.generate()
    source.create(keyset)
    return keyset
