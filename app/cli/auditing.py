"""The storage as commands open it: what a command does to keys is in the audit trail."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from app.domain.faults import Faults
from app.domain.values import AuditEntry
from app.settings import Settings
from app.telemetry.audit import Sync, Trail

if TYPE_CHECKING:
    from app.storage.keyrings import KeysetSource
    from app.storage.stores import Storage


def keyset_of(settings: Settings) -> "KeysetSource":
    """Where the settings say the keyset is. Raises `ConfigurationError`."""
    from app.keyservices.choosing import key_wrapper
    from app.storage.keyrings import keyset_source

    wrapper = key_wrapper(settings.keyset_kms, settings.kms_url, settings.kms_token_file)
    return keyset_source(settings.keyset, settings.keyset_text, wrapper)


@contextmanager
def opened(settings: Settings) -> Iterator["Storage"]:
    """The storage that the settings name. Raises `ConfigurationError`."""
    # Half a second of imports that `--help` does without.
    from app.storage.stores import open_storage

    if settings.test_faults is not None:
        Faults.parse(settings.test_faults).listen()
    with open_storage(settings.data, settings.database, keyset_of(settings)) as storage:
        yield storage


@contextmanager
def acting(settings: Settings, entry: AuditEntry) -> Iterator["Storage"]:
    """The same for a command that changes or opens something, which is recorded, failed or not."""
    with opened(settings) as storage, _trail(settings, storage) as trail:
        outcome = "failed"
        try:
            yield storage
            outcome = ""
        finally:
            if trail is not None:
                detail = " ".join(part for part in (entry.detail, outcome) if part)
                source = f"command line, uid {os.getuid()}"
                trail.record(replace(entry, source=source, detail=detail or None))


@contextmanager
def _trail(settings: Settings, storage: "Storage") -> Iterator[Trail | None]:
    if settings.audit == "off":
        yield None
        return
    with Trail(
        settings.audit_folder,
        storage.vault.derive(Trail.PURPOSE),
        sync=Sync(settings.audit_sync),
        segment_bytes=settings.audit_size,
    ) as trail:
        yield trail
