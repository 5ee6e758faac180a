"""Whether the database and the keys can be used right now."""

import asyncio

from sqlalchemy import Connection, select

from app.domain.errors import RecordCorrupt, StoreUnavailable
from app.storage.database import Database
from app.storage.tables import server
from app.storage.vault import Vault

_SERVER = select(server.c.database_id)


class DatabaseProbe:
    """Satisfies `HealthProbe`: the database answers, and is still the one the vault opened."""

    name = "database"

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def check(self) -> None:
        await self._database.read(self._check)

    def _check(self, connection: Connection) -> None:
        if connection.execute(_SERVER).scalar() != self._vault.database_id:
            raise StoreUnavailable("the database is not the one this server was started with")


class KeysetProbe:
    """Satisfies `HealthProbe`: the primary master key seals and opens."""

    name = "keyset"

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def check(self) -> None:
        try:
            # In a thread: when the keyset changed it is read, and compared with the database.
            await asyncio.to_thread(self._vault.self_check)
        except RecordCorrupt as error:
            raise StoreUnavailable from error
