"""An operator's commands, killed at their places: whatever was there works on, and goes on.

The ordinary suite kills once at each place; `./facereco test --long -k cut_commands` 20 times, on
SQLite and on PostgreSQL, and prints what it saw. Requests have such tests in `test_crashes`.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import create_engine, text

from app.domain.faults import FaultPoint
from tests.integration.server.fast import Shell, fast, people
from tests.integration.server.history import Wire, dice, listed_faces
from tests.integration.server.test_crashes import PASSED

# More groups than one batch of a rewrap.
MANY = 120
SEED = 20261121


@dataclass
class House:
    """A data folder with faces in it, and the commands that work on it."""

    shell: Shell
    dice: Random
    groups: int = 0
    key: str = ""
    faces: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def data(self) -> Path:
        return self.shell.folder / "data"

    @property
    def url(self) -> str:
        return self.shell.settings.get("database_url", sqlite(self.data))

    def furnish(self, groups: int) -> None:
        self.groups = groups
        with fast(self.shell.foundry, self.data, **self.shell.settings) as server:
            self.key = server.app_key
            with closing(Wire(server.base, self.key)) as wire:
                for number in range(groups):
                    wire.ask("POST", "/groups", {"groupId": f"staff-{number}"})
                bodies = [{"image": people(person), "limit": 1} for person in range(3)]
                added = [wire.ask("POST", "/groups/staff-0", body) for body in bodies]
        self.faces = [answer["addedFaces"][0]["faceId"] for answer in added]

    def done(self, *arguments: str, **settings: str) -> str:
        """What a command printed that had to succeed."""
        out, err = self.shell.run(*arguments, **settings)
        assert err == "", (arguments, err)
        return out

    def killed(self, point: FaultPoint, *arguments: str, **settings: str) -> None:
        """Run a command that dies at `point`, the first time it gets there."""
        fault = {"test": "1", "test_faults": f"{point.value}=kill@1"}
        out, err = self.shell.run(*arguments, **{**fault, **settings})
        assert (out, err) == ("", ""), (arguments, "passed its fault point unharmed")
        self.kills[point.value] += 1

    def check(self, data: Path | None = None, **settings: str) -> None:
        """A server that starts now shows every face and finds it, and every record opens."""
        given = {**self.shell.settings, **settings}
        with (
            fast(self.shell.foundry, data or self.data, "check", **given) as server,
            closing(Wire(server.base, self.key)) as wire,
        ):
            assert sorted(listed_faces(wire, "staff-0", named=False)) == sorted(self.faces)
            for person, face in enumerate(self.faces):
                search = "/groups/staff-0/search?limit=1&threshold=99"
                [match] = wire.ask("POST", search, {"image": people(person)})["matchFaces"]
                assert match["face"]["faceId"] == face
        given = {"data": str(data)} if data else {}
        told = json.loads(self.done("vault", "verify", "--json", **given, **settings))
        assert (told["groups"], told["faces"]) == (self.groups, len(self.faces))
        assert (told["broken_groups"], told["broken_faces"]) == ([], [])

    def keys(self) -> dict[str, bool]:
        """The ids of the master keys, and which one is primary."""
        rows = json.loads(self.done("vault", "status", "--json"))
        return {row["id"]: bool(row["primary"]) for row in rows}

    def primary(self) -> str:
        return next(key for key, is_primary in self.keys().items() if is_primary)


def sqlite(data: Path) -> str:
    return f"sqlite:///{data}/database/facereco.db"


def cut_a_migration(house: House) -> None:
    """The newest migrations, of a database that holds faces."""
    engine = create_engine(house.url.replace("sqlite://", "sqlite+pysqlite://"))
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE calibrations"))
        connection.execute(text("ALTER TABLE key_checks DROP COLUMN retired"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    house.killed(FaultPoint.MIGRATING, "serve", "--port", "0")
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "0002"
    engine.dispose()
    house.check()


def cut_a_backup(house: House) -> None:
    target = house.shell.folder / "backup"
    house.killed(FaultPoint.BACKUP_WRITING, "backup", "create", str(target))
    assert not target.exists()
    house.done("backup", "create", str(target))
    assert f"{len(house.faces)} vectors open" in house.done("backup", "verify", str(target))
    shutil.rmtree(target)


def cut_a_restore(house: House) -> None:
    folder = house.shell.folder
    backup, second = folder / "backup", folder / "second"
    elsewhere = {"data": str(second), "database_url": sqlite(second)}
    house.done("backup", "create", str(backup), "--with-keyset")
    restore = ("backup", "restore", str(backup))
    house.killed(FaultPoint.RESTORE_WRITING, *restore, **elsewhere)
    assert not (second / "database" / "facereco.db").exists()
    house.done(*restore, **elsewhere)
    house.check(second, database_url=sqlite(second))
    shutil.rmtree(backup)
    shutil.rmtree(second)


def cut_a_rewrap(house: House, point: FaultPoint) -> None:
    old, before = house.primary(), house.keys()
    house.done("vault", "add-key")
    [new] = house.keys().keys() - before.keys()
    house.done("vault", "promote", new)
    second = {"test_faults": f"{point.value}=kill@{house.dice.randint(1, 2)}"}
    house.killed(point, "vault", "rewrap", **second)
    house.check()
    house.done("vault", "rewrap")
    house.done("vault", "disable", old)
    house.check()


def cut_a_keyset(house: House) -> None:
    """Whichever command the dice say, of those that write it."""
    place = FaultPoint.KEYSET_BEFORE_RENAME
    old, before = house.primary(), house.keys()
    chosen = house.dice.choice(("add-key", "promote", "disable", "destroy"))

    def step(name: str, *arguments: str) -> None:
        if name == chosen:
            keys = house.keys()
            house.killed(place, "vault", name, *arguments)
            assert house.keys() == keys
            house.check()
        house.done("vault", name, *arguments)

    step("add-key")
    [new] = house.keys().keys() - before.keys()
    step("promote", new)
    house.done("vault", "rewrap")
    step("disable", old)
    step("destroy", old, "--yes")
    assert house.primary() == new
    house.check()


CUTS: dict[FaultPoint, Callable[[House], None]] = {
    FaultPoint.MIGRATING: cut_a_migration,
    FaultPoint.BACKUP_WRITING: cut_a_backup,
    FaultPoint.RESTORE_WRITING: cut_a_restore,
    FaultPoint.REWRAP_BEFORE_COMMIT: partial(cut_a_rewrap, point=FaultPoint.REWRAP_BEFORE_COMMIT),
    FaultPoint.REWRAP_AFTER_COMMIT: partial(cut_a_rewrap, point=FaultPoint.REWRAP_AFTER_COMMIT),
    FaultPoint.KEYSET_BEFORE_RENAME: cut_a_keyset,
}


@pytest.fixture
def house(shell: Shell) -> House:
    return House(shell, dice(SEED))


@pytest.mark.parametrize("fresh_url", ["sqlite"], indirect=True)
def test_a_killed_migration_leaves_every_face_and_is_done_by_the_next_start(house: House):
    # Backups and restores are killed in `test_backup_commands`, rewraps and keysets in
    # `test_rotation`.
    house.furnish(3)

    cut_a_migration(house)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("point", CUTS, ids=lambda point: point.value)
def test_twenty_kills_at_each_place_of_a_command(
    house: House, point: FaultPoint, capsys: pytest.CaptureFixture[str]
):
    house.furnish(MANY)

    for _ in range(20):
        CUTS[point](house)

    with capsys.disabled():
        kind = house.url.split(":")[0]
        sys.stdout.write(f"\nseed {SEED}, {kind}: {house.kills[point.value]} x {point.value}\n")


def test_every_fault_point_has_its_kills():
    assert {*CUTS, *PASSED} == set(FaultPoint)
