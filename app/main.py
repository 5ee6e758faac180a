"""Puts the rooms together: settings in, a house of use cases out; knows every room."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from app.api.revisions import DEFAULT_REVISION
from app.api.services import Presentation, Services
from app.domain.errors import ConfigurationError
from app.domain.ports import Vision
from app.domain.values import Eligibility, IssuedKey, ModelVersion
from app.index.faiss_indexes import FaissIndexes
from app.intake.addresses import AddressRules
from app.intake.downloads import Downloader
from app.intake.images import Intake
from app.services.compare import CompareFaces
from app.services.detect import DetectFaces
from app.services.faces import Faces
from app.services.groups import Groups
from app.services.register import RegisterFaces
from app.services.search import SearchFaces
from app.services.verify import VerifyFace
from app.settings import Settings
from app.storage.changes import SqlChangeLog
from app.storage.corruption import Corruption
from app.storage.database import Database
from app.storage.faces import SqlFaceStore
from app.storage.groups import SqlGroupStore
from app.storage.health import DatabaseProbe, KeysetProbe
from app.storage.keys import SqlKeyRegistry
from app.storage.keysets import Keyset
from app.storage.migrate import migrate
from app.storage.opening import is_new, open_vault
from app.storage.page_tokens import SealedPageTokens
from app.storage.vault import Vault
from app.vision.analyzer import Analyzer
from app.vision.packs import PackCatalog

MODELS = Path(__file__).parents[1] / "models"
FIRST_KEY = "default"


@dataclass(frozen=True, slots=True)
class Storage:
    """The database with its vault, opened."""

    database: Database
    vault: Vault
    keys: SqlKeyRegistry


@dataclass(frozen=True, slots=True)
class House:
    """Everything a server needs. `first_key` is there when this start made one."""

    services: Services
    model: ModelVersion
    first_key: IssuedKey | None


@dataclass(frozen=True, slots=True)
class ModelsProbe:
    """Satisfies `HealthProbe`: the default model is loaded and its table is there."""

    vision: Vision
    name: str = "models"

    async def check(self) -> None:
        """Raises `ModelUnavailable`."""
        self.vision.calibration(self.vision.default_model)


@contextmanager
def open_storage(settings: Settings) -> Iterator[Storage]:
    """The database at its newest schema, with the keyset it was written with.

    An empty database without a keyset gets one. Raises `ConfigurationError`.
    """
    with ExitStack() as stack:
        _make_folders(settings)
        keyset = _known_keyset(settings)
        database = Database(settings.database)
        stack.callback(database.close)
        migrate(database)
        vault = open_vault(database, keyset or _new_keyset(settings, database))
        yield Storage(database, vault, SqlKeyRegistry(database, vault))


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """Open every room, and close what was opened, last first. Raises `ConfigurationError`."""
    async with AsyncExitStack() as stack:
        # Models take longest, and nothing else needs them before they are there.
        loading = asyncio.create_task(asyncio.to_thread(open_vision, settings))
        try:
            storage = await asyncio.to_thread(stack.enter_context, open_storage(settings))
        finally:
            vision = await loading
        stack.callback(vision.close)
        services = await _services(settings, storage, vision, stack)
        yield House(services, vision.default_model, await _first_key(storage))


def open_vision(settings: Settings) -> Analyzer:
    """The analyzer with its default pack loaded. Raises `ConfigurationError`."""
    return Analyzer.open(
        open_catalog(settings),
        settings.model,
        workers=_workers(settings),
        backlog=settings.backlog,
    )


def open_catalog(settings: Settings) -> PackCatalog:
    """The packs of the clone and of `FACERECO_MODEL_PATH`. Raises `ConfigurationError`."""
    return PackCatalog(MODELS, settings.model_path)


async def _services(
    settings: Settings, storage: Storage, vision: Analyzer, stack: AsyncExitStack
) -> Services:
    database, vault, corruption = storage.database, storage.vault, Corruption()
    groups = SqlGroupStore(database, vault)
    faces = SqlFaceStore(database, vault, corruption)
    tokens = SealedPageTokens(vault, ttl=settings.page_token_ttl)
    index = FaissIndexes(
        SqlChangeLog(database, vault, corruption),
        memory_limit=settings.index_memory,
        workers=_workers(settings),
    )
    stack.callback(index.close)
    detect = DetectFaces(await _intake(settings, stack), vision)
    eligibility = Eligibility(settings.min_face, settings.max_angle)
    return Services(
        keys=storage.keys,
        groups=Groups(groups, index, vision, tokens, quota=settings.group_quota),
        faces=Faces(groups, faces, tokens),
        detect=detect,
        register=RegisterFaces(
            groups, faces, detect, quota=settings.face_quota, eligibility=eligibility
        ),
        search=SearchFaces(groups, faces, detect, vision, index),
        compare=CompareFaces(detect, vision),
        verify=VerifyFace(groups, faces, detect, vision),
        probes=(DatabaseProbe(database, vault), KeysetProbe(vault), ModelsProbe(vision)),
        presentation=Presentation(ZoneInfo(settings.time_zone), settings.confidence_scale),
    )


async def _intake(settings: Settings, stack: AsyncExitStack) -> Intake:
    rules = AddressRules.of(settings.url_ports, map(str, settings.url_allow))
    downloader = Downloader(rules)
    stack.push_async_callback(downloader.aclose)
    intake = Intake(downloader, workers=_workers(settings))
    stack.callback(intake.close)
    return intake


async def _first_key(storage: Storage) -> IssuedKey | None:
    """A key for a server that never had one; afterwards only the operator makes keys."""
    if await storage.keys.list():
        return None
    return await storage.keys.create(FIRST_KEY, DEFAULT_REVISION)


def _known_keyset(settings: Settings) -> Keyset | None:
    """The keyset of the file, None where there is none yet: an empty database gets one."""
    path = settings.keyset
    return Keyset.load(path) if os.path.lexists(path) else None


def _new_keyset(settings: Settings, database: Database) -> Keyset:
    if not is_new(database):
        raise ConfigurationError(
            f"keyset {settings.keyset}: there is no such file, and the database needs it"
        )
    keyset = Keyset.generate()
    keyset.write(settings.keyset)
    return keyset


def _make_folders(settings: Settings) -> None:
    """The data folder and its rooms, for the owner alone; its parent must exist.

    A mistyped path or a disk that is not mounted must not become a new, empty database.
    """
    try:
        settings.data.mkdir(mode=0o700, exist_ok=True)
        for room in ("database", "keys"):
            (settings.data / room).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"data folder {settings.data}: {error.strerror}") from None


def _workers(settings: Settings) -> int:
    return settings.workers or len(os.sched_getaffinity(0))
