import base64
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ConfigurationError
from app.storage.keysets import Keyset, KeyStatus

MATERIAL = bytes.fromhex("9d1f0b6c53e8a7420f91d3c85ab6e17702cd48f9361ea5bb7418d06f2c93e45a")


def key(**changes: Any) -> dict[str, Any]:
    sound = {
        "id": "first",
        "status": "ENABLED",
        "alg": "AES256_GCM",
        "material": base64.b64encode(MATERIAL).decode(),
        "created": "2026-11-21T00:00:00+00:00",
    }
    return {**sound, **changes}


def material(content: bytes) -> dict[str, Any]:
    return key(material=base64.b64encode(content).decode())


def keyset(*keys: object, primary: object = "first") -> bytes:
    return json.dumps({"primary": primary, "keys": keys}).encode()


SOUND = keyset(key())

REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "white space": (b" \r\n\t", "empty"),
    "a byte order mark": (b"\xef\xbb\xbf" + SOUND, "byte order mark"),
    "UTF-16": (SOUND.decode().encode("utf-16"), "byte order mark"),
    "text": (b"secret", "not JSON"),
    "half a file": (SOUND[:-10], "not JSON"),
    "deep nesting": (b"[" * 100_000, "not JSON"),
    "no UTF-8": (b"\xff\x00", "not JSON"),
    "an array": (b"[]", "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "no keys": (b"{}", "no keys"),
    "empty keys": (keyset(), "no keys"),
    "keys that are no list": (b'{"primary": "first", "keys": {}}', "no keys"),
    "a key that is text": (keyset("first"), "not a JSON object"),
    "a key without id": (keyset(key(id=None)), "no id"),
    "an empty id": (keyset(key(id="")), "no id"),
    "an id of two lines": (keyset(key(id="a\nb")), "no id"),
    "duplicate ids": (keyset(key(), material(MATERIAL[::-1])), "same id"),
    "another algorithm": (keyset(key(alg="AES128_GCM")), "AES256_GCM"),
    "no algorithm": (keyset(key(alg=None)), "AES256_GCM"),
    "an unknown status": (keyset(key(status="enabled")), "status"),
    "no status": (keyset(key(status=None)), "status"),
    "a status that is a list": (keyset(key(status=[])), "status"),
    "wrong base64": (keyset(key(material="!" * 44)), "base64"),
    "base64 without padding": (keyset(key(material="A" * 43)), "base64"),
    "no material": (keyset(key(material=None)), "base64"),
    "16 bytes": (keyset(material(MATERIAL[:16])), "16 bytes"),
    "31 bytes": (keyset(material(MATERIAL[:31])), "31 bytes"),
    "33 bytes": (keyset(material(MATERIAL + b"1")), "33 bytes"),
    "no bytes": (keyset(material(b"")), "0 bytes"),
    "zeros": (keyset(material(bytes(32))), "not random"),
    "one byte repeated": (keyset(material(b"\xa5" * 32)), "not random"),
    "a word repeated": (keyset(material(b"password" * 4)), "not random"),
    "counting": (keyset(material(bytes(range(32)))), "not random"),
    "counting down": (keyset(material(bytes(range(255, 223, -1)))), "not random"),
    "no primary": (keyset(key(), primary=None), "primary"),
    "a primary that is missing": (keyset(key(), primary="second"), "primary"),
    "a primary that is a list": (keyset(key(), primary=["first"]), "primary"),
    "a disabled primary": (keyset(key(status="DISABLED")), "not enabled"),
    "a destroyed primary": (keyset(key(status="DESTROYED")), "not enabled"),
}


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def make(content: bytes, mode: int = 0o400) -> Path:
        path = tmp_path / "keyset.json"
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return make


@pytest.mark.parametrize("case", REFUSED)
def test_a_keyset_with_a_flaw_is_refused_in_one_line_without_a_key(
    file: Callable[..., Path], case: str
):
    content, reason = REFUSED[case]
    path = file(content)

    with pytest.raises(ConfigurationError, match=reason) as refused:
        Keyset.load(path)

    message = str(refused.value)
    assert message.startswith(f"keyset {path}: ")
    assert "\n" not in message
    assert base64.b64encode(MATERIAL).decode()[:8] not in message


@given(st.binary(max_size=300))
def test_whatever_the_bytes_are_the_answer_is_a_configuration_error(content: bytes):
    with pytest.raises(ConfigurationError):
        Keyset.parse(content)


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_a_file_only_its_owner_reads_is_taken(file: Callable[..., Path], mode: int):
    keyset = Keyset.load(file(SOUND, mode))

    assert keyset.primary == "first"
    assert keyset.enabled("first") == MATERIAL


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o640, 0o660, 0o700, 0o777, 0o602])
def test_a_file_that_others_may_touch_is_refused(file: Callable[..., Path], mode: int):
    with pytest.raises(ConfigurationError, match="chmod 0400"):
        Keyset.load(file(SOUND, mode))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="no such file"):
        Keyset.load(tmp_path / "keyset.json")


def test_a_folder_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="not a file"):
        Keyset.load(tmp_path)


def test_a_link_is_refused(file: Callable[..., Path], tmp_path: Path):
    (tmp_path / "link").symlink_to(file(SOUND))

    with pytest.raises(ConfigurationError, match="symbolic link"):
        Keyset.load(tmp_path / "link")


def test_a_pipe_is_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(ConfigurationError, match="not a file"):
        Keyset.load(tmp_path / "pipe")


def test_an_unreadable_path_is_refused(file: Callable[..., Path]):
    with pytest.raises(ConfigurationError, match="Not a directory"):
        Keyset.load(file(SOUND) / "keyset.json")


def test_a_disabled_key_is_known_but_not_used():
    loaded = Keyset.parse(keyset(key(), key(id="old", status="DISABLED")))

    assert loaded.keys["old"].status is KeyStatus.DISABLED
    assert loaded.enabled("old") is None
    assert loaded.enabled("never") is None


def test_a_destroyed_key_needs_no_material():
    loaded = Keyset.parse(keyset(key(), key(id="old", status="DESTROYED", material=None)))

    assert loaded.keys["old"].material == b""


def test_windows_line_ends_do_no_harm():
    assert Keyset.parse(SOUND.replace(b"{", b"{\r\n")).primary == "first"


def test_what_was_generated_comes_back_from_its_file(tmp_path: Path):
    generated = Keyset.generate()

    generated.write(tmp_path / "keyset.json")

    assert Keyset.load(tmp_path / "keyset.json") == generated
    assert stat.S_IMODE((tmp_path / "keyset.json").stat().st_mode) == 0o400
    assert [path.name for path in tmp_path.iterdir()] == ["keyset.json"]


def test_a_keyset_that_is_there_is_never_overwritten(file: Callable[..., Path], tmp_path: Path):
    path = file(SOUND)

    with pytest.raises(ConfigurationError, match="File exists"):
        Keyset.generate().write(path)

    assert path.read_bytes() == SOUND
    assert [path.name for path in tmp_path.iterdir()] == ["keyset.json"]


def test_a_keyset_cannot_be_written_where_there_is_no_folder(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="No such file"):
        Keyset.generate().write(tmp_path / "missing" / "keyset.json")


def test_generated_keys_differ():
    first, second = Keyset.generate(), Keyset.generate()

    assert first.primary != second.primary
    assert first.enabled(first.primary) != second.enabled(second.primary)


def test_a_keyset_never_shows_its_keys():
    loaded = Keyset.parse(SOUND)

    shown = f"{loaded!r} {loaded}"

    assert "material" not in shown
    assert repr(MATERIAL)[2:10] not in shown
