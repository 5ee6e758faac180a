"""Starting and stopping, keys and refusals, as an operator sees them."""

import contextlib
import json
import re
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.integration.server.processes import (
    ROOT,
    Client,
    ServerProcess,
    command,
    environment,
    running,
)


def one_line(text: str) -> bool:
    return text.startswith("facereco: ") and text.count("\n") == 1


@pytest.fixture(scope="module")
def first_start(tmp_path_factory):
    data = tmp_path_factory.mktemp("first") / "data"
    with running(data) as server:
        yield server


def test_the_first_start_prints_a_key_once_and_a_line_that_finds_a_face(first_start):
    line = next(line for line in first_start.output.splitlines() if "curl" in line)

    done = subprocess.run(
        ["sh", "-c", line], env=environment(), capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout)["data"]["faceDetailCount"] == 1
    assert "keyset.json" in first_start.output


def shown(page: str, heading: str) -> str:
    """The first block of code below a heading of a document."""
    section = (ROOT / page).read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1]
    found = re.search(r"^```\w*\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_what_the_documents_show_enrols_a_face_and_finds_it(first_start):
    keys = {"APP_KEY": first_start.app_key, "FACE_URL": first_start.base}

    def printed(*program: str, code: str) -> str:
        code = code.replace("http://127.0.0.1:8000", first_start.base)
        code = code.replace("YOUR_APP_KEY", first_start.app_key)
        code = code.replace("face.jpg", "tests/pictures/astronaut.jpg")
        given, ran = {**environment(), **keys}, [*program, "-c", code]
        return subprocess.run(
            ran, cwd=ROOT, env=given, capture_output=True, text=True, check=True
        ).stdout

    asked = 'print(search("staff", open("face.jpg", "rb").read())[0]["similarity"])'
    python = f"{shown('docs/clients.md', '### Python, requests')}\n{asked}"

    readme = printed("sh", code=shown("README.md", "## A first face in one minute"))
    curl = printed("sh", code=shown("docs/clients.md", "### curl"))
    similarity = printed(sys.executable, code=python)

    enrolled = re.search(r'"addedFaces":.*?"faceId":"([^"]+)"', readme)
    assert enrolled is not None
    assert readme.count('"isSuccessful":true') == 3
    for found in (readme.rpartition('"matchFaces"')[2], curl):
        assert enrolled[1] in found
    assert float(similarity) > 99


def test_the_keyset_and_the_data_folder_are_for_their_owner_alone(first_start):
    keyset = first_start.data / "keys" / "keyset.json"

    assert stat.S_IMODE(keyset.stat().st_mode) == 0o400
    assert stat.S_IMODE(first_start.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((first_start.data / "database" / "facereco.db").stat().st_mode) == 0o600


def test_a_key_made_beside_a_running_server_works_at_once_and_is_refused_a_second_after(
    first_start, request
):
    data = ("--data", str(first_start.data))
    made = command("keys", "create", *data, "--name", "gate", "--json")
    client = Client(first_start.base, json.loads(made.stdout)["appKey"])
    request.addfinalizer(client.close)
    assert client.code("GET", "/groups", limit=1) == 0

    revoked = command("keys", "revoke", *data, "--name", "gate")

    assert revoked.returncode == 0
    time.sleep(1)
    assert client.code("GET", "/groups", limit=1) == -41000
    listed = json.loads(command("keys", "list", *data, "--json").stdout)
    assert [(key["name"], bool(key["revoked"])) for key in listed] == [
        ("default", False),
        ("gate", True),
    ]


def test_a_deleted_key_takes_its_groups_along_and_only_after_being_asked_twice(
    first_start, request
):
    data = ("--data", str(first_start.data))
    made = command("keys", "create", *data, "--name", "leaving", "--json")
    client = Client(first_start.base, json.loads(made.stdout)["appKey"])
    request.addfinalizer(client.close)
    client.ask("POST", "/groups", {"groupId": "theirs"})

    asked = command("keys", "delete", *data, "--name", "leaving")
    done = command("keys", "delete", *data, "--name", "leaving", "--yes")

    assert (asked.returncode, done.returncode) == (2, 0)
    assert one_line(asked.stderr)
    assert done.stdout == "leaving: erased with 1 groups\n"
    time.sleep(1)
    assert client.code("GET", "/groups", limit=1) == -41000
    ledger = (first_start.data / "ledger" / "erasures.jsonl").read_text()
    assert [json.loads(line)["erased"] for line in ledger.splitlines()] == ["group", "key"]


def test_a_second_start_shows_no_key_and_sigterm_ends_it_cleanly(tmp_path):
    server = ServerProcess(tmp_path / "data").start()
    key = server.app_key
    assert server.stop() == 0

    server.start()

    assert "appKey" not in server.output
    client = Client(server.base, key)
    assert client.code("GET", "/groups", limit=1) == 0
    client.close()
    assert server.stop() == 0


def test_two_first_starts_at_once_both_serve_and_one_shows_the_key(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        starting = [
            pool.submit(ServerProcess(tmp_path / "data", log=name).start) for name in ("one", "two")
        ]
        servers = [start.result() for start in starting]
    shown = [server for server in servers if "appKey" in server.output]

    assert len(shown) == 1
    assert [server.stop() for server in servers] == [0, 0]


def test_a_port_in_use_is_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = command("serve", "--port", port, "--data", str(tmp_path / "data"))

    assert done.returncode == 2
    assert one_line(done.stderr), done.stderr
    assert port in done.stderr


@pytest.mark.parametrize("port", ["70000", "-1", "eighty"])
def test_a_port_that_cannot_be_is_refused(tmp_path, port):
    done = command("serve", f"--port={port}", "--data", str(tmp_path / "data"))

    assert done.returncode in {2, 78}
    assert "Traceback" not in done.stderr


def test_a_folder_whose_parent_is_missing_is_one_line(tmp_path):
    done = command("serve", "--port", "0", "--data", str(tmp_path / "not" / "mounted"))

    assert done.returncode == 78
    assert one_line(done.stderr), done.stderr


def test_an_unknown_pack_is_one_line_that_names_those_there_are(tmp_path):
    done = command("serve", "--port", "0", "--data", str(tmp_path / "data"), model="nobody")

    assert done.returncode == 78
    assert one_line(done.stderr), done.stderr
    assert "starter" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time_zone", "Mars/Olympus"),
        ("workers", "many"),
        ("url_allow", "10.0.0.1/8"),
        ("url_ports", "http"),
        ("confidence_scale", "10"),
        ("database_url", "mysql://root:secret-word@localhost/x"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line_without_its_value(tmp_path, name, value):
    done = command("serve", "--port", "0", "--data", str(tmp_path / "data"), **{name: value})

    assert done.returncode == 78
    assert one_line(done.stderr), done.stderr
    assert "secret-word" not in done.stderr


@pytest.fixture
def written(tmp_path):
    """A data folder with a key in its database."""
    command("keys", "create", "--data", str(tmp_path), "--name", "x", "--json")
    return tmp_path


def refused(data) -> str:
    before = (data / "database" / "facereco.db").read_bytes()
    done = command("keys", "list", "--data", str(data))
    assert done.returncode == 78, done.stderr
    assert one_line(done.stderr), done.stderr
    assert (data / "database" / "facereco.db").read_bytes() == before
    return done.stderr


def test_a_database_without_its_keyset_is_refused_and_gets_no_new_one(written):
    (written / "keys" / "keyset.json").unlink()

    assert "keyset" in refused(written)
    assert not (written / "keys" / "keyset.json").exists()


def test_a_foreign_keyset_is_refused(written, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    command("keys", "create", "--data", str(other), "--name", "x")
    keyset = written / "keys" / "keyset.json"
    keyset.unlink()
    (other / "keys" / "keyset.json").rename(keyset)

    assert "key" in refused(written)


def test_a_keyset_others_may_read_is_refused(written):
    (written / "keys" / "keyset.json").chmod(0o644)

    assert "0644" in refused(written)


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"primary": "a", "keys": []}'])
def test_a_malformed_keyset_is_refused(written, content):
    keyset = written / "keys" / "keyset.json"
    keyset.unlink()
    keyset.write_text(content)
    keyset.chmod(0o400)

    refused(written)


def test_a_name_that_is_taken_and_a_revision_nobody_serves_are_one_line(written):
    for arguments in (["--name", "x"], ["--name", "y", "--revision", "1999"]):
        done = command("keys", "create", "--data", str(written), *arguments)
        assert done.returncode == 2
        assert one_line(done.stderr), done.stderr


def test_models_list_show_and_verify_tell_licence_version_and_files():
    names = {row["name"] for row in json.loads(command("models", "list", "--json").stdout)}
    shown = command("models", "show", "starter")
    verified = command("models", "verify", "starter")

    assert {"starter", "open", "buffalo_l"} <= names
    assert re.search(r"^licence +\S", shown.stdout, re.MULTILINE)
    assert re.search(r"^model version +starter-[0-9a-f]{8}$", shown.stdout, re.MULTILINE)
    assert re.search(r"^at 90 +0\.0001 \S.*%", shown.stdout, re.MULTILINE)
    assert verified.returncode == 0


def test_a_pack_whose_weights_are_missing_or_changed_is_refused_by_name(tmp_path):
    pack = tmp_path / "models" / "mine"
    pack.mkdir(parents=True)
    starter = json.loads(command("models", "show", "starter", "--json").stdout)
    manifest = (ROOT / "models" / "starter" / "pack.toml").read_text(encoding="utf-8")
    text = manifest.replace('name = "starter"', 'name = "mine"')
    (pack / "pack.toml").write_text(re.sub(r'sha256 = "[0-9a-f]{4}', 'sha256 = "0000', text))
    (pack / "calibration.json").write_text('{"cosine": [-1, 1], "similarity": [0, 100]}')

    done = command("models", "verify", "mine", model_path=str(tmp_path / "models"))

    assert starter["ready"]
    assert done.returncode == 78
    assert "wrong hash" in done.stdout
    assert one_line(done.stderr)


def test_the_version_is_the_projects():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert command("--version").stdout == f"facereco {project['version']}\n"


def test_options_of_the_test_command_reach_pytest():
    assert command("test", "--version").stdout.startswith("pytest ")


def test_the_recipe_refuses_a_folder_without_pictures_in_one_line(tmp_path):
    (tmp_path / "data").mkdir()
    folders = (f"--{name}={tmp_path / name}" for name in ("data", "teachers", "out"))

    done = command("train", "prepare", *folders)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_command_is_told_without_a_traceback():
    done = command("no-such-command")

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def installed(lock: str) -> bool:
    """Whether `.venv` holds what the lock file names, as the launcher itself asks."""
    marker = ROOT / ".venv" / lock
    return marker.exists() and marker.read_bytes() == (ROOT / lock).read_bytes()


@pytest.fixture
def stingy_postgres():
    """Speaks just enough PostgreSQL to ask for a password and to refuse it."""

    def refuse(connection: socket.socket) -> None:
        with connection:
            while True:
                length, code = struct.unpack("!ii", connection.recv(8))
                connection.recv(length - 8) if length > 8 else b""
                if code == 80877103:  # SSLRequest
                    connection.sendall(b"N")
                    continue
                connection.sendall(b"R" + struct.pack("!ii", 8, 3))
                connection.recv(1024)
                fields = b"SFATAL\0C28P01\0Mpassword authentication failed\0\0"
                connection.sendall(b"E" + struct.pack("!i", 4 + len(fields)) + fields)
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    refuse(listener.accept()[0])

        threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_a_wrong_password_is_one_line_and_nothing_is_written(tmp_path, stingy_postgres):
    url = f"postgresql://facereco:hunter2@127.0.0.1:{stingy_postgres}/facereco"

    done = command("serve", "--data", str(tmp_path / "data"), database_url=url)

    assert (done.returncode, done.stdout) == (78, "")
    assert one_line(done.stderr)
    assert "password" in done.stderr
    assert "hunter2" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_host_is_one_line_and_nothing_is_written(tmp_path):
    url = "postgresql://facereco:hunter2@127.0.0.1:1/facereco"

    done = command("serve", "--data", str(tmp_path / "data"), database_url=url)

    assert (done.returncode, done.stdout) == (78, "")
    assert one_line(done.stderr)
    assert "hunter2" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_a_newer_schema_is_one_line_and_keeps_every_byte(tmp_path):
    command("keys", "create", "--data", str(tmp_path / "data"), "--name", "gate")
    file = tmp_path / "data" / "database" / "facereco.db"
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    (tmp_path / "data" / "ledger").rmdir()
    before = file.read_bytes()

    done = command("serve", "--data", str(tmp_path / "data"))

    assert (done.returncode, done.stdout) == (78, "")
    assert one_line(done.stderr)
    assert "newer" in done.stderr
    assert file.read_bytes() == before
    assert not (tmp_path / "data" / "ledger").exists()


@pytest.mark.skipif(
    not (installed("requirements.lock") or installed("requirements-test.lock")),
    reason="the launcher would make the environment anew, under the tests that run in it",
)
def test_the_launcher_adds_no_environment_of_its_own(tmp_path):
    done = subprocess.run(
        [ROOT / "facereco", "--help"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "serve" in done.stdout


def test_a_document_is_written_as_the_server_has_it(tmp_path, first_start):
    file = tmp_path / "face.json"

    done = command("openapi", "--revision", "v2.0", "--out", str(file))

    assert done.returncode == 0, done.stderr
    served = httpx.get(f"{first_start.base}/openapi/v2.0.json", trust_env=False)
    assert json.loads(file.read_bytes()) == served.json()
    assert json.loads(command("openapi").stdout)["info"]["title"] == "facereco, v1.0, revision v1.0"


def test_a_document_nobody_has_or_that_cannot_be_written_is_one_line(tmp_path):
    unknown = command("openapi", "--revision", "v9")
    nowhere = command("openapi", "--out", str(tmp_path / "absent" / "face.json"))

    assert [unknown.returncode, nowhere.returncode] == [2, 2]
    assert one_line(unknown.stderr), unknown.stderr
    assert "v2.0" in unknown.stderr
    assert one_line(nowhere.stderr), nowhere.stderr


def test_a_server_told_to_keep_its_documents_serves_none(tmp_path):
    with running(tmp_path / "data", docs="false") as server:
        answer = httpx.get(f"{server.base}/docs", trust_env=False)

    assert answer.status_code == 404
