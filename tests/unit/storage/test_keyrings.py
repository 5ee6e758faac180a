"""A running server follows its keyset file, and never off a cliff."""

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.domain.errors import ConfigurationError, InvalidParameter, StoreUnavailable
from app.storage.keyrings import KeysetFile, LiveKeyset
from app.storage.keysets import Keyset, KeyStatus


@pytest.fixture
def source(tmp_path: Path) -> KeysetFile:
    file = KeysetFile(tmp_path / "keyset.json")
    file.create(Keyset.generate())
    return file


def follow(source: KeysetFile, accept=lambda keyset: None) -> LiveKeyset:
    return LiveKeyset(source, source.load(), source.stamp(), accept)


def test_a_key_added_to_the_file_is_used_without_a_restart(source: KeysetFile):
    live = follow(source)
    changed, key_id = source.load().with_fresh_key()
    assert live.enabled(key_id) is None

    source.replace(changed.with_primary(key_id))

    assert live.primary == key_id
    assert live.enabled(key_id) == changed.enabled(key_id)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"primary": "a", "keys": ['])
def test_a_broken_edit_is_told_once_and_changes_nothing(source: KeysetFile, content: bytes):
    live = follow(source)
    before = live.primary
    source.path.chmod(0o600)
    source.path.write_bytes(content)

    with capture_logs() as logs:
        seen = {live.primary for _ in range(3)}

    assert seen == {before}
    assert [line["event"] for line in logs] == ["keyset_refused"]


def test_a_file_that_vanished_or_was_opened_to_others_changes_nothing(source: KeysetFile):
    live = follow(source)
    before = live.primary

    source.path.chmod(0o644)
    with capture_logs():
        assert live.primary == before
    source.path.unlink()
    with capture_logs():
        assert live.primary == before


def test_a_broken_edit_that_was_mended_is_taken(source: KeysetFile):
    live = follow(source)
    changed, key_id = source.load().with_fresh_key()
    source.path.chmod(0o600)
    source.path.write_bytes(b"oops")
    with capture_logs():
        assert live.primary != key_id

    source.replace(changed.with_primary(key_id))

    assert live.primary == key_id


def test_a_keyset_the_database_refuses_is_not_taken(source: KeysetFile):
    def refuse(_: Keyset) -> None:
        raise ConfigurationError("another database")

    live = follow(source, refuse)
    before = live.primary
    source.replace(Keyset.generate())

    with capture_logs() as logs:
        assert live.primary == before

    assert logs[0]["reason"] == "another database"


def test_when_the_database_cannot_be_asked_it_is_asked_again(
    source: KeysetFile, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("app.storage.keyrings._PATIENCE_SECONDS", 0.0)
    answers = [StoreUnavailable(), None]

    def accept(_: Keyset) -> None:
        if answer := answers.pop(0):
            raise answer

    live = follow(source, accept)
    changed, key_id = source.load().with_fresh_key()
    source.replace(changed.with_primary(key_id))
    with capture_logs():
        first = live.primary

    assert first != key_id
    assert live.primary == key_id


def test_a_changed_file_is_there_whole_and_for_its_owner_alone(source: KeysetFile):
    changed, _ = source.load().with_fresh_key()

    source.replace(changed)

    assert source.load() == changed
    assert source.path.stat().st_mode & 0o777 == 0o400
    assert [path.name for path in source.path.parent.iterdir()] == ["keyset.json"]


def test_whoever_reads_while_it_changes_sees_the_old_or_the_new(source: KeysetFile):
    before = source.load()
    after, _ = before.with_fresh_key()
    done = threading.Event()

    def change() -> None:
        for number in range(40):
            source.replace(after if number % 2 else before)
        done.set()

    thread = threading.Thread(target=change)
    thread.start()
    seen = []
    while not done.is_set():
        seen.append(source.load())
    thread.join()

    assert all(keyset in (before, after) for keyset in seen)


def test_a_change_that_cannot_be_written_leaves_the_old_file(source: KeysetFile, monkeypatch):
    before = source.load()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        source.replace(Keyset.generate())

    assert source.load() == before
    assert [path.name for path in source.path.parent.iterdir()] == ["keyset.json"]


def test_a_changed_file_stays_its_owners(source: KeysetFile):
    if os.geteuid() != 0:
        pytest.skip("only root changes files of others")
    os.chown(source.path, 12345, 12345)

    source.replace(Keyset.generate())

    assert source.path.stat().st_uid == 12345


@pytest.mark.parametrize("status", [KeyStatus.DISABLED, KeyStatus.DESTROYED])
def test_the_primary_key_cannot_be_switched_off(status: KeyStatus):
    keyset = Keyset.generate()

    with pytest.raises(InvalidParameter, match="promote another"):
        keyset.with_status(keyset.primary, status)


def test_only_an_enabled_key_becomes_primary():
    keyset, key_id = Keyset.generate().with_fresh_key()
    disabled = keyset.with_status(key_id, KeyStatus.DISABLED)

    for wrong in (key_id, "nobody"):
        with pytest.raises(InvalidParameter):
            disabled.with_primary(wrong)


def test_a_destroyed_key_has_no_bytes_and_never_comes_back():
    keyset, key_id = Keyset.generate().with_fresh_key()

    gone = keyset.with_status(key_id, KeyStatus.DESTROYED)

    written = {key["id"]: key["material"] for key in json.loads(gone.content())["keys"]}
    assert written[key_id] == ""
    assert replace(gone) == Keyset.parse(gone.content())
    with pytest.raises(InvalidParameter, match="destroyed"):
        gone.with_status(key_id, KeyStatus.ENABLED)
