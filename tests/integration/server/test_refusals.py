"""Every way a keyset can be wrong ends a start with one line, exit code 78 and nothing written."""

import base64
import json
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.cli.__main__ import main
from app.storage.keysets import Keyset
from tests.integration.keyservices.services import Keeper, serving
from tests.integration.server.processes import ROOT, command_here

Settings = dict[str, str]
Spoil = Callable[[Path], Settings]
KEYSET = Path("keys") / "keyset.json"
NOBODY = 65534


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose database was written with its keyset."""
    data = tmp_path_factory.mktemp("written") / "data"
    command_here("keys", "create", "--data", str(data), "--name", "x", audit="off")
    return data


@pytest.fixture
def data(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "data"))


def content(data: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a data folder with its mode."""
    files = [path for path in sorted(data.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {str(path): (path.stat().st_mode, path.read_bytes()) for path in files}


def rewritten(data: Path, text: str | bytes, mode: int = 0o400) -> Settings:
    """Put something else where the keyset was."""
    file = data / KEYSET
    file.unlink()
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(mode)
    return {}


def changed(data: Path, **changes: Any) -> Settings:
    """Change the keyset's only key."""
    fields = json.loads((data / KEYSET).read_bytes())
    fields["keys"][0] |= changes
    return rewritten(data, json.dumps(fields))


def material(data: Path, key: bytes) -> Settings:
    return changed(data, material=base64.b64encode(key).decode())


def elsewhere(data: Path, place: Path) -> Settings:
    """Keep the keyset in another place."""
    (data / KEYSET).rename(place)
    return {"keyset_file": str(place)}


def linked(data: Path) -> Settings:
    elsewhere(data, data / "keys" / "real.json")
    (data / KEYSET).symlink_to("real.json")
    return {}


def twice(data: Path) -> Settings:
    text = (data / KEYSET).read_text(encoding="utf-8")
    return {"keyset_file": str(data / KEYSET), "keyset_json": text}


def folder(data: Path) -> Settings:
    (data / KEYSET).unlink()
    (data / KEYSET).mkdir()
    return {}


def removed(data: Path, **settings: str) -> Settings:
    (data / KEYSET).unlink()
    return settings


def duplicated(data: Path) -> Settings:
    fields = json.loads((data / KEYSET).read_bytes())
    return rewritten(data, json.dumps({**fields, "keys": fields["keys"] * 2}))


def without_primary(data: Path) -> Settings:
    fields = json.loads((data / KEYSET).read_bytes())
    return rewritten(data, json.dumps({**fields, "primary": "nobody"}))


def published(data: Path) -> Settings:
    printed = re.search(r'"material": "([^"]+)"', (ROOT / "docs" / "keys.md").read_text("utf-8"))
    assert printed is not None
    return changed(data, material=printed[1])


def older(data: Path) -> Settings:
    before = (data / KEYSET).read_bytes()
    command_here("vault", "add-key", "--data", str(data), audit="off")
    return rewritten(data, before)


def unreadable(data: Path) -> Settings:
    place = Path(tempfile.mkdtemp(prefix="facereco-test-")) / "keyset.json"
    place.parent.chmod(0o755)
    settings = elsewhere(data, place)
    place.chmod(0o400 if os.geteuid() == 0 else 0)
    return settings


REFUSALS: dict[str, tuple[Spoil, str]] = {
    "unset, and the default is not there": (removed, "no such file"),
    "empty": (lambda d: rewritten(d, ""), "empty"),
    "white space": (lambda d: rewritten(d, " \n\t"), "empty"),
    "two sources": (twice, "set one of them"),
    "a file that is missing": (
        lambda d: removed(d, keyset_file=str(d / "keys" / "other.json")),
        "no such file",
    ),
    "a blank name": (lambda d: {"keyset_file": " "}, "names no file"),
    "a file others may read": (
        lambda d: rewritten(d, (d / KEYSET).read_bytes(), mode=0o644),
        "0644",
    ),
    "a folder": (folder, "not a file"),
    "a symbolic link": (linked, "symbolic link"),
    "beside the database": (
        lambda d: elsewhere(d, d / "database" / "keyset.json"),
        "folder of the database",
    ),
    "a byte order mark": (
        lambda d: rewritten(d, b"\xef\xbb\xbf" + (d / KEYSET).read_bytes()),
        "byte order mark",
    ),
    "not JSON": (lambda d: rewritten(d, "secret"), "not JSON"),
    "wrong base64": (lambda d: changed(d, material="*" * 44), "base64"),
    "16 bytes": (lambda d: material(d, secrets.token_bytes(16)), "16 bytes"),
    "31 bytes": (lambda d: material(d, secrets.token_bytes(31)), "31 bytes"),
    "33 bytes": (lambda d: material(d, secrets.token_bytes(33)), "33 bytes"),
    "zeros": (lambda d: material(d, bytes(32)), "not random"),
    "a repeated byte": (lambda d: material(d, b"\x5a" * 32), "not random"),
    "the key of the documentation": (published, "documentation"),
    "duplicate ids": (duplicated, "same id"),
    "a primary that is missing": (without_primary, "primary"),
    "a primary that is disabled": (lambda d: changed(d, status="DISABLED"), "not enabled"),
    "an unknown algorithm": (lambda d: changed(d, alg="ROT13"), "AES256_GCM"),
    "other bytes under the same id": (
        lambda d: material(d, secrets.token_bytes(32)),
        "not the one the database was written with",
    ),
    "a keyset older than the database": (older, "lacks"),
    "another database's keyset": (lambda d: rewritten(d, Keyset.generate().content()), "lacks"),
    "nonsense in the environment": (lambda d: {"keyset_json": "{}"}, "no keys"),
    "a remote database in clear text": (
        lambda d: {"database_url": "postgresql://u:hunter2@db.example/x?sslmode=disable"},
        "clear text",
    ),
}


@contextmanager
def exit_of(
    monkeypatch: pytest.MonkeyPatch, data: Path, settings: Settings
) -> Iterator[list[object]]:
    """Run a start in this process: another one would take longer than all it does."""
    for name, value in {"audit": "off", **settings}.items():
        monkeypatch.setenv(f"FACERECO_{name.upper()}", value)
    monkeypatch.setattr(sys, "argv", ["facereco", "keys", "list", "--data", str(data)])
    code: list[object] = []
    with pytest.raises(SystemExit) as stopped:
        main()
    code.append(stopped.value.code)
    yield code


def check(data: Path, settings: Settings, reason: str, monkeypatch, capsys) -> None:
    before = content(data)
    key = re.search(rb'"material": "([^"]{8,})"', b"".join(c for _, c in before.values()))

    with exit_of(monkeypatch, data, settings) as code:
        told = capsys.readouterr()

    assert code == [78], told.err
    assert told.err.startswith("facereco: ")
    assert told.err.count("\n") == 1
    assert reason in told.err
    assert told.out == ""
    assert key is None or key[1].decode()[:8] not in told.err
    assert "hunter2" not in told.err
    assert content(data) == before


@pytest.mark.parametrize("case", REFUSALS)
def test_a_start_is_refused(case: str, data: Path, monkeypatch, capsys):
    spoil, reason = REFUSALS[case]

    check(data, spoil(data), reason, monkeypatch, capsys)


def test_a_keyset_nobody_lets_us_read_is_refused(data: Path, monkeypatch, capsys, request):
    settings = unreadable(data)
    place = Path(settings["keyset_file"]).parent
    request.addfinalizer(lambda: shutil.rmtree(place))
    before = content(data)
    user = os.geteuid()
    if user == 0:
        request.addfinalizer(lambda: os.seteuid(0))
        os.seteuid(NOBODY)

    with exit_of(monkeypatch, data, settings) as code:
        os.seteuid(user)
        told = capsys.readouterr()

    assert code == [78]
    assert "Permission denied" in told.err
    assert told.err.count("\n") == 1
    assert content(data) == before


@pytest.fixture
def wrapped(data: Path, tmp_path: Path, monkeypatch, capsys) -> Iterator[tuple[Keeper, Settings]]:
    """The keyset closed by a key service, by the command that does it."""
    (tmp_path / "token").write_text("s.token")
    keeper = Keeper()
    with serving(keeper) as url:
        settings = {
            "keyset_kms": "vault://transit/facereco",
            "kms_url": url,
            "kms_token_file": str(tmp_path / "token"),
        }
        done = command_here("vault", "wrap", "--data", str(data), **settings)
        assert done.exit_code == 0, done.output
        yield keeper, settings


def test_a_key_service_that_denies_ends_the_start(wrapped, data: Path, monkeypatch, capsys):
    keeper, settings = wrapped
    keeper.status = 403

    check(data, settings, "HTTP 403", monkeypatch, capsys)


def test_a_key_service_that_cannot_be_reached_ends_the_start(
    wrapped, data: Path, monkeypatch, capsys
):
    _, settings = wrapped
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"

        check(data, {**settings, "kms_url": nobody}, "cannot be reached", monkeypatch, capsys)


def test_a_closed_keyset_without_its_service_ends_the_start(
    wrapped, data: Path, monkeypatch, capsys
):
    check(data, {}, "FACERECO_KEYSET_KMS", monkeypatch, capsys)


def test_a_closed_keyset_opens_rotates_and_is_opened_again(wrapped, data: Path):
    _, settings = wrapped
    closed = (data / KEYSET).read_bytes()

    added = command_here("vault", "add-key", "--data", str(data), **settings)
    assert added.exit_code == 0, added.output
    assert b"service" in (data / KEYSET).read_bytes() != closed
    assert command_here("vault", "unwrap", "--data", str(data), **settings).exit_code == 0

    assert len(Keyset.load(data / KEYSET).keys) == 2
    assert command_here("keys", "list", "--data", str(data)).exit_code == 0


def test_a_keyset_in_the_environment_opens_and_cannot_be_changed(data: Path):
    text = (data / KEYSET).read_text(encoding="utf-8")
    (data / KEYSET).unlink()

    listed = command_here("keys", "list", "--data", str(data), keyset_json=text)
    changed_ = command_here("vault", "add-key", "--data", str(data), keyset_json=text)

    assert listed.exit_code == 0, listed.output
    assert "cannot be changed" in str(changed_.exception)
