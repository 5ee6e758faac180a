"""A backup as an operator takes, proves and restores it, beside a server that goes on."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.server.fast import Shell, fast, people
from tests.integration.server.history import Wire, listed_faces


def enrol(wire: Wire, count: int) -> list[str]:
    wire.ask("POST", "/groups", {"groupId": "staff"})
    bodies = [{"image": people(person), "limit": 1} for person in range(count)]
    answers = [wire.ask("POST", "/groups/staff", body) for body in bodies]
    return [answer["addedFaces"][0]["faceId"] for answer in answers]


def test_a_server_comes_back_from_its_backup_without_what_was_deleted_since(
    shell: Shell, tmp_path: Path
):
    backup, second = str(tmp_path / "backup"), str(tmp_path / "second")
    with fast(shell.foundry, tmp_path / "data", **shell.settings) as server:
        key = server.app_key
        with closing(Wire(server.base, key)) as wire:
            faces = enrol(wire, 5)
            made = shell.run("backup", "create", backup, "--with-keyset")
            wire.ask("DELETE", f"/groups/staff/faces/{faces[1]}")
            late = wire.ask("POST", "/groups/staff", {"image": people(77), "limit": 1})

    proven = shell.run("backup", "verify", backup)
    refused = shell.run("backup", "restore", backup)
    ledger = str(tmp_path / "data" / "ledger" / "erasures.jsonl")
    elsewhere = {"data": second, "database_url": sqlite(second)}
    restored = shell.run("backup", "restore", backup, "--ledger", ledger, **elsewhere)

    assert "1 keys, 1 groups, 5 faces" in made[0]
    assert "1 data keys and 5 vectors open" in proven[0]
    assert refused[1].startswith("facereco: there is a database already")
    assert restored == (
        "restored 1 groups with 4 faces\nerased again, as the ledger tells: 1\n",
        "",
    )
    with (
        fast(shell.foundry, Path(second), "second", database_url=sqlite(second)) as server,
        closing(Wire(server.base, key)) as wire,
    ):
        assert sorted(listed_faces(wire, "staff", named=False)) == sorted(faces[:1] + faces[2:])
        search = "/groups/staff/search?limit=1&threshold=99"
        assert wire.ask("POST", search, {"image": people(1)})["matchFaces"] == []
        found = wire.ask("POST", search, {"image": people(2)})["matchFaces"]
        assert [match["face"]["faceId"] for match in found] == [faces[2]]
        assert late["addedFaces"][0]["faceId"] not in listed_faces(wire, "staff", named=False)


def sqlite(data: str) -> str:
    return f"sqlite:///{data}/database/facereco.db"


def test_a_kill_in_the_midst_leaves_no_backup_and_no_database_that_looks_whole(
    shell: Shell, tmp_path: Path
):
    backup, second = tmp_path / "backup", tmp_path / "second"
    with fast(shell.foundry, tmp_path / "data", **shell.settings) as server:
        key = server.app_key
        with closing(Wire(server.base, key)) as wire:
            faces = enrol(wire, 3)
    elsewhere = {"data": str(second), "database_url": sqlite(str(second))}

    shell.run("backup", "create", str(backup), test="1", test_faults="backup.writing=kill")
    assert not backup.exists()
    shell.run("backup", "create", str(backup), "--with-keyset")
    shell.run(
        *("backup", "restore", str(backup)),
        **elsewhere,
        test="1",
        test_faults="restore.writing=kill",
    )
    assert not (second / "database" / "facereco.db").exists()
    shell.run("backup", "restore", str(backup), **elsewhere)

    with (
        fast(shell.foundry, second, "second", database_url=sqlite(str(second))) as server,
        closing(Wire(server.base, key)) as wire,
    ):
        assert sorted(listed_faces(wire, "staff", named=False)) == sorted(faces)


@pytest.mark.parametrize("fresh_url", ["sqlite"], indirect=True)
def test_what_is_no_backup_is_one_line(shell: Shell, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        for verb in ("verify", "restore"):
            out, err = shell.run("backup", verb, str(folder))
            assert out == ""
            assert err.startswith(f"facereco: backup {folder}: ")
            assert err.count("\n") == 1
    assert not (tmp_path / "data").exists()
