"""What commands need that register faces beside a server."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from app.api.schemas import CreateGroup, new_group_id
from app.domain.ports import GroupStore, KeyRegistry
from app.domain.values import ImageLimits, ModelVersion, Tenant
from app.intake.decoders import DecoderLimits
from app.main.eyes import catalog_of, decoder_count, open_eyes, worker_count
from app.main.parts import eligibility_of, keyset_of, obey_test_faults, open_intake, open_trail
from app.services.detect import DetectFaces
from app.services.groups import ensure_group
from app.services.importing import ImportPhotos, ImportRules
from app.services.line import Line, LineLimits
from app.services.moving import MoveFaces
from app.settings import Settings
from app.storage.corruption import Corruption
from app.storage.faces import SqlFaceStore
from app.storage.groups import SqlGroupStore
from app.storage.stores import Storage, open_storage
from app.telemetry.audit import NoTrail, Trail
from app.telemetry.metrics import Metrics

# Photos at work for each process: while one is analysed, others are read, decoded and stored.
_AHEAD = 3
_ONE_DAY = 86_400.0  # seconds


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
            open_storage(settings.data, settings.database, keyset_of(settings))
        )
        eyes.ready()
        intake = await open_intake(settings, eyes, Metrics(), stack)
        rules = _import_rules(settings)
        # Nobody else is in this line, so nobody is refused, and nobody gives up waiting.
        lanes = min(worker_count(settings), decoder_count(settings) + settings.backlog)
        line = Line(LineLimits(lanes, room=rules.ahead, patience=_ONE_DAY, ahead=lanes))
        trail = open_trail(settings, storage, stack)
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
        model=catalog_of(settings).get(settings.model).model_version,
        group_quota=settings.group_quota,
        import_photos=ImportPhotos(groups, faces, detect, trail, key=key, source=source),
        move_faces=MoveFaces(groups, faces, detect, storage.erasures, trail, source=source),
        rules=rules,
    )


def _import_rules(settings: Settings) -> ImportRules:
    return ImportRules(
        # What a decoder takes: photos of an own disk come as cameras made them.
        limits=ImageLimits(max_bytes=DecoderLimits().inbox),
        eligible=eligibility_of(settings),
        quota=settings.face_quota,
        ahead=_AHEAD * worker_count(settings) + _AHEAD,
    )
