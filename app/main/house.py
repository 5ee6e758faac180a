"""What a server is made of."""

import asyncio
import platform
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog

from app import __version__
from app.api.bodies import Bodies
from app.api.guesses import Guesses
from app.api.revisions import DEFAULT_REVISION
from app.api.services import Presentation, Services
from app.domain.errors import InternalError, InvalidParameter, SpoofingUnavailable
from app.domain.ports import Observer, Vision
from app.domain.values import AuditEntry, IssuedKey, ModelVersion
from app.index.audit import IndexAudit
from app.index.faiss_indexes import FaissIndexes
from app.index.following import Follower
from app.intake.images import Intake
from app.services.compare import CompareFaces
from app.services.detect import DetectFaces
from app.services.faces import Faces
from app.services.groups import Groups
from app.services.line import Line, LineLimits
from app.services.register import RegisterFaces
from app.services.scoring import Scoring
from app.services.search import SearchFaces
from app.services.spoofing import JudgeAligned
from app.services.verify import VerifyFace
from app.settings import Settings
from app.storage.calibrations import LiveCalibrations
from app.storage.changes import SqlChangeLog
from app.storage.corruption import Corruption
from app.storage.database import Database
from app.storage.faces import SqlFaceStore
from app.storage.groups import SqlGroupStore
from app.storage.health import DatabaseProbe, KeysetProbe
from app.storage.hints import Hints
from app.storage.page_tokens import SealedPageTokens
from app.storage.relaxed import RelaxedGroups
from app.storage.stores import Storage, open_storage
from app.storage.upkeep import Upkeep
from app.telemetry.metrics import Metrics
from app.telemetry.observers import Several
from app.vision.shelf import Shelf

if TYPE_CHECKING:
    from app.vision.analyzer import Analyzer
    from app.vision.worker_pool import WorkerPool


from app.main.eyes import catalog_of, open_eyes, worker_count
from app.main.parts import eligibility_of, keyset_of, obey_test_faults, open_intake, open_trail
from app.main.readings import of_index, of_requests, of_storage

_log = structlog.stdlib.get_logger(__name__)

FIRST_KEY = "default"
_TABLES_EVERY = 1.0  # seconds until a table that was applied counts on every replica


@dataclass(frozen=True, slots=True)
class House:
    """Everything a server needs. `first_key` is there when this start made one."""

    services: Services
    model: ModelVersion
    first_key: IssuedKey | None
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class ModelsProbe:
    """Satisfies `HealthProbe`: somebody has the default model, and its table is there."""

    vision: "WorkerPool | Analyzer"
    name: str = "models"

    async def check(self) -> None:
        """Raises `ModelUnavailable`."""
        self.vision.check()
        self.vision.calibration(self.vision.default_model)


@dataclass(frozen=True, slots=True)
class SpoofingProbe:
    """Satisfies `HealthProbe`: the default model can tell live faces."""

    vision: Vision
    name: str = "spoofing"

    async def check(self) -> None:
        """Raises `SpoofingUnavailable`."""
        if not self.vision.detects_spoofing:
            raise SpoofingUnavailable


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """Open every room, and close what was opened, last first. Raises `ConfigurationError`."""
    obey_test_faults(settings)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        # They start while everything else does, and before there is a key in this process.
        eyes = open_eyes(settings, stack)
        storage = stack.enter_context(
            open_storage(settings.data, settings.database, keyset_of(settings))
        )
        upkeep = Upkeep(storage.database, storage.erasures)
        upkeep.start()
        stack.callback(upkeep.stop)
        # After the database: a wrong keyset is told before the models take their seconds.
        eyes.ready()
        vision = eyes.vision
        metrics.describe(version=__version__, model=vision.default_model)
        intake = await open_intake(settings, eyes, metrics, stack)
        metrics.read(of_storage(settings, storage, upkeep))
        services = _services(settings, storage, vision, intake, metrics, stack)
        first_key = await _first_key(storage)
        if first_key is not None:
            made = AuditEntry("keys.create", tenant=first_key.tenant.name, source="first start")
            await services.audit.write(made)
        yield House(services, vision.default_model, first_key, metrics)


def _services(
    settings: Settings,
    storage: Storage,
    vision: "WorkerPool | Analyzer",
    intake: Intake,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> Services:
    database, vault = storage.database, storage.vault
    corruption = Corruption(metrics.corrupt_record)
    groups = SqlGroupStore(database, vault, storage.erasures.remember)
    faces = SqlFaceStore(database, vault, corruption, storage.erasures.remember)
    tokens = SealedPageTokens(vault, ttl=settings.page_token_ttl)
    changes = SqlChangeLog(database, vault, corruption)
    index = _index(settings, database, changes, metrics, stack)
    line = _line(settings)
    detect = DetectFaces(intake, vision, line)
    eligible, quota = eligibility_of(settings), settings.face_quota
    scoring = Scoring(vision, _tables(database, stack))
    bodies = Bodies(memory=settings.body_memory, seconds=settings.body_seconds)
    guesses, trail = Guesses(settings.guesses), open_trail(settings, storage, stack)
    metrics.read(of_requests(line, bodies, guesses, trail))
    return Services(
        keys=storage.keys,
        line=line,
        groups=Groups(groups, index, vision, tokens, quota=settings.group_quota),
        faces=Faces(groups, faces, index, tokens),
        detect=detect,
        register=RegisterFaces(groups, faces, detect, quota=quota, eligibility=eligible),
        search=SearchFaces(
            RelaxedGroups(groups) if settings.reads == "relaxed" else groups,
            faces,
            detect,
            scoring,
            index,
        ),
        compare=CompareFaces(detect, vision, scoring),
        verify=VerifyFace(groups, faces, detect, scoring),
        judge_aligned=JudgeAligned(intake, vision, line),
        probes=(DatabaseProbe(database, vault), KeysetProbe(vault), ModelsProbe(vision)),
        presentation=Presentation(ZoneInfo(settings.time_zone), settings.confidence_scale),
        optional=(SpoofingProbe(vision),),
        bodies=bodies,
        audit=trail,
        guesses=guesses,
        observer=_observer(settings, metrics, stack),
        packs=Shelf(catalog_of(settings), vision.default_model).packs,
        versions=_versions(),
    )


def _tables(database: Database, stack: AsyncExitStack) -> LiveCalibrations:
    """The tables in force, looked at before the first answer and every second from then on."""
    tables = LiveCalibrations(database)
    tables.refresh()
    looking = asyncio.create_task(_keep_looking(tables))
    stack.callback(looking.cancel)
    return tables


async def _keep_looking(tables: LiveCalibrations) -> None:
    while True:
        await asyncio.sleep(_TABLES_EVERY)
        try:
            await asyncio.to_thread(tables.refresh)
        except InternalError as error:
            _log.warning("calibrations_not_seen", detail=error.detail)


def _observer(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> Observer:
    if settings.traces_url is None:
        return metrics
    # Only where it is asked for: a tenth of a second of imports.
    from app.telemetry.traces import Traces

    traces = Traces.open(settings.traces_url, share=settings.traces_share)
    stack.callback(traces.close)
    return Several([metrics, traces])


def _versions() -> dict[str, str]:
    """Of what decides an answer, for whoever reports a fault."""
    libraries = {name: version(name) for name in ("onnxruntime", "faiss-cpu", "pillow")}
    return {"facereco": __version__, "python": platform.python_version(), **libraries}


def _line(settings: Settings) -> Line:
    lanes = worker_count(settings)
    return Line(LineLimits(lanes, settings.backlog, lanes, patience=settings.patience, ahead=lanes))


def _index(
    settings: Settings,
    database: Database,
    changes: SqlChangeLog,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> FaissIndexes:
    """The indexes with what follows and what audits them."""
    index = FaissIndexes(
        changes, memory_limit=settings.index_memory, workers=worker_count(settings)
    )
    stack.callback(index.close)
    follower = _follow(database, index, changes, stack)
    audit = IndexAudit(index, changes)
    if settings.index_audit:
        auditing = asyncio.create_task(audit.run(every=settings.index_audit))
        stack.callback(auditing.cancel)
    metrics.read(of_index(index, follower, audit))
    return index


def _follow(
    database: Database, index: FaissIndexes, changes: SqlChangeLog, stack: AsyncExitStack
) -> Follower:
    hints = Hints(database)
    follower = Follower(index, changes.standing, hints.wait)
    following = asyncio.create_task(follower.run())
    stack.callback(following.cancel)
    stack.callback(hints.close)
    return follower


async def _first_key(storage: Storage) -> IssuedKey | None:
    """A key for a server that never had one; afterwards only the operator makes keys."""
    if await storage.keys.list():
        return None
    try:
        return await storage.keys.create(FIRST_KEY, DEFAULT_REVISION)
    except InvalidParameter:
        return None  # another start on the same database was faster, and shows the key
