"""A database with everything that works on it, opened the way the server opens it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
from sqlalchemy import URL, Table, func, select

from app.domain.values import Box, Group, ModelVersion, NewFace, Tenant
from app.storage.changes import SqlChangeLog
from app.storage.corruption import Corruption
from app.storage.database import Database
from app.storage.faces import SqlFaceStore
from app.storage.groups import SqlGroupStore
from app.storage.keys import SqlKeyRegistry
from app.storage.keysets import Keyset
from app.storage.migrate import migrate
from app.storage.opening import open_vault
from app.storage.vault import Vault

T = TypeVar("T")

MODEL = ModelVersion("test/1")
DIMENSION = 64


@dataclass
class Storage:
    """Every store over one database; `corrupt` counts the broken records that were met."""

    database: Database
    vault: Vault
    keyset: Keyset
    found: list[None] = field(default_factory=list)

    def __post_init__(self) -> None:
        corruption = Corruption(lambda: self.found.append(None))
        self.groups = SqlGroupStore(self.database, self.vault)
        self.faces = SqlFaceStore(self.database, self.vault, corruption)
        self.changes = SqlChangeLog(self.database, self.vault, corruption)
        self.keys = SqlKeyRegistry(self.database, self.vault)

    @property
    def corrupt(self) -> int:
        return len(self.found)

    async def as_it_is(self, group: Group) -> Group:
        """The group at its newest version."""
        return self.changes.standing([group.row])[0]

    async def tenant(self, name: str = "team") -> Tenant:
        return (await self.keys.create(name, "v1.0")).tenant

    async def group(self, tenant: Tenant, group_id: str = "staff") -> Group:
        await self.groups.create(tenant, group_id, MODEL, quota=1_000)
        return await self.groups.get(tenant, group_id)

    def count(self, table: Table) -> int:
        counting = select(func.count()).select_from(table)
        return self.database.read_now(lambda c: int(c.execute(counting).scalar_one()))


def open_storage(url: str | URL, keyset: Keyset) -> Storage:
    database = Database(url)
    migrate(database)
    return Storage(database, open_vault(database, keyset), keyset)


def new_face(seed: int = 0, *, external: str | None = None) -> NewFace:
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return NewFace(
        face_id=str(uuid4()),
        image_id=str(uuid4()),
        external_image_id=external,
        box=Box(0.125, 0.25, 0.5, 0.75),
        confidence=99.5,
        embedding=vector / np.linalg.norm(vector),
    )


def new_faces(count: int, *, seed: int = 0) -> list[NewFace]:
    return [new_face(seed + number) for number in range(count)]


def in_threads(count: int, work: Callable[[int], Coroutine[Any, Any, T]]) -> list[T | Exception]:
    """Start `work` at once in many threads, each with an event loop of its own."""
    results: list[T | Exception] = []
    gate = threading.Barrier(count)

    async def guarded(number: int) -> T | Exception:
        try:
            return await work(number)
        except Exception as error:  # noqa: BLE001 - the test asks which errors there were
            return error

    def run(number: int) -> None:
        gate.wait()
        results.append(asyncio.run(guarded(number)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
