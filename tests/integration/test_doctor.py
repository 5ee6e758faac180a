"""Whatever is wrong with an installation is found, told with what to do, and left as it is."""

import asyncio
import hashlib
import http.server
import json
import re
import shutil
import sqlite3
import threading
from collections import namedtuple
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from app.cli.checkup import CHECKS, Installation, State, findings
from app.domain.values import ModelVersion
from app.settings import Settings
from app.storage.groups import SqlGroupStore
from app.storage.stores import open_storage
from app.vision.packs import MODELS, PackCatalog
from tests.integration.server.processes import command_here

STARTER = PackCatalog(MODELS).get("starter").model_version


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The folder of a server that has a key and a group."""
    return made(tmp_path_factory.mktemp("doctor") / "data")


@pytest.fixture
def data(sound, tmp_path):
    """One like it, to be spoilt."""
    return shutil.copytree(sound, tmp_path / "data")


def made(data, model=STARTER):
    settings = Settings.read(data=data)
    with open_storage(settings.data, settings.database, settings.keyset) as storage:
        tenant = asyncio.run(storage.keys.create("gate", "v1.0")).tenant
        groups = SqlGroupStore(storage.database, storage.vault, storage.erasures.remember)
        asyncio.run(groups.create(tenant, "staff", model, quota=10))
    return data


def found(check, **settings):
    """What one check finds: its worst state, and all it says."""
    lines = findings(Installation(Settings.read(**settings)), check)
    worst = max((line.state for line in lines), key=list(State).index)
    return worst, "\n".join(f"{line.said} -> {line.advice}" for line in lines)


def change(data, statement, *values):
    with closing(sqlite3.connect(data / "database" / "facereco.db")) as database, database:
        database.execute(statement, values)


QUICK = [name for name in CHECKS if name not in {"providers", "decoder", "network"}]


@pytest.mark.parametrize("check", QUICK)
def test_a_sound_installation_has_no_fault(check, data):
    assert found(check, data=data)[0] is State.OK


@pytest.mark.parametrize("check", QUICK)
def test_before_the_first_start_nothing_is_wrong_either(check, tmp_path):
    assert found(check, data=tmp_path / "data")[0] is State.OK
    assert list(tmp_path.iterdir()) == []


def test_looking_changes_nothing(data):
    before = contents(data)

    for check in QUICK:
        found(check, data=data)

    assert contents(data) == before


def contents(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_in_no_folder_is_told(tmp_path):
    state, said = found("data folder", data=tmp_path / "not" / "mounted")

    assert state is State.FAULT
    assert "FACERECO_DATA" in said


def test_a_folder_others_may_enter_is_told(data):
    data.chmod(0o755)

    assert found("data folder", data=data) == (
        State.NOTE,
        f"others may enter {data} -> chmod 700 {data}",
    )


def test_a_keyset_that_was_lost_is_told(data):
    (data / "keys" / "keyset.json").unlink()

    state, said = found("keyset", data=data)

    assert state is State.FAULT
    assert "backup" in said


def test_a_keyset_that_others_may_read_is_told(data):
    (data / "keys" / "keyset.json").chmod(0o644)

    state, said = found("keyset", data=data)

    assert state is State.FAULT
    assert "docs/keys.md" in said


def test_the_keyset_of_another_database_is_told(data, tmp_path):
    other = made(tmp_path / "other")

    state, said = found(
        "keyset and database", data=data, keyset_file=other / "keys" / "keyset.json"
    )

    assert state is State.FAULT
    assert "lacks" in said


def test_a_damaged_database_is_told(data):
    file = data / "database" / "facereco.db"
    whole = file.read_bytes()
    file.write_bytes(whole[:-16_384] + bytes(16_384))

    state, said = found("database", data=data)

    assert state is State.FAULT
    assert "docs/backup.md" in said


def test_a_database_of_a_newer_server_is_told(data):
    change(data, "UPDATE alembic_version SET version_num = '9999'")

    state, said = found("database", data=data)

    assert state is State.FAULT
    assert "newer" in said


def test_a_database_that_is_away_is_told_without_its_password(data):
    state, said = found(
        "database", data=data, database_url="postgresql://facereco:hunter2@127.0.0.1:1/facereco"
    )

    assert state is State.FAULT
    assert "FACERECO_DATABASE_URL" in said
    assert "hunter2" not in said


def test_a_server_whose_keys_are_all_revoked_is_told(data):
    change(data, "UPDATE tenants SET revoked = created")

    state, said = found("keys", data=data)

    assert state is State.NOTE
    assert "keys create" in said


def test_a_pack_nobody_knows_is_told(data):
    state, said = found("model pack", data=data, model="nobody")

    assert state is State.FAULT
    assert "FACERECO_MODEL" in said


def test_a_pack_without_its_files_is_told(data):
    state, said = found("model pack", data=data, model="opencv")

    assert state is State.FAULT
    assert "missing" in said
    assert "FACERECO_MODEL_PATH" in said


def test_groups_of_a_model_that_is_gone_are_told(tmp_path):
    data = made(tmp_path / "data", ModelVersion("gone-00000000"))

    state, said = found("models of groups", data=data)

    assert state is State.FAULT
    assert "gone-00000000, groups: 1" in said


def test_a_pack_that_cannot_tell_live_faces_is_told(data):
    assert found("spoofing", data=data, model="opencv")[0] is State.NOTE


def test_a_clock_that_went_back_is_told(data):
    later = datetime.now(UTC) + timedelta(days=1)
    change(data, "UPDATE groups SET created = ?", later.strftime("%Y-%m-%d %H:%M:%S.%f"))

    state, said = found("clock", data=data)

    assert state is State.FAULT
    assert "chrony" in said


Usage = namedtuple("Usage", "free")


@pytest.mark.parametrize(("free", "state"), [(10**6, State.FAULT), (5 * 10**8, State.NOTE)])
def test_a_disk_that_is_filling_is_told(data, monkeypatch, free, state):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free))

    assert found("disk", data=data)[0] is state


def test_more_memory_than_there_is_is_told_with_what_would_fit(data):
    state, said = found("limits", data=data, index_memory=10**15)

    assert state is State.NOTE
    fitting = re.search(r"FACERECO_INDEX_MEMORY=(\d+)", said)
    assert fitting is not None
    assert found("limits", data=data, index_memory=int(fitting[1]))[0] is State.OK


@contextmanager
def answering(status):
    """Something on a port, which answers everything with `status`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            """Nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "state"), [(200, State.OK), (503, State.FAULT), (404, State.FAULT)]
)
def test_what_answers_on_the_port_is_asked_whether_it_is_ready(data, status, state):
    with answering(status) as port:
        assert found("network", data=data, port=port)[0] is state


def test_an_address_of_another_machine_is_told(data):
    state, said = found("network", data=data, host="192.0.2.1", port=0)

    assert state is State.FAULT
    assert "FACERECO_HOST" in said


def test_an_open_address_is_told(data):
    state, said = found("network", data=data, host="0.0.0.0", port=0)  # noqa: S104 - it is what is told

    assert state is State.NOTE
    assert "TLS" in said


def run(*arguments, **settings):
    return command_here("doctor", *arguments, **settings)


def test_a_sound_installation_ends_with_0_and_tells_every_check(data):
    done = run("--data", str(data), "--json", port="0")

    assert done.exit_code == 0, done.output
    assert [row["check"] for row in json.loads(done.stdout)] == list(CHECKS)


def test_a_setting_that_cannot_be_read_is_a_fault_and_names_it():
    done = run(port="kanarienvogel")

    assert done.exit_code == 1
    assert done.stdout.startswith("fault settings")
    assert "FACERECO_PORT" in done.stdout
    assert "kanarienvogel" not in done.stdout
