"""Puts the rooms together: settings in, a house of use cases out; knows every room."""

import asyncio
import os
import platform
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog

from app import __version__, worker
from app.api.bodies import Bodies
from app.api.guesses import Guesses
from app.api.revisions import DEFAULT_REVISION
from app.api.schemas import CreateGroup, new_group_id
from app.api.services import Presentation, Services
from app.domain.errors import InternalError, InvalidParameter, SpoofingUnavailable
from app.domain.faults import Faults
from app.domain.ports import GroupStore, KeyRegistry, Observer, Vision
from app.domain.quality import QualityLevel
from app.domain.values import AuditEntry, Eligibility, ImageLimits, IssuedKey, ModelVersion, Tenant
from app.index.audit import IndexAudit
from app.index.faiss_indexes import FaissIndexes
from app.index.following import Follower
from app.intake.addresses import AddressRules
from app.intake.decoders import DecoderLimits, Decoders
from app.intake.decoding import Decoder, Elsewhere
from app.intake.downloads import Downloader
from app.intake.images import Intake
from app.keyservices.choosing import key_wrapper
from app.services.compare import CompareFaces
from app.services.detect import DetectFaces
from app.services.faces import Faces
from app.services.groups import Groups, ensure_group
from app.services.importing import ImportPhotos, ImportRules
from app.services.line import Line, LineLimits
from app.services.moving import MoveFaces
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
from app.storage.keyrings import KeysetSource, keyset_source
from app.storage.page_tokens import SealedPageTokens
from app.storage.relaxed import RelaxedGroups
from app.storage.stores import Storage, open_storage
from app.storage.upkeep import Upkeep
from app.telemetry.audit import NoTrail, Sync, Trail
from app.telemetry.metrics import Metrics, Reading
from app.telemetry.observers import Several
from app.vision.jobs import FEWEST_MAKING
from app.vision.packs import MODELS, PackCatalog
from app.vision.providers import Providers
from app.vision.shelf import Shelf
from app.vision.worker_pool import WorkerPool
from app.vision.workers import Program

if TYPE_CHECKING:
    from app.vision.analyzer import Analyzer

_log = structlog.stdlib.get_logger(__name__)

FIRST_KEY = "default"
# Photos at work for each process: while one is analysed, others are read, decoded and stored.
_AHEAD = 3
_ONE_DAY = 86_400.0  # seconds
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
            open_storage(settings.data, settings.database, _keyset(settings))
        )
        upkeep = Upkeep(storage.database, storage.erasures)
        upkeep.start()
        stack.callback(upkeep.stop)
        # After the database: a wrong keyset is told before the models take their seconds.
        eyes.ready()
        vision = eyes.vision
        metrics.describe(version=__version__, model=vision.default_model)
        intake = await _intake(settings, eyes, metrics, stack)
        metrics.read(_of_storage(settings, storage, upkeep))
        services = _services(settings, storage, vision, intake, metrics, stack)
        first_key = await _first_key(storage)
        if first_key is not None:
            made = AuditEntry("keys.create", tenant=first_key.tenant.name, source="first start")
            await services.audit.write(made)
        yield House(services, vision.default_model, first_key, metrics)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What commands need that register faces beside a server.

    `rules` are those of the settings, with as many photos `ahead` as keep every lane busy.
    """

    keys: KeyRegistry
    groups: GroupStore
    model: ModelVersion
    group_quota: int
    import_photos: ImportPhotos
    move_faces: MoveFaces
    rules: ImportRules

    async def ensure_group(self, tenant: Tenant, group_id: str) -> None:
        """Make a group where it is missing. Raises `InvalidGroupId`, `GroupQuotaExceeded`."""
        name, quota = new_group_id(CreateGroup(groupId=group_id)), self.group_quota
        await ensure_group(self.groups, tenant, name, self.model, quota=quota)


@asynccontextmanager
async def open_workshop(settings: Settings) -> AsyncIterator[Workshop]:
    """The rooms that commands need, without those that answer. Raises `ConfigurationError`."""
    obey_test_faults(settings)
    async with AsyncExitStack() as stack:
        eyes = open_eyes(settings, stack)
        storage = stack.enter_context(
            open_storage(settings.data, settings.database, _keyset(settings))
        )
        eyes.ready()
        intake = await _intake(settings, eyes, Metrics(), stack)
        rules = _import_rules(settings)
        # Nobody else is in this line, so nobody is refused, and nobody gives up waiting.
        lanes = min(_workers(settings), _decoders(settings) + settings.backlog)
        line = Line(LineLimits(lanes, room=rules.ahead, patience=_ONE_DAY, ahead=lanes))
        trail = _audit(settings, storage, stack)
        yield _workshop(settings, storage, DetectFaces(intake, eyes.vision, line), trail, rules)


def _workshop(
    settings: Settings,
    storage: Storage,
    detect: DetectFaces,
    trail: Trail | NoTrail,
    rules: ImportRules,
) -> Workshop:
    remember = storage.erasures.remember
    groups = SqlGroupStore(storage.database, storage.vault, remember)
    faces = SqlFaceStore(storage.database, storage.vault, Corruption(), remember)
    key, source = storage.vault.derive(ImportPhotos.PURPOSE), f"command line, uid {os.getuid()}"
    return Workshop(
        keys=storage.keys,
        groups=groups,
        model=_catalog(settings).get(settings.model).model_version,
        group_quota=settings.group_quota,
        import_photos=ImportPhotos(groups, faces, detect, trail, key=key, source=source),
        move_faces=MoveFaces(groups, faces, detect, storage.erasures, trail, source=source),
        rules=rules,
    )


def _import_rules(settings: Settings) -> ImportRules:
    return ImportRules(
        # What a decoder takes: photos of an own disk come as cameras made them.
        limits=ImageLimits(max_bytes=DecoderLimits().inbox),
        eligible=_eligibility(settings),
        quota=settings.face_quota,
        ahead=_AHEAD * _workers(settings) + _AHEAD,
    )


def _keyset(settings: Settings) -> KeysetSource:
    if settings.keyset_text is not None:
        _log.warning("keyset_in_environment", why="others on the host may read it there")
    wrapper = key_wrapper(settings.keyset_kms, settings.kms_url, settings.kms_token_file)
    return keyset_source(settings.keyset, settings.keyset_text, wrapper)


def obey_test_faults(settings: Settings) -> None:
    """Let a test break this process where it asked to. Raises `ConfigurationError`."""
    if settings.test_faults is not None:
        Faults.parse(settings.test_faults).listen()


@dataclass(frozen=True, slots=True)
class Eyes:
    """What opens and analyses pictures.

    `ready` waits until it can, or raises `ConfigurationError`.
    """

    vision: "WorkerPool | Analyzer"
    decoder: Decoder
    ready: Callable[[], None]
    readings: Mapping[str, Reading]


def open_eyes(settings: Settings, stack: ExitStack | AsyncExitStack) -> Eyes:
    """Have them start; they close with the stack. Raises `ConfigurationError`."""
    providers = settings.providers.replace(" ", "").split(",")
    if not Providers(tuple(providers)).on_cpu:
        return _one_process(settings, providers, stack)
    workers = _workers(settings)
    # Two each: a picture that stalls its decoder does not keep the next one waiting.
    making = -(-settings.decoders // workers) or FEWEST_MAKING
    folders = [str(folder.resolve()) for folder in settings.model_path]
    config = worker.WorkerConfig(settings.model, folders, making, settings.log_level)
    pool = WorkerPool(
        _catalog(settings),
        settings.model,
        Program(worker.__name__, config),
        count=workers,
        backlog=settings.backlog,
        making=making,
    )
    stack.callback(pool.close)
    readings = _of_processes(
        lambda: pool.replaced_decoders, lambda: pool.processes, lambda: pool.deaths
    )
    return Eyes(pool, Elsewhere(), pool.ready, readings)


def _one_process(
    settings: Settings, providers: Sequence[str], stack: ExitStack | AsyncExitStack
) -> Eyes:
    """Threads of this process: an accelerator has one copy of the weights."""
    from app.vision.analyzer import Analyzer

    decoders = Decoders(_decoders(settings))
    stack.callback(decoders.close)
    analyzer = Analyzer(
        _catalog(settings),
        settings.model,
        workers=_workers(settings),
        backlog=settings.backlog,
        making=decoders.count,
        providers=providers,
    )
    stack.callback(analyzer.close)

    def ready() -> None:
        analyzer.ready()
        decoders.check()

    return Eyes(analyzer, decoders, ready, _of_processes(lambda: decoders.replaced))


def _of_processes(
    decoder_deaths: Reading, workers: Reading = int, worker_deaths: Reading = int
) -> Mapping[str, Reading]:
    return {
        "facereco_decoder_deaths_total": decoder_deaths,
        "facereco_workers": workers,
        "facereco_worker_deaths_total": worker_deaths,
    }


def _catalog(settings: Settings) -> PackCatalog:
    return PackCatalog(MODELS, settings.model_path)


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
    eligible, quota = _eligibility(settings), settings.face_quota
    scoring = Scoring(vision, _tables(database, stack))
    bodies = Bodies(memory=settings.body_memory, seconds=settings.body_seconds)
    guesses, trail = Guesses(settings.guesses), _audit(settings, storage, stack)
    metrics.read(_of_requests(line, bodies, guesses, trail))
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
        packs=Shelf(_catalog(settings), vision.default_model).packs,
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


def _eligibility(settings: Settings) -> Eligibility:
    quality = QualityLevel(settings.quality)
    return Eligibility(settings.min_face, settings.max_angle, quality)


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


def _audit(settings: Settings, storage: Storage, stack: AsyncExitStack) -> Trail | NoTrail:
    if settings.audit == "off":
        return NoTrail()
    key = storage.vault.derive(Trail.PURPOSE)
    trail = Trail(
        settings.audit_folder,
        key,
        sync=Sync(settings.audit_sync),
        segment_bytes=settings.audit_size,
    )
    return stack.enter_context(trail)


def _line(settings: Settings) -> Line:
    lanes = _workers(settings)
    return Line(LineLimits(lanes, settings.backlog, lanes, patience=settings.patience, ahead=lanes))


def _index(
    settings: Settings,
    database: Database,
    changes: SqlChangeLog,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> FaissIndexes:
    """The indexes with what follows and what audits them."""
    index = FaissIndexes(changes, memory_limit=settings.index_memory, workers=_workers(settings))
    stack.callback(index.close)
    follower = _follow(database, index, changes, stack)
    audit = IndexAudit(index, changes)
    if settings.index_audit:
        auditing = asyncio.create_task(audit.run(every=settings.index_audit))
        stack.callback(auditing.cancel)
    metrics.read(_of_index(index, follower, audit))
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


async def _intake(
    settings: Settings, eyes: Eyes, metrics: Metrics, stack: AsyncExitStack
) -> Intake:
    rules = AddressRules.of(settings.url_ports, map(str, settings.url_allow))
    downloader = Downloader(rules)
    stack.push_async_callback(downloader.aclose)
    metrics.read(eyes.readings)
    metrics.read({"facereco_downloads_running": lambda: downloader.running})
    return Intake(downloader, eyes.decoder)


def _of_requests(
    line: Line, bodies: Bodies, guesses: Guesses, trail: Trail | NoTrail
) -> Mapping[str, Reading]:
    return {
        "facereco_line_lanes": lambda: line.lanes,
        "facereco_line_working": lambda: line.working,
        "facereco_line_waiting": lambda: line.waiting,
        "facereco_body_bytes": lambda: bodies.held,
        "facereco_guessing_sources": lambda: guesses.sources,
        "facereco_audit_failures_total": lambda: trail.failures,
    }


def _of_index(index: FaissIndexes, follower: Follower, audit: IndexAudit) -> Mapping[str, Reading]:
    moves = index.moves
    return {
        "facereco_index_groups": lambda: index.groups,
        "facereco_index_faces": lambda: index.faces,
        "facereco_index_bytes": lambda: index.nbytes,
        "facereco_index_limit_bytes": lambda: index.memory_limit,
        "facereco_index_loads_total": lambda: moves.loads,
        "facereco_index_load_seconds_total": lambda: moves.load_seconds,
        "facereco_index_evictions_total": lambda: moves.evictions,
        "facereco_index_catch_ups_total": lambda: moves.catch_ups,
        "facereco_index_lag_versions_total": lambda: moves.lag_versions,
        "facereco_index_follow_age_seconds": lambda: follower.age,
        "facereco_index_audits_total": lambda: audit.looked,
        "facereco_index_drifts_total": lambda: audit.rebuilt,
    }


def _of_storage(settings: Settings, storage: Storage, upkeep: Upkeep) -> Mapping[str, Reading]:
    return {
        "facereco_upkeep_failures_total": lambda: upkeep.failures,
        "facereco_database_bytes": lambda: storage.database.nbytes,
        "facereco_disk_free_bytes": lambda: shutil.disk_usage(settings.data).free,
    }


async def _first_key(storage: Storage) -> IssuedKey | None:
    """A key for a server that never had one; afterwards only the operator makes keys."""
    if await storage.keys.list():
        return None
    try:
        return await storage.keys.create(FIRST_KEY, DEFAULT_REVISION)
    except InvalidParameter:
        return None  # another start on the same database was faster, and shows the key


def _workers(settings: Settings) -> int:
    return settings.workers or _cores()


def _decoders(settings: Settings) -> int:
    return settings.decoders or max(2, _cores())


def _cores() -> int:
    return len(os.sched_getaffinity(0))
