"""Master keys come and go while servers work; nothing sealed is ever out of reach."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, select, update
from structlog.testing import capture_logs

from app.domain.errors import ConfigurationError, InvalidParameter, StoreUnavailable
from app.storage.database import Database
from app.storage.inspection import inspect
from app.storage.key_life import KeyLife
from app.storage.keyrings import KeysetFile, LiveKeyset
from app.storage.keysets import Keyset, KeyStatus
from app.storage.opening import open_vault
from app.storage.tables import faces, groups, server
from tests.integration.storage.opened import MODEL, Storage, new_faces

Open = Callable[..., Storage]


def quiet(_: int) -> None:
    """Nobody waits."""


@pytest.fixture
def source(tmp_path: Path) -> KeysetFile:
    file = KeysetFile(tmp_path / "keyset.json")
    file.create(Keyset.generate())
    return file


@pytest.fixture
def start(url: URL, source: KeysetFile) -> Iterator[Open]:
    """Another server on the same database and the same keyset file."""
    opened: list[Database] = []

    def make(file: KeysetFile = source) -> Storage:
        opened.append(Database(url))
        keyset, stamp = file.load(), file.stamp()
        vault = open_vault(
            opened[-1], keyset, lambda accept: LiveKeyset(file, keyset, stamp, accept)
        )
        return Storage(opened[-1], vault, keyset)

    yield make
    for database in opened:
        database.close()


def life_of(storage: Storage, source: KeysetFile) -> KeyLife:
    return KeyLife(storage.database, storage.vault, source)


def key_ids(storage: Storage) -> set[str]:
    """The master keys that cover anything."""

    def used(connection):
        return {*connection.scalars(select(groups.c.key_id))} | {
            *connection.scalars(select(server.c.key_id))
        }

    return storage.database.snapshot_now(used)


async def fill(storage: Storage, count: int = 3) -> None:
    tenant = await storage.tenant()
    for number in range(count):
        group = await storage.group(tenant, f"group-{number}")
        await storage.faces.add(group, new_faces(2, seed=number), quota=10)


async def test_a_whole_rotation_beside_a_running_server(start: Open, source: KeysetFile):
    running, operator = start(), start()
    await fill(running, 120)
    life = life_of(operator, source)
    old = source.load().primary

    new = life.add()
    assert key_ids(running) == {old}
    life.promote(new)
    tenant = (await running.keys.create("another", "v1.0")).tenant
    made = await running.group(tenant, "made-after")
    done = life.rewrap(quiet)

    assert key_ids(running) == {new}
    assert (done.moved, done.failed) == (120, [])
    life.disable(old)
    life.destroy(old)
    await running.faces.add(made, new_faces(1), quota=5)
    for server_ in (running, start()):
        found = inspect(server_.database, server_.vault, quiet)
        assert found.sound
        assert (found.groups, found.faces) == (121, 241)
    [first, second] = life.status()
    assert (first.id, first.status, first.retired, first.records) == (
        old,
        KeyStatus.DESTROYED,
        True,
        0,
    )
    assert (second.id, second.primary, second.records) == (new, True, 122)


async def test_a_key_in_use_is_neither_disabled_nor_destroyed(start: Open, source: KeysetFile):
    storage = start()
    await fill(storage)
    life = life_of(storage, source)
    old = source.load().primary
    life.promote(life.add())
    before = source.load()

    with pytest.raises(InvalidParameter, match="4 records"):
        life.disable(old)
    with pytest.raises(InvalidParameter, match="disable it first"):
        life.destroy(old)

    assert source.load() == before
    assert not any(key.retired for key in life.status())
    with pytest.raises(InvalidParameter, match="primary"):
        life.disable(before.primary)


async def test_rewrapping_twice_moves_nothing_the_second_time(start: Open, source: KeysetFile):
    storage = start()
    await fill(storage)
    life = life_of(storage, source)
    life.promote(life.add())

    assert life.rewrap(quiet).moved == 3
    assert life.rewrap(quiet).moved == 0


async def test_a_data_key_that_does_not_open_is_named_and_the_others_move(
    start: Open, source: KeysetFile
):
    storage = start()
    await fill(storage)
    life = life_of(storage, source)
    old = source.load().primary
    storage.database.write_now(
        lambda c: c.execute(update(groups).where(groups.c.row == 2).values(wrapped_key=bytes(61)))
    )
    life.promote(life.add())

    done = life.rewrap(quiet)

    assert (done.moved, done.failed) == (2, [2])
    with pytest.raises(InvalidParameter, match="1 records"):
        life.disable(old)
    found = inspect(storage.database, storage.vault, quiet)
    assert (found.groups, found.broken_groups) == (2, [2])


async def test_a_replica_with_an_old_keyset_wraps_nothing_with_a_retired_key(
    start: Open, source: KeysetFile, tmp_path: Path
):
    copy = KeysetFile(tmp_path / "copy.json")
    copy.create(source.load())
    operator, behind = start(), start(copy)
    await fill(operator)
    life = life_of(operator, source)
    old = source.load().primary
    life.promote(life.add())
    life.rewrap(quiet)
    life.disable(old)
    tenant = (await operator.keys.create("later", "v1.0")).tenant

    with pytest.raises(StoreUnavailable, match="older"):
        await behind.groups.create(tenant, "lost", MODEL, quota=10)
    with pytest.raises(ConfigurationError, match="lacks"):
        start(copy)

    copy.replace(source.load())
    await behind.groups.create(tenant, "found", MODEL, quota=10)
    assert key_ids(operator) == {source.load().primary}


async def test_a_keyset_whose_primary_was_retired_is_refused_at_start(
    start: Open, source: KeysetFile, tmp_path: Path
):
    storage = start()
    life = life_of(storage, source)
    new = life.add()
    before = source.load()
    life.promote(new)
    life.rewrap(quiet)
    life.disable(before.primary)
    copy = KeysetFile(tmp_path / "copy.json")
    copy.create(before)

    with pytest.raises(ConfigurationError, match="out of service"):
        start(copy)


async def test_a_disabled_key_can_be_taken_back_and_a_destroyed_one_not(
    start: Open, source: KeysetFile
):
    storage = start()
    life = life_of(storage, source)
    old = source.load().primary
    life.promote(life.add())
    life.rewrap(quiet)
    life.disable(old)
    with pytest.raises(InvalidParameter, match="not enabled"):
        life.promote(old)

    life.enable(old)
    life.promote(old)
    tenant = await storage.tenant()
    await storage.group(tenant)

    assert old in key_ids(storage)


async def test_a_step_that_was_cut_off_is_completed_by_repeating_it(
    start: Open, source: KeysetFile, monkeypatch: pytest.MonkeyPatch
):
    storage = start()
    life = life_of(storage, source)
    old = source.load().primary
    life.promote(life.add())
    life.rewrap(quiet)

    def cut(_: Keyset) -> None:
        raise KeyboardInterrupt

    for step in (life.disable, life.destroy):
        with monkeypatch.context() as patched:
            patched.setattr(source, "replace", cut)
            with pytest.raises(KeyboardInterrupt):
                step(old)
        start()
        step(old)

    assert source.load().keys[old].status is KeyStatus.DESTROYED


async def test_a_primary_key_the_database_never_met_is_not_taken_by_a_running_server(
    start: Open, source: KeysetFile
):
    storage = start()
    before = source.load()
    changed, key_id = before.with_fresh_key()
    source.replace(changed.with_primary(key_id))
    tenant = await storage.tenant()

    with capture_logs() as logs:
        await storage.group(tenant)

    assert key_ids(storage) == {before.primary}
    assert "new to the database" in logs[0]["reason"]


async def test_a_key_of_a_known_name_with_other_bytes_is_not_taken(start: Open, source: KeysetFile):
    storage = start()
    before = source.load()
    other = Keyset.generate()
    forged = replace(before.keys[before.primary], material=other.keys[other.primary].material)
    source.replace(Keyset(before.primary, {before.primary: forged}))
    tenant = await storage.tenant()

    with capture_logs() as logs:
        group = await storage.group(tenant)
        await storage.faces.add(group, new_faces(1), quota=5)

    assert logs[0]["event"] == "keyset_refused"
    source.replace(before)
    assert inspect(storage.database, start().vault, quiet).sound


async def test_an_inspection_names_the_face_that_does_not_open(start: Open):
    storage = start()
    await fill(storage)
    [face_id] = storage.database.read_now(
        lambda c: list(c.scalars(select(faces.c.face_id).where(faces.c.row == 3)))
    )
    storage.database.write_now(
        lambda c: c.execute(update(faces).where(faces.c.row == 3).values(sealed_vector=bytes(285)))
    )

    found = inspect(storage.database, storage.vault, quiet)

    assert not found.sound
    assert (found.groups, found.faces) == (3, 5)
    assert found.broken_faces == [(2, face_id)]
