"""A backup is of one moment, opens only with its keys, and brings nothing back that was erased."""

import asyncio
import json
import shutil
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL, select, text

from app.domain.errors import ConfigurationError
from app.domain.values import FaceFilter, Group, NewFace, Tenant
from app.storage import backups
from app.storage.corruption import Corruption
from app.storage.database import Database
from app.storage.faces import SqlFaceStore
from app.storage.groups import SqlGroupStore
from app.storage.keyrings import KeysetFile
from app.storage.keysets import Keyset
from app.storage.migrate import REVISIONS
from app.storage.stores import Storage, open_storage
from app.storage.tables import faces, groups
from tests.integration.storage.opened import MODEL, new_faces


@dataclass
class Place:
    """Where a server keeps what it has: a data folder and the address of its database."""

    data: Path
    url: str

    @property
    def keyset(self) -> KeysetFile:
        return KeysetFile(self.data / "keys" / "keyset.json")

    @property
    def ledger(self) -> Path:
        return self.data / "ledger" / "erasures.jsonl"

    def stores(self, storage: Storage) -> tuple[SqlGroupStore, SqlFaceStore]:
        remember = storage.erasures.remember
        return (
            SqlGroupStore(storage.database, storage.vault, remember),
            SqlFaceStore(storage.database, storage.vault, Corruption(), remember),
        )


def sqlite_in(data: Path) -> str:
    """The address a server uses that was told no other."""
    return f"sqlite:///{data / 'database' / 'facereco.db'}"


NewPlace = Callable[[str], Place]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> NewPlace:
    """Makes an empty place of the name it is given."""
    if request.param == "sqlite":
        return lambda name: Place(tmp_path / name, sqlite_in(tmp_path / name))
    new_postgres: Callable[[str], URL] = request.getfixturevalue("new_postgres")
    return lambda name: Place(
        tmp_path / name, new_postgres("template0").render_as_string(hide_password=False)
    )


@dataclass
class Source:
    """A place with a group of ten faces in it, open."""

    place: Place
    storage: Storage
    tenant: Tenant
    group: Group
    faces: list[NewFace]

    @property
    def store(self) -> SqlFaceStore:
        return self.place.stores(self.storage)[1]

    async def rows(self, place: Place | None = None) -> list[str]:
        """Face ids, oldest first, as a place shows them; each vector is opened on the way."""
        place = place or self.place
        with open_storage(place.data, place.url, place.keyset) as storage:
            group_store, face_store = place.stores(storage)
            group = await group_store.get(self.tenant, self.group.id)
            page = await face_store.page(group, None, 1_000, FaceFilter())
            assert len(page) == group.face_count
            for record in page:
                await face_store.find(group, record.face_id)
            return [record.face_id for record in reversed(page)]


@pytest.fixture
async def source(new_place: NewPlace) -> AsyncIterator[Source]:
    place = new_place("first")
    with open_storage(place.data, place.url, place.keyset) as storage:
        tenant = (await storage.keys.create("team", "v1.0")).tenant
        group_store, face_store = place.stores(storage)
        await group_store.create(tenant, "staff", MODEL, quota=10)
        group = await group_store.get(tenant, "staff")
        stored = new_faces(10)
        await face_store.add(group, stored, quota=1_000)
        yield Source(place, storage, tenant, group, stored)


def ids(stored: list[NewFace]) -> list[str]:
    return [face.face_id for face in stored]


def nobody(_: int) -> None:
    """Hears of no progress."""


def restore(backup: Path, place: Place, *ledgers: Path) -> backups.Restored:
    return backups.restore(backup, place.data, place.url, place.keyset, ledgers)


def with_keyset_of(place: Place, other: Place) -> Place:
    (place.data / "keys").mkdir(parents=True)
    shutil.copy(other.keyset.path, place.keyset.path)
    return place


async def test_a_restored_backup_holds_what_was_there_when_it_was_made(
    source: Source, new_place: NewPlace, tmp_path: Path
):
    manifest = backups.create(source.storage, tmp_path / "backup", with_keyset=False)
    [late] = await source.store.add(source.group, new_faces(1, seed=99), quota=1_000)
    second = with_keyset_of(new_place("second"), source.place)

    restored = restore(tmp_path / "backup", second)

    assert (restored.groups, restored.faces, restored.ledgers) == (1, 10, 0)
    assert dict(manifest.counts) == {"tenants": 1, "groups": 1, "faces": 10}
    assert await source.rows(second) == ids(source.faces)
    assert late.face_id in await source.rows()


async def test_a_backup_moves_between_sqlite_and_postgresql(
    source: Source, new_postgres: Callable[[str], URL], tmp_path: Path
):
    backups.create(source.storage, tmp_path / "backup", with_keyset=False)
    if source.storage.database.is_sqlite:
        url = new_postgres("template0").render_as_string(hide_password=False)
    else:
        url = sqlite_in(tmp_path / "other")
    other = with_keyset_of(Place(tmp_path / "other", url), source.place)

    restore(tmp_path / "backup", other)

    assert await source.rows(other) == ids(source.faces)
    with open_storage(other.data, other.url, other.keyset) as storage:
        group_store, face_store = other.stores(storage)
        group = await group_store.get(source.tenant, source.group.id)
        [record] = await face_store.add(group, new_faces(1, seed=50), quota=1_000)
    assert record.row == source.group.face_count + 10 + 1  # rows go on where they were


async def test_what_was_erased_after_the_backup_stays_erased_when_the_ledger_is_given(
    source: Source, new_place: NewPlace, tmp_path: Path
):
    group_store, face_store = source.place.stores(source.storage)
    await group_store.create(source.tenant, "guests", MODEL, quota=10)
    leaving = await source.storage.keys.create("leaving", "v1.0")
    await group_store.create(leaving.tenant, "theirs", MODEL, quota=10)
    backups.create(source.storage, tmp_path / "backup", with_keyset=False)
    await face_store.delete(source.group, source.faces[3].face_id)
    await group_store.delete(source.tenant, "guests")
    await source.storage.keys.delete("leaving")
    second = with_keyset_of(new_place("second"), source.place)
    third = with_keyset_of(new_place("third"), source.place)

    without = restore(tmp_path / "backup", second)
    restored = restore(tmp_path / "backup", third, source.place.ledger)

    assert (without.groups, without.faces, without.erased_again) == (3, 10, 0)
    assert (restored.groups, restored.faces, restored.ledgers) == (1, 9, 1)
    kept = ids(source.faces[:3] + source.faces[4:])
    assert await source.rows(third) == kept
    with open_storage(third.data, third.url, third.keyset) as storage:
        assert [key.tenant.name for key in await storage.keys.list()] == ["team"]
    # What was replayed is remembered in the new place as well, for the next restore.
    remembered = third.ledger.read_text().splitlines()
    assert len(remembered) >= len(source.place.ledger.read_text().splitlines()) == 4


async def test_a_group_made_anew_under_an_old_number_is_not_taken_for_an_erased_one(
    source: Source, new_place: NewPlace, tmp_path: Path
):
    backups.create(source.storage, tmp_path / "backup", with_keyset=False)
    group_store, _ = source.place.stores(source.storage)
    await group_store.create(source.tenant, "passing", MODEL, quota=10)
    passing = await group_store.delete(source.tenant, "passing")
    second = with_keyset_of(new_place("second"), source.place)
    restore(tmp_path / "backup", second, source.place.ledger)
    with open_storage(second.data, second.url, second.keyset) as storage:
        second_groups, _ = second.stores(storage)
        await second_groups.create(source.tenant, "new", MODEL, quota=10)
        assert (await second_groups.get(source.tenant, "new")).row == passing.row
        backups.create(storage, tmp_path / "later", with_keyset=False)
    third = with_keyset_of(new_place("third"), source.place)

    restored = restore(tmp_path / "later", third, second.ledger)

    assert (restored.groups, restored.erased_again) == (2, 0)


async def test_a_backup_made_while_faces_come_and_go_is_of_one_moment(
    source: Source, new_place: NewPlace, tmp_path: Path
):
    done = asyncio.Event()

    async def change() -> None:
        seed = 1_000
        while not done.is_set():
            added = await source.store.add(source.group, new_faces(3, seed=seed), quota=10_000)
            await source.store.delete(source.group, added[0].face_id)
            seed += 3

    changing = [asyncio.create_task(change()) for _ in range(3)]
    await asyncio.sleep(0.2)
    made = await asyncio.to_thread(
        backups.create, source.storage, tmp_path / "backup", with_keyset=False
    )
    await asyncio.sleep(0.1)
    done.set()
    await asyncio.gather(*changing)
    second = with_keyset_of(new_place("second"), source.place)

    restore(tmp_path / "backup", second)

    assert len(await source.rows(second)) == made.counts["faces"]
    before, whole = set(ids(source.faces)), set(await source.rows(second))
    assert before <= whole
    assert made.counts["faces"] > 10


async def test_a_backup_holds_no_key_unless_it_was_asked_for(
    source: Source, new_place: NewPlace, tmp_path: Path
):
    backups.create(source.storage, tmp_path / "without", with_keyset=False)
    backups.create(source.storage, tmp_path / "with", with_keyset=True)
    material = source.place.keyset.load().content()
    second, third = new_place("second"), new_place("third")

    with pytest.raises(ConfigurationError, match="made without one"):
        restore(tmp_path / "without", second)
    assert not second.data.exists()
    restore(tmp_path / "with", third)

    assert sorted(path.name for path in (tmp_path / "without").iterdir()) == [
        "database.db",
        "manifest.json",
    ]
    assert third.keyset.load().content() == material
    assert await source.rows(third) == ids(source.faces)
    for path in [tmp_path / "with", *(tmp_path / "with").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


async def test_an_existing_database_is_never_replaced(
    source: Source, new_place: NewPlace, tmp_path: Path
):
    backups.create(source.storage, tmp_path / "backup", with_keyset=False)
    await source.store.delete(source.group, source.faces[0].face_id)

    with pytest.raises(ConfigurationError, match="already"):
        restore(tmp_path / "backup", source.place)
    with pytest.raises(ConfigurationError, match="already"):
        backups.create(source.storage, tmp_path / "backup", with_keyset=False)

    assert await source.rows() == ids(source.faces[1:])


async def test_a_foreign_keyset_is_refused_and_nothing_is_restored(
    source: Source, new_place: NewPlace, tmp_path: Path
):
    backups.create(source.storage, tmp_path / "backup", with_keyset=True)
    second = new_place("second")
    (second.data / "keys").mkdir(parents=True)
    second.keyset.create(Keyset.generate())

    with pytest.raises(ConfigurationError, match="lacks"):
        restore(tmp_path / "backup", second)
    with pytest.raises(ConfigurationError, match="lacks"):
        backups.verify(tmp_path / "backup", second.keyset, nobody)

    assert list((second.data / "database").iterdir()) == []
    if second.url.startswith("postgresql"):
        with closing(Database(second.url)) as database:
            assert not database.has_tables()


async def test_verifying_opens_every_vector_and_changes_no_byte(source: Source, tmp_path: Path):
    backups.create(source.storage, tmp_path / "backup", with_keyset=False)
    before = {path.name: path.read_bytes() for path in (tmp_path / "backup").iterdir()}

    manifest, found = backups.verify(tmp_path / "backup", source.place.keyset, nobody)

    assert found.sound
    assert (found.groups, found.faces) == (1, 10) == (1, manifest.counts["faces"])
    assert {path.name: path.read_bytes() for path in (tmp_path / "backup").iterdir()} == before


async def test_a_vector_that_was_broken_before_the_backup_is_named(source: Source, tmp_path: Path):
    broken = source.faces[4].face_id
    source.storage.database.write_now(
        lambda c: c.execute(
            faces.update().where(faces.c.face_id == broken).values(sealed_vector=bytes(300))
        )
    )
    backups.create(source.storage, tmp_path / "backup", with_keyset=False)

    _, found = backups.verify(tmp_path / "backup", source.place.keyset, nobody)

    assert (found.faces, [face for _, face in found.broken_faces]) == (9, [broken])


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("new_place", ["sqlite"], indirect=True)
async def test_a_changed_byte_anywhere_is_found(source: Source, tmp_path: Path):
    backups.create(source.storage, tmp_path / "backup", with_keyset=False)
    database = tmp_path / "backup" / "database.db"
    size = database.stat().st_size
    for place in range(0, size, size // 40):
        flip(database, place)
        with pytest.raises(ConfigurationError, match=r"database\.db is damaged"):
            backups.verify(tmp_path / "backup", source.place.keyset, nobody)
        flip(database, place)

    manifest = tmp_path / "backup" / "manifest.json"
    fields = json.loads(manifest.read_text())
    for change in ({"counts": {"faces": 9}}, {"created": "2020"}, {"format": 2}, {"files": 3}):
        manifest.write_text(json.dumps({**fields, **change}))
        with pytest.raises(ConfigurationError, match="backup"):
            backups.verify(tmp_path / "backup", source.place.keyset, nobody)


@pytest.mark.parametrize("new_place", ["sqlite"], indirect=True)
async def test_a_backup_somebody_made_up_to_its_sums_is_told_by_its_seal(
    source: Source, tmp_path: Path
):
    backups.create(source.storage, tmp_path / "backup", with_keyset=False)
    folder, second = tmp_path / "backup", tmp_path / "forged"
    await source.store.delete(source.group, source.faces[0].face_id)
    backups.create(source.storage, second, with_keyset=False)
    forged = json.loads((second / "manifest.json").read_text())
    sealed = json.loads((folder / "manifest.json").read_text())
    (second / "manifest.json").write_text(json.dumps({**forged, "seal": sealed["seal"]}))

    with pytest.raises(ConfigurationError, match="not of its keys"):
        backups.verify(second, source.place.keyset, nobody)


@pytest.mark.parametrize("new_place", ["sqlite"], indirect=True)
async def test_a_damaged_ledger_stops_a_restore(
    source: Source, new_place: NewPlace, tmp_path: Path
):
    backups.create(source.storage, tmp_path / "backup", with_keyset=False)
    await source.store.delete(source.group, source.faces[0].face_id)
    flip(source.place.ledger, 40)
    second = with_keyset_of(new_place("second"), source.place)

    with pytest.raises(ConfigurationError, match="line 1 is damaged"):
        restore(tmp_path / "backup", second, source.place.ledger)

    assert list((second.data / "database").iterdir()) == []


@pytest.mark.parametrize("new_place", ["sqlite"], indirect=True)
async def test_a_backup_of_an_older_schema_is_brought_up_to_date_by_a_restore(
    source: Source, new_place: NewPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    backups.create(source.storage, tmp_path / "backup", with_keyset=False)
    newer = text("UPDATE alembic_version SET version_num = 'newer'")
    source.storage.database.write_now(lambda c: c.execute(newer))

    monkeypatch.setattr("app.storage.backups.REVISIONS", (*REVISIONS, "newer"))
    backups.create(source.storage, tmp_path / "newer", with_keyset=False)
    with pytest.raises(ConfigurationError, match="it has schema"):
        backups.verify(tmp_path / "backup", source.place.keyset, nobody)
    monkeypatch.undo()

    second = with_keyset_of(new_place("second"), source.place)
    with pytest.raises(ConfigurationError, match="newer server"):
        restore(tmp_path / "newer", second)
    assert restore(tmp_path / "backup", second).faces == 10


async def test_the_rows_of_a_restored_database_are_the_very_same(
    source: Source, new_place: NewPlace, tmp_path: Path
):
    def everything(database: Database) -> list[object]:
        return database.snapshot_now(
            lambda c: [c.execute(select(t).order_by(t.c.row)).all() for t in (groups, faces)]
        )

    backups.create(source.storage, tmp_path / "backup", with_keyset=False)
    second = with_keyset_of(new_place("second"), source.place)
    restore(tmp_path / "backup", second)

    with closing(Database(second.url)) as database:
        assert everything(database) == everything(source.storage.database)
