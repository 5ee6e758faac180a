import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, delete, select, update

from app.domain.errors import ConfigurationError, RecordCorrupt
from app.domain.values import FaceFilter
from app.storage.database import Database
from app.storage.keysets import Keyset, KeyStatus, MasterKey
from app.storage.migrate import migrate
from app.storage.opening import is_new, open_vault
from app.storage.tables import METADATA, groups, key_checks, server
from tests.integration.storage.opened import Storage, in_threads, new_faces


def content(database: Database) -> list[object]:
    """Everything the database holds."""
    return database.snapshot_now(
        lambda c: [c.execute(select(table)).all() for table in METADATA.sorted_tables]
    )


def with_another_key(keyset: Keyset, *, primary: bool) -> Keyset:
    added = Keyset.generate()
    keys = {**keyset.keys, **added.keys}
    return Keyset(added.primary if primary else keyset.primary, keys)


def with_status(keyset: Keyset, key_id: str, status: KeyStatus) -> Keyset:
    changed = replace(keyset.keys[key_id], status=status)
    return replace(keyset, keys={**keyset.keys, key_id: changed})


async def test_a_restart_keeps_everything(opening: Callable[[Keyset], Storage]):
    keyset = Keyset.generate()
    before = opening(keyset)
    issued = await before.keys.create("team", "2021")
    group = await before.group(issued.tenant)
    wanted = new_faces(5)
    stored = await before.faces.add(group, wanted, quota=10)
    await before.faces.delete(group, stored[0].face_id)
    before.database.close()

    after = opening(keyset)

    tenant = await after.keys.authorize(issued.app_key, issued.secret_key)
    found = await after.groups.get(tenant, group.id)
    assert (tenant, found.version, found.face_count) == (issued.tenant, 2, 4)
    assert await after.faces.page(found, None, 10, FaceFilter()) == stored[:0:-1]
    for record, face in zip(stored[1:], wanted[1:], strict=True):
        assert (await after.faces.find(found, record.face_id))[1].tobytes() == (
            face.embedding.tobytes()
        )


async def test_a_foreign_keyset_is_refused_and_nothing_is_written(
    storage: Storage,
):
    await storage.group(await storage.tenant())
    before = content(storage.database)

    with pytest.raises(ConfigurationError) as refused:
        open_vault(storage.database, Keyset.generate())

    assert storage.keyset.primary in str(refused.value)
    assert "\n" not in str(refused.value)
    assert content(storage.database) == before


def test_a_refused_keyset_leaves_the_files_as_they_were(tmp_path: Path):
    database = Database(URL.create("sqlite", database=str(tmp_path / "facereco.db")))
    migrate(database)
    open_vault(database, Keyset.generate())
    database.close()
    before = hashlib.sha256((tmp_path / "facereco.db").read_bytes()).digest()

    again = Database(URL.create("sqlite", database=str(tmp_path / "facereco.db")))
    migrate(again)
    with pytest.raises(ConfigurationError):
        open_vault(again, Keyset.generate())
    again.close()

    assert hashlib.sha256((tmp_path / "facereco.db").read_bytes()).digest() == before
    assert [path.name for path in tmp_path.iterdir()] == ["facereco.db"]


async def test_a_key_of_the_same_name_with_other_bytes_is_refused(storage: Storage):
    primary = storage.keyset.primary
    other = Keyset.generate()
    material = other.keys[other.primary].material
    fake = Keyset(primary, {primary: replace(storage.keyset.keys[primary], material=material)})

    with pytest.raises(ConfigurationError, match="not the one") as refused:
        open_vault(storage.database, fake)

    for shown in (material.hex(), base64.b64encode(material).decode()):
        assert shown not in str(refused.value)


def test_a_keyset_older_than_the_database_is_refused(
    opening: Callable[[Keyset], Storage],
):
    older = Keyset.generate()
    opening(older)
    newer = with_another_key(older, primary=True)
    # Nothing is sealed with the new key yet, but any other server may begin to.
    storage = opening(newer)

    with pytest.raises(ConfigurationError, match=newer.primary):
        open_vault(storage.database, older)


@pytest.mark.parametrize("primary", [False, True])
async def test_a_keyset_with_a_further_key_opens_and_what_was_sealed_stays_readable(
    opening: Callable[[Keyset], Storage], primary: bool
):
    first = Keyset.generate()
    before = opening(first)
    issued = await before.keys.create("team", "v1.0")
    group = await before.group(issued.tenant)
    [face] = await before.faces.add(group, new_faces(1), quota=10)

    after = opening(with_another_key(first, primary=primary))

    assert await after.keys.authenticate(issued.app_key) == issued.tenant
    assert (await after.faces.find(group, face.face_id))[0] == face
    assert after.count(key_checks) == 2
    await after.groups.create(issued.tenant, "later", group.model, quota=10)
    used = {
        row.key_id for row in after.database.read_now(lambda c: c.execute(select(groups)).all())
    }
    assert used == ({first.primary, after.keyset.primary} if primary else {first.primary})


@pytest.mark.parametrize("status", [KeyStatus.DISABLED, KeyStatus.DESTROYED])
async def test_a_key_still_in_use_may_not_be_switched_off(
    opening: Callable[[Keyset], Storage], status: KeyStatus
):
    first = Keyset.generate()
    opening(first)
    both = with_another_key(first, primary=True)
    storage = opening(both)

    with pytest.raises(ConfigurationError, match="still covers data"):
        open_vault(storage.database, with_status(both, first.primary, status))


async def test_a_database_that_lost_its_server_row_is_not_initialised_again(storage: Storage):
    await storage.tenant()
    storage.database.write_now(lambda c: c.execute(delete(server)))
    before = content(storage.database)

    with pytest.raises(ConfigurationError, match="backup"):
        open_vault(storage.database, storage.keyset)

    assert content(storage.database) == before


async def test_a_changed_server_secret_is_refused(storage: Storage):
    storage.database.write_now(lambda c: c.execute(update(server).values(sealed_secret=bytes(61))))

    with pytest.raises(ConfigurationError, match="secret"):
        open_vault(storage.database, storage.keyset)


async def test_a_record_of_another_database_does_not_open(
    opening: Callable[[Keyset], Storage], tmp_path: Path
):
    keyset = Keyset.generate()
    here = opening(keyset)
    there_database = Database(URL.create("sqlite", database=str(tmp_path / "there.db")))
    migrate(there_database)
    there = Storage(there_database, open_vault(there_database, keyset), keyset)
    group = await here.group(await here.tenant())
    assert group.row == (await there.group(await there.tenant())).row
    await there.faces.add(group, new_faces(1), quota=10)
    wrapped = here.database.read_now(lambda c: c.execute(select(groups.c.wrapped_key)).scalar_one())
    there_database.write_now(lambda c: c.execute(update(groups).values(wrapped_key=wrapped)))
    there.vault.forget(group.row)

    with pytest.raises(RecordCorrupt):
        there.changes.changes(group, 0)
    there_database.close()


async def test_only_a_database_never_opened_is_new(url: URL):
    database = Database(url)
    migrate(database)
    before = is_new(database)

    open_vault(database, Keyset.generate())

    assert before
    assert not is_new(database)
    database.close()


async def test_two_servers_may_open_an_empty_database_at_once(url: URL):
    keyset = Keyset.generate()
    databases = [Database(url) for _ in range(8)]
    for database in databases:
        migrate(database)

    async def start(number: int) -> str:
        return open_vault(databases[number], keyset).derive("test").hex()

    secrets = in_threads(8, start)

    assert len(set(secrets)) == 1
    assert isinstance(secrets[0], str)
    for database in databases:
        database.close()


def test_a_destroyed_key_that_covers_nothing_does_no_harm(
    opening: Callable[[Keyset], Storage],
):
    keyset = Keyset.generate()
    old = MasterKey("old", KeyStatus.DESTROYED, "", b"")

    storage = opening(Keyset(keyset.primary, {**keyset.keys, "old": old}))

    assert storage.count(key_checks) == 1
