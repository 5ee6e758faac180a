import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from app.domain.errors import InvalidParameter, UnknownAppKey, WrongSecretKey
from app.storage.keys import SqlKeyRegistry
from app.storage.keysets import Keyset
from app.storage.tables import tenants
from tests.integration.storage.opened import Storage, in_threads

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_a_new_key_opens_the_door(storage: Storage):
    issued = await storage.keys.create("team", "2021")

    assert await storage.keys.authenticate(issued.app_key) == issued.tenant
    assert await storage.keys.authorize(issued.app_key, issued.secret_key) == issued.tenant
    assert (issued.tenant.name, issued.tenant.revision) == ("team", "2021")
    assert len(issued.app_key) == 22
    assert issued.app_key.isalnum()
    assert len(issued.secret_key) >= 32


async def test_keys_are_never_shown_by_accident(storage: Storage):
    issued = await storage.keys.create("team", "v1.0")

    assert issued.app_key not in repr(issued)
    assert issued.secret_key not in repr(issued)


async def test_an_app_key_that_is_not_ours_is_unknown(storage: Storage):
    await storage.tenant()

    for app_key in ("", "unknown", "k" * 10_000, "열쇠", "\ud800", "a\0b", "' OR 1=1"):
        with pytest.raises(UnknownAppKey):
            await storage.keys.authenticate(app_key)
        with pytest.raises(UnknownAppKey):
            await storage.keys.authorize(app_key, "secret")


async def test_a_wrong_secret_is_refused(storage: Storage):
    issued = await storage.keys.create("team", "v1.0")

    for secret in ("", "wrong", "s" * 10_000, "비밀", "\ud800", "a\0b"):
        with pytest.raises(WrongSecretKey):
            await storage.keys.authorize(issued.app_key, secret)


async def test_the_secret_of_another_key_is_refused_even_with_its_hash(storage: Storage):
    mine = await storage.keys.create("mine", "v1.0")
    other = await storage.keys.create("other", "v1.0")
    with pytest.raises(WrongSecretKey):
        await storage.keys.authorize(mine.app_key, other.secret_key)
    moved = select(tenants.c.secret_key_hash).where(tenants.c.name == "other").scalar_subquery()
    storage.database.write_now(
        lambda c: c.execute(
            tenants.update().where(tenants.c.name == "mine").values(secret_key_hash=moved)
        )
    )

    with pytest.raises(WrongSecretKey):
        await storage.keys.authorize(mine.app_key, other.secret_key)


async def test_a_revoked_key_is_unknown_and_others_stay(storage: Storage):
    gone = await storage.keys.create("gone", "v1.0")
    kept = await storage.keys.create("kept", "v1.0")

    await storage.keys.revoke("gone")

    with pytest.raises(UnknownAppKey):
        await storage.keys.authenticate(gone.app_key)
    with pytest.raises(UnknownAppKey):
        await storage.keys.authorize(gone.app_key, gone.secret_key)
    assert await storage.keys.authenticate(kept.app_key) == kept.tenant


async def test_every_key_is_listed_oldest_first_with_its_dates(storage: Storage):
    registry = SqlKeyRegistry(storage.database, storage.vault, clock=lambda: NOON)
    first = await registry.create("zoe", "v1.0")
    second = await registry.create("adam", "alpha")
    await registry.revoke("zoe")

    listed = await registry.list()

    assert [status.tenant for status in listed] == [first.tenant, second.tenant]
    assert [status.revoked for status in listed] == [NOON, None]
    assert {status.created for status in listed} == {NOON}


async def test_revoking_twice_keeps_the_first_date(storage: Storage):
    await SqlKeyRegistry(storage.database, storage.vault, clock=lambda: NOON).create("team", "v1.0")
    await SqlKeyRegistry(storage.database, storage.vault, clock=lambda: NOON).revoke("team")

    await storage.keys.revoke("team")

    assert [status.revoked for status in await storage.keys.list()] == [NOON]


async def test_a_name_nobody_has_cannot_be_revoked(storage: Storage):
    for name in ("nobody", "", "a\0b", "\ud800"):
        with pytest.raises(UnknownAppKey):
            await storage.keys.revoke(name)


async def test_a_key_needs_a_name_that_can_be_shown(storage: Storage):
    for name in ("", "  ", "x" * 256, "a\nb", "a\0b", "\ud800"):
        with pytest.raises(InvalidParameter):
            await storage.keys.create(name, "v1.0")


async def test_a_name_is_given_once_also_after_its_key_was_revoked(storage: Storage):
    await storage.keys.create("팀", "v1.0")
    await storage.keys.revoke("팀")

    with pytest.raises(InvalidParameter):
        await storage.keys.create("팀", "v1.0")


async def test_parallel_creates_of_one_name_give_exactly_one_key(storage: Storage):
    results = in_threads(16, lambda _: storage.keys.create("team", "v1.0"))

    assert sum(isinstance(result, InvalidParameter) for result in results) == 15
    assert storage.count(tenants) == 1


async def test_only_keyed_hashes_are_stored(opening: Callable[[Keyset], Storage]):
    storage = opening(Keyset.generate())
    issued = await storage.keys.create("team", "v1.0")

    [row] = storage.database.read_now(lambda c: c.execute(select(tenants)).all())

    shown = str(tuple(row))
    assert issued.app_key not in shown
    assert issued.secret_key not in shown
    assert len(row.app_key_hash) == len(row.secret_key_hash) == 64


async def test_a_key_revoked_by_another_server_is_refused_within_a_second(storage):
    key = await storage.keys.create("gate", "v1.0")
    await storage.keys.authenticate(key.app_key)
    await storage.keys.authorize(key.app_key, key.secret_key)

    await SqlKeyRegistry(storage.database, storage.vault).revoke("gate")
    await asyncio.sleep(1)

    with pytest.raises(UnknownAppKey):
        await storage.keys.authenticate(key.app_key)
    with pytest.raises(UnknownAppKey):
        await storage.keys.authorize(key.app_key, key.secret_key)


async def test_a_right_pair_a_moment_ago_opens_nothing_for_a_wrong_secret(storage):
    key = await storage.keys.create("gate", "v1.0")
    await storage.keys.authorize(key.app_key, key.secret_key)

    with pytest.raises(WrongSecretKey):
        await storage.keys.authorize(key.app_key, key.secret_key[:-1] + "?")
