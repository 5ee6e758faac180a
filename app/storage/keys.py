"""The appKeys and their secretKeys, of which only keyed hashes are kept."""

import hmac
import secrets
import string
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.domain.errors import InvalidParameter, UnknownAppKey, WrongSecretKey
from app.domain.values import IssuedKey, KeyStatus, Tenant
from app.storage.database import AnyRow, Database
from app.storage.erasures import Noted, Remember, later, note
from app.storage.groups import erase_group, utc_now
from app.storage.ledger import Erased
from app.storage.tables import groups, tenants
from app.storage.vault import Vault

_ALPHABET = string.ascii_letters + string.digits
_APP_KEY_LENGTH = 22  # log2(62^22) = 131 bits
_SECRET_KEY_LENGTH = 40  # 238 bits
_MAX_APP_KEY = 128
_MAX_NAME = 255
# A revoked key has to be refused everywhere within a second.
_ACCEPTED_SECONDS = 0.5
_MAX_ACCEPTED = 10_000

_BY_APP_KEY = select(
    tenants.c.id, tenants.c.name, tenants.c.revision, tenants.c.secret_key_hash
).where(tenants.c.app_key_hash == bindparam("app_key_hash"), tenants.c.revoked.is_(None))
_ALL = select(
    tenants.c.id, tenants.c.name, tenants.c.revision, tenants.c.created, tenants.c.revoked
).order_by(tenants.c.id)
_BY_NAME = select(tenants.c.id, tenants.c.created).where(tenants.c.name == bindparam("name"))
_GROUPS = select(groups.c.row, groups.c.created).where(groups.c.tenant == bindparam("tenant"))

# Compared with when there is no such key, so that both cases take the same time.
_NO_HASH = "0" * 64
_NOBODY = Tenant(0, "", "")


class SqlKeyRegistry:
    """Satisfies `KeyRegistry`. A name stays taken after its key was revoked."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        remember: Remember = later,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._remember = remember
        # Begun once and copied: as quick as one call, and one call would let go of the interpreter,
        # which a busy server gets back milliseconds later.
        self._app_keys = hmac.new(vault.derive("app-key/1"), digestmod="sha256")
        self._secret_keys = hmac.new(vault.derive("secret-key/1"), digestmod="sha256")
        self._clock = clock
        self._accepted, self._refused = _Recent(), _Recent()

    async def create(self, name: str, revision: str) -> IssuedKey:
        _check_name(name)
        app_key, secret_key = _random(_APP_KEY_LENGTH), _random(_SECRET_KEY_LENGTH)
        values = {
            "name": name,
            "app_key_hash": self._app_key_hash(app_key),
            "secret_key_hash": self._secret_key_hash(app_key, secret_key),
            "revision": revision,
            "created": self._clock(),
        }
        tenant_id = await self._database.write(lambda c: _insert(c, values))
        return IssuedKey(Tenant(tenant_id, name, revision), app_key, secret_key)

    async def authenticate(self, app_key: str) -> Tenant:
        credential = self._app_key_hash(app_key) if _is_possible(app_key) else _NO_HASH
        if (known := self._accepted.get(credential)) is not None:
            return known
        # A refusal is remembered as long as an acceptance, or the time of a second try would tell
        # which appKeys exist.
        if self._refused.get(credential) is not None:
            raise UnknownAppKey
        row = await self._look_up(app_key)
        if row is None:
            self._refused.keep(credential, _NOBODY)
            raise UnknownAppKey
        return self._accepted.keep(credential, Tenant(row.id, row.name, row.revision))

    async def authorize(self, app_key: str, secret_key: str) -> Tenant:
        # Both keys make the credential: a wrong secretKey is looked up like an unknown appKey.
        credential = self._secret_key_hash(app_key, secret_key)
        if (known := self._accepted.get(credential)) is not None:
            return known
        row = await self._look_up(app_key)
        stored = _NO_HASH if row is None else row.secret_key_hash
        is_right = hmac.compare_digest(stored, credential)
        if row is None:
            raise UnknownAppKey
        if not is_right:
            raise WrongSecretKey
        return self._accepted.keep(credential, Tenant(row.id, row.name, row.revision))

    def remembered(self, app_key: str, secret_key: str | None = None) -> Tenant | None:
        if not _is_possible(app_key):
            return None
        if secret_key is None:
            return self._accepted.get(self._app_key_hash(app_key))
        return self._accepted.get(self._secret_key_hash(app_key, secret_key))

    async def list(self) -> Sequence[KeyStatus]:
        rows = await self._database.read(lambda c: c.execute(_ALL).all())
        return [
            KeyStatus(Tenant(row.id, row.name, row.revision), row.created, row.revoked)
            for row in rows
        ]

    async def revoke(self, name: str) -> None:
        now = self._clock()
        await self._database.write(lambda c: _revoke(c, name, now))
        self._accepted.clear()

    async def delete(self, name: str) -> int:
        noted = await self._database.write(lambda c: _delete(c, name))
        self._accepted.clear()
        await self._remember(noted)
        return len(noted) - 1

    async def _look_up(self, app_key: str) -> AnyRow | None:
        if not _is_possible(app_key):
            return None
        key = {"app_key_hash": self._app_key_hash(app_key)}
        return await self._database.read(lambda c: c.execute(_BY_APP_KEY, key).first())

    def _app_key_hash(self, app_key: str) -> str:
        return _digest(self._app_keys, app_key.encode())

    def _secret_key_hash(self, app_key: str, secret_key: str) -> str:
        # With the appKey in it, a hash moved to another tenant's row is of no use there.
        both = f"{app_key}\0{secret_key}".encode(errors="surrogatepass")
        return _digest(self._secret_keys, both)


def _digest(begun: hmac.HMAC, content: bytes) -> str:
    copied = begun.copy()
    copied.update(content)
    return copied.hexdigest()


def _is_possible(app_key: str) -> bool:
    return app_key.isascii() and 0 < len(app_key) <= _MAX_APP_KEY


class _Recent:
    """Hashes of credentials the database was asked for a moment ago.

    Saves a read per request. A key revoked elsewhere is refused when its moment is over.
    """

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, Tenant]] = {}

    def get(self, credential: str) -> Tenant | None:
        until, tenant = self._until.get(credential, (0.0, None))
        return tenant if time.monotonic() < until else None

    def keep(self, credential: str, tenant: Tenant) -> Tenant:
        if len(self._until) >= _MAX_ACCEPTED:
            self.clear()
        self._until[credential] = (time.monotonic() + _ACCEPTED_SECONDS, tenant)
        return tenant

    def clear(self) -> None:
        self._until.clear()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
        raise InvalidParameter("a key needs a name of 1 to 255 printable characters")


def _insert(connection: Connection, values: dict[str, Any]) -> int:
    try:
        number: int = connection.execute(
            insert(tenants).returning(tenants.c.id), values
        ).scalar_one()
    except IntegrityError:
        raise InvalidParameter("a key of this name exists already") from None
    return number


def _revoke(connection: Connection, name: str, now: datetime) -> None:
    if not name.isprintable() or connection.execute(_BY_NAME, {"name": name}).first() is None:
        raise UnknownAppKey("there is no key of this name")
    connection.execute(
        update(tenants).where(tenants.c.name == name, tenants.c.revoked.is_(None)), {"revoked": now}
    )


def _delete(connection: Connection, name: str) -> list[Noted]:
    key = connection.execute(_BY_NAME.with_for_update(), {"name": name}).first()
    if key is None:
        raise UnknownAppKey("there is no key of this name")
    return erase_key(connection, key.id, key.created)


def erase_key(connection: Connection, tenant: int, created: datetime) -> list[Noted]:
    """Remove a key that is locked, with all of its groups, and note everything; the key last."""
    owned = connection.execute(_GROUPS.with_for_update(), {"tenant": tenant}).all()
    noted = [erase_group(connection, group.row, group.created) for group in owned]
    connection.execute(delete(tenants).where(tenants.c.id == tenant))
    return [*noted, note(connection, Erased.KEY, tenant, created.isoformat())]
