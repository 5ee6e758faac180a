"""The audit trail of real servers, through kill -9, and as an operator reads it."""

import csv
import io
import json

import pytest

from tests.integration.server.processes import (
    ROOT,
    Client,
    ServerProcess,
    command_here,
    image,
)

ASTRONAUT = ROOT / "tests" / "pictures" / "astronaut.jpg"


def _live(server: ServerProcess) -> tuple[str, str]:
    key = server.app_key
    picture = {"image": image(ASTRONAUT)}
    client = Client(server.base, key)
    client.ask("POST", "/groups", {"groupId": "staff"})
    added = client.ask("POST", "/groups/staff", {**picture, "limit": 1})
    face = added["addedFaces"][0]["faceId"]
    client.ask("POST", "/groups/staff/search", picture, limit=5, threshold=50)
    client.ask("DELETE", f"/groups/staff/faces/{face}")
    client.close()
    stranger = Client(server.base, "x" * 22)
    assert stranger.code("GET", "/groups", limit=1) == -41000
    stranger.close()
    return key, face


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A data folder with the traces of a server that was killed once."""
    data = tmp_path_factory.mktemp("audited") / "data"
    server = ServerProcess(data, {"workers": "1"})
    try:
        key, face = _live(server.start())
    finally:
        server.kill()
    return data, key, face


def test_everything_is_there_after_a_kill_and_whole(lived):
    data, key, face = lived
    command_here("keys", "create", "--data", str(data), "--name", "gate")
    command_here("vault", "add-key", "--data", str(data))

    done = command_here("audit", "export", "--data", str(data))
    verified = command_here("audit", "verify", "--data", str(data))

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(r["operation"], r.get("tenant"), r.get("code")) for r in rows] == [
        ("keys.create", "default", None),
        ("create_group", "default", 0),
        ("register", "default", 0),
        ("search_by_image", "default", 0),
        ("delete_face", "default", 0),
        ("list_groups", None, -41000),
        ("keys.create", "gate", None),
        ("vault.add-key", None, None),
    ]
    assert rows[2]["faces"] == rows[3]["faces"] == [face]
    assert {r["source"] for r in rows[1:6]} == {"127.0.0.1"}
    assert verified.exit_code == 0, verified.stdout
    assert "8 records, whole" in verified.stdout
    files = b"".join(path.read_bytes() for path in (data / "audit").iterdir())
    assert key.encode() not in files


def test_an_export_as_a_table_holds_the_records_of_one_key(lived):
    data, _, face = lived

    done = command_here(
        "audit", "export", "--data", str(data), "--format", "csv", "--tenant", "default",
        "--from", "2026-01-01",
    )  # fmt: skip

    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["operation"] for row in rows][:5] == [
        "keys.create",
        "create_group",
        "register",
        "search_by_image",
        "delete_face",
    ]
    assert rows[4]["face"] == face
    later = command_here("audit", "export", "--data", str(data), "--from", "2999-01-01T00:00")
    assert later.stdout == ""


def test_a_record_taken_out_is_told_with_exit_code_1(lived):
    data, _, _ = lived
    file = data / "audit" / "0.jsonl"
    sound = file.read_bytes()
    lines = sound.splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2] + lines[3:]))

    done = command_here("audit", "verify", "--data", str(data))
    file.write_bytes(sound)

    assert done.exit_code == 1
    assert "records 3..3 are missing" in done.stdout


def test_an_anchor_from_an_earlier_check_is_accepted_and_nonsense_is_not(lived, tmp_path):
    data, _, _ = lived
    anchor = tmp_path / "anchor.json"
    anchor.write_text(command_here("audit", "verify", "--data", str(data), "--json").stdout)

    assert (
        command_here("audit", "verify", "--data", str(data), "--anchor", str(anchor)).exit_code == 0
    )
    anchor.write_text('{"a": 1}')
    assert (
        command_here("audit", "verify", "--data", str(data), "--anchor", str(anchor)).exit_code != 0
    )
    assert command_here("audit", "export", "--data", str(data), "--from", "noon").exit_code != 0


def test_where_it_is_switched_off_there_is_no_trail(tmp_path):
    command_here("keys", "create", "--data", str(tmp_path / "d"), "--name", "x", audit="off")

    assert not (tmp_path / "d" / "audit").exists()
