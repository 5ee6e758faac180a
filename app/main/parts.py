"""The rooms that a server and commands have in common."""

from contextlib import AsyncExitStack

import structlog

from app.domain.faults import Faults
from app.domain.quality import QualityLevel
from app.domain.values import Eligibility
from app.intake.addresses import AddressRules
from app.intake.downloads import Downloader
from app.intake.images import Intake
from app.keyservices.choosing import key_wrapper
from app.main.eyes import Eyes
from app.settings import Settings
from app.storage.keyrings import KeysetSource, keyset_source
from app.storage.stores import Storage
from app.telemetry.audit import NoTrail, Sync, Trail
from app.telemetry.metrics import Metrics

_log = structlog.stdlib.get_logger(__name__)


def keyset_of(settings: Settings) -> KeysetSource:
    """Where the master keys come from. Raises `ConfigurationError`."""
    if settings.keyset_text is not None:
        _log.warning("keyset_in_environment", why="others on the host may read it there")
    wrapper = key_wrapper(settings.keyset_kms, settings.kms_url, settings.kms_token_file)
    return keyset_source(settings.keyset, settings.keyset_text, wrapper)


def obey_test_faults(settings: Settings) -> None:
    """Let a test break this process where it asked to. Raises `ConfigurationError`."""
    if settings.test_faults is not None:
        Faults.parse(settings.test_faults).listen()


def open_trail(settings: Settings, storage: Storage, stack: AsyncExitStack) -> Trail | NoTrail:
    """Where it is recorded who did what; it closes with the stack."""
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


def eligibility_of(settings: Settings) -> Eligibility:
    """Which faces are good enough to be registered."""
    quality = QualityLevel(settings.quality)
    return Eligibility(settings.min_face, settings.max_angle, quality)


async def open_intake(
    settings: Settings, eyes: Eyes, metrics: Metrics, stack: AsyncExitStack
) -> Intake:
    """Where pictures come from; its connections close with the stack."""
    rules = AddressRules.of(settings.url_ports, map(str, settings.url_allow))
    downloader = Downloader(rules)
    stack.push_async_callback(downloader.aclose)
    metrics.read(eyes.readings)
    metrics.read({"facereco_downloads_running": lambda: downloader.running})
    return Intake(downloader, eyes.decoder)
