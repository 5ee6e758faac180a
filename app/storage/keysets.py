"""The master keys: how a keyset file looks, and every way in which one is refused."""

import base64
import binascii
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from app.domain.errors import ConfigurationError, InvalidParameter
from app.domain.faults import FaultPoint, reached

KEY_BYTES = 32
_ALGORITHM = "AES256_GCM"
_MAX_FILE_BYTES = 1_000_000
# Of the key that docs/keys.md prints.
_PUBLISHED = "9431796cb30caf9ebe2eb3be108504d326b1120f266cf19817acee8ffc893435"
# 32 random bytes repeat so much less than once in 10^12 keys.
_MIN_DISTINCT_BYTES = 16


class KeyStatus(Enum):
    """What a master key may still be used for; a destroyed one is only a name."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    DESTROYED = "DESTROYED"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One key of a keyset. `material` is 32 bytes, empty once destroyed, and never shown."""

    id: str
    status: KeyStatus
    created: str
    material: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyset:
    """Every master key of a server; the primary one wraps what is new."""

    primary: str
    keys: Mapping[str, MasterKey]

    @classmethod
    def generate(cls) -> "Keyset":
        """A keyset of one fresh random key."""
        key = _fresh_key()
        return cls(key.id, {key.id: key})

    def with_fresh_key(self) -> tuple["Keyset", str]:
        """The same with one more key, which is not the primary one, and the key's id."""
        key = _fresh_key()
        return replace(self, keys={**self.keys, key.id: key}), key.id

    def with_primary(self, key_id: str) -> "Keyset":
        """The same with another primary key. Raises `InvalidParameter` for one not enabled."""
        if self.known(key_id).status is not KeyStatus.ENABLED:
            raise InvalidParameter(f"key {key_id} is not enabled")
        return replace(self, primary=key_id)

    def with_status(self, key_id: str, status: KeyStatus) -> "Keyset":
        """The same with a key switched on, off or destroyed, which is for ever.

        Raises `InvalidParameter` for the primary key and for one that was destroyed.
        """
        key = self.known(key_id)
        if key_id == self.primary and status is not KeyStatus.ENABLED:
            raise InvalidParameter(f"key {key_id} is the primary one; promote another first")
        if key.status is KeyStatus.DESTROYED and status is not key.status:
            raise InvalidParameter(f"key {key_id} was destroyed")
        material = b"" if status is KeyStatus.DESTROYED else key.material
        changed = replace(key, status=status, material=material)
        return replace(self, keys={**self.keys, key_id: changed})

    def known(self, key_id: str) -> MasterKey:
        """The key of this id. Raises `InvalidParameter`."""
        if key_id not in self.keys:
            raise InvalidParameter(f"the keyset has no such key (it has {', '.join(self.keys)})")
        return self.keys[key_id]

    @classmethod
    def load(cls, path: Path) -> "Keyset":
        """Read the file `path`. Raises `ConfigurationError` with one line that shows no key."""
        with named(path):
            return cls.parse(read_private(path))

    @classmethod
    def parse(cls, content: bytes) -> "Keyset":
        """Understand the content of a keyset file. Raises `ConfigurationError`."""
        fields = _json_object(content)
        entries = fields.get("keys")
        if not isinstance(entries, list) or not entries:
            raise KeysetRefused("it holds no keys")
        keys = [_master_key(entry) for entry in entries]
        by_id = {key.id: key for key in keys}
        if len(by_id) != len(keys):
            raise KeysetRefused("two keys have the same id")
        return cls(_enabled_primary(fields.get("primary"), by_id), by_id)

    def write(self, path: Path) -> None:
        """Write the file `path`, readable by its owner alone; an old one is never replaced.

        Raises `ConfigurationError`.
        """
        create_private(path, self.content())

    def enabled(self, key_id: str) -> bytes | None:
        """The material of a key that may be used, else None."""
        key = self.keys.get(key_id)
        return key.material if key is not None and key.status is KeyStatus.ENABLED else None

    def content(self) -> bytes:
        """As a keyset file has it, keys in clear."""
        keys = [
            {
                "id": key.id,
                "status": key.status.value,
                "alg": _ALGORITHM,
                "material": base64.b64encode(key.material).decode(),
                "created": key.created,
            }
            for key in self.keys.values()
        ]
        return json.dumps({"primary": self.primary, "keys": keys}, indent=2).encode() + b"\n"


class KeysetRefused(ConfigurationError):
    """Why a keyset cannot be used, without a byte of it."""


@contextmanager
def named(source: object) -> Iterator[None]:
    """Say which keyset was refused."""
    try:
        yield
    except KeysetRefused as refused:
        raise ConfigurationError(f"keyset {source}: {refused}") from None


def read_private(path: Path) -> bytes:
    """The content of a small file that is its owner's alone. Raises `KeysetRefused`."""
    try:
        # Without following links, and without waiting should it be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeysetRefused("there is no such file") from None
    except OSError as error:
        is_link = path.is_symlink()
        raise KeysetRefused("it is a symbolic link" if is_link else str(error.strerror)) from None
    try:
        _check_private(os.fstat(descriptor))
        return os.read(descriptor, _MAX_FILE_BYTES)
    finally:
        os.close(descriptor)


def create_private(path: Path, content: bytes) -> None:
    """Make the file `path` (0400); one that is there already is not touched.

    Either all of it is there afterwards, also after a power cut, or none.
    Raises `ConfigurationError`.
    """
    # Unlike a rename, a link fails when there is a file already.
    _put(path, content, os.link)


def replace_private(path: Path, content: bytes) -> None:
    """Put `content` (0400) in the place of the file `path`, for the same owner.

    Whoever opens it sees the old or the new, also after a power cut. Raises `ConfigurationError`.
    """

    def rename(draft: Path, path: Path) -> None:
        old = path.stat()
        if old.st_uid != os.geteuid():
            os.chown(draft, old.st_uid, old.st_gid)
        draft.rename(path)

    _put(path, content, rename)


def _put(path: Path, content: bytes, into_place: Callable[[Path, Path], None]) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            _write_synced(draft, content)
            reached(FaultPoint.KEYSET_BEFORE_RENAME)
            into_place(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(f"cannot write keyset {path}: {error.strerror}") from None


def _check_private(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeysetRefused("it is not a file")
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~0o600:
        raise KeysetRefused(f"its mode is {mode:04o}; only its owner may read it (chmod 0400)")


def _fresh_key() -> MasterKey:
    return MasterKey(
        id=secrets.token_hex(4),
        status=KeyStatus.ENABLED,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        material=secrets.token_bytes(KEY_BYTES),
    )


def _json_object(content: bytes) -> dict[str, Any]:
    if not content.strip():
        raise KeysetRefused("it is empty")
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise KeysetRefused("it begins with a byte order mark; save it as plain UTF-8")
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        raise KeysetRefused("it is not JSON") from None
    if not isinstance(fields, dict):
        raise KeysetRefused("it is not a JSON object")
    return fields


def _master_key(entry: object) -> MasterKey:
    if not isinstance(entry, dict):
        raise KeysetRefused("a key is not a JSON object")
    key_id = entry.get("id")
    if not isinstance(key_id, str) or not key_id or not key_id.isprintable():
        raise KeysetRefused("a key has no id")
    status = _status(entry.get("status"), key_id)
    if entry.get("alg") != _ALGORITHM:
        raise KeysetRefused(f"key {key_id} is not for {_ALGORITHM}")
    material = b"" if status is KeyStatus.DESTROYED else _material(entry.get("material"), key_id)
    return MasterKey(key_id, status, str(entry.get("created", "")), material)


def _status(value: object, key_id: str) -> KeyStatus:
    try:
        return KeyStatus(value)
    except ValueError:
        raise KeysetRefused(f"key {key_id} has an unknown status") from None


def _material(value: object, key_id: str) -> bytes:
    try:
        material = base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise KeysetRefused(f"key {key_id} is not base64") from None
    if len(material) != KEY_BYTES:
        raise KeysetRefused(f"key {key_id} has {len(material)} bytes, not {KEY_BYTES}")
    if sha256(material).hexdigest() == _PUBLISHED:
        raise KeysetRefused(f"key {key_id} is the one printed in the documentation")
    if _is_made_up(material):
        raise KeysetRefused(f"key {key_id} is not random")
    return material


def _is_made_up(material: bytes) -> bool:
    """Whether a key was typed rather than drawn: few different bytes, or counting up or down."""
    steps = {(right - left) % 256 for left, right in pairwise(material)}
    return len(set(material)) < _MIN_DISTINCT_BYTES or len(steps) == 1


def _enabled_primary(primary: object, keys: Mapping[str, MasterKey]) -> str:
    if not isinstance(primary, str) or primary not in keys:
        raise KeysetRefused("its primary key is not among its keys")
    if keys[primary].status is not KeyStatus.ENABLED:
        raise KeysetRefused("its primary key is not enabled")
    return primary


def _write_synced(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o400), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
