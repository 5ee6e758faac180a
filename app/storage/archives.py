"""How a backup looks: a folder with a database, a manifest, and a keyset only if asked for.

`database.db` is a SQLite database of the server's own tables, whatever it was taken from.
`manifest.json` names every file with its length and SHA-256 and carries two checks of itself: a
plain one that anybody can compute, and a seal that takes the database's keys.
"""

import hashlib
import hmac
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.domain.errors import ConfigurationError

FORMAT = 1
DATABASE = "database.db"
KEYSET = "keyset.json"
MANIFEST = "manifest.json"
SEALING = "backup/1"
"""What the vault derives the seal's key for."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. `files` maps names to [bytes, SHA-256 in hex]."""

    created: str
    version: str
    schema: str
    database: str
    master_keys: tuple[str, ...]
    counts: Mapping[str, int]
    files: Mapping[str, tuple[int, str]]

    def content(self) -> bytes:
        """The bytes that are summed and sealed."""
        fields = {
            "format": FORMAT,
            "created": self.created,
            "version": self.version,
            "schema": self.schema,
            "database": self.database,
            "masterKeys": list(self.master_keys),
            "counts": dict(self.counts),
            "files": {name: list(sums) for name, sums in self.files.items()},
        }
        return json.dumps(fields, sort_keys=True).encode()


@dataclass(frozen=True, slots=True)
class Archive:
    """A backup folder whose files are as its manifest says."""

    folder: Path
    manifest: Manifest
    seal: str

    @property
    def database(self) -> Path:
        return self.folder / DATABASE

    @property
    def keyset(self) -> Path | None:
        """The keyset's file, where the backup has one."""
        return self.folder / KEYSET if KEYSET in self.manifest.files else None

    @classmethod
    def open(cls, folder: Path) -> "Archive":
        """Read the manifest and check every byte. Raises `ConfigurationError` in one line."""
        fields = _manifest_fields(folder / MANIFEST)
        manifest = _manifest(fields, folder)
        if fields.get("check") != hashlib.sha256(manifest.content()).hexdigest():
            raise ConfigurationError(f"backup {folder}: its manifest is damaged")
        for name, sums in manifest.files.items():
            if _sums(folder / name) != sums:
                raise ConfigurationError(f"backup {folder}: {name} is damaged or incomplete")
        return cls(folder, manifest, str(fields.get("seal")))

    def demand_seal(self, key: bytes) -> None:
        """Raises `ConfigurationError` unless whoever made the manifest had the database's keys."""
        if not hmac.compare_digest(self.seal, seal(self.manifest, key)):
            raise ConfigurationError(f"backup {self.folder}: its manifest is not of its keys")


def seal(manifest: Manifest, key: bytes) -> str:
    """The manifest under a key that only holders of the keyset can derive."""
    return hmac.digest(key, manifest.content(), "sha256").hex()


def sums_of(folder: Path) -> dict[str, tuple[int, str]]:
    """Length and SHA-256 of every file in a folder."""
    return {path.name: _sums(path) for path in sorted(folder.iterdir())}


def write_manifest(folder: Path, manifest: Manifest, key: bytes) -> None:
    """Write and sync, last of all."""
    check = hashlib.sha256(manifest.content()).hexdigest()
    fields = {**json.loads(manifest.content()), "check": check, "seal": seal(manifest, key)}
    path = folder / MANIFEST
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(json.dumps(fields, indent=2).encode() + b"\n")


@contextmanager
def drafted(target: Path) -> Iterator[Path]:
    """A folder that becomes `target`, whole and synced, when the block ends well; else nothing.

    Raises `ConfigurationError` when there is something at `target`.
    """
    if os.path.lexists(target):
        raise ConfigurationError(f"backup {target}: there is something of this name already")
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        draft.mkdir(mode=0o700)
        yield draft
        for path in [*draft.iterdir(), draft]:
            sync(path)
        draft.rename(target)
        sync(target.parent)
    except OSError as error:
        raise ConfigurationError(f"backup {target}: {error.strerror}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sync(path: Path) -> None:
    """Make a file's or folder's content outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sums(path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise ConfigurationError(f"backup {path.parent}: {path.name}: {error.strerror}") from None
    return size, digest.hexdigest()


def _manifest_fields(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"backup {path.parent}: {path.name}: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"backup {path.parent}: its manifest is damaged") from None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise ConfigurationError(f"backup {path.parent}: it has a format this server does not know")
    return fields


def _manifest(fields: dict[str, Any], folder: Path) -> Manifest:
    try:
        return Manifest(
            created=fields["created"],
            version=fields["version"],
            schema=fields["schema"],
            database=fields["database"],
            master_keys=tuple(fields["masterKeys"]),
            counts=dict(fields["counts"]),
            files={
                name: (int(size), str(digest)) for name, (size, digest) in fields["files"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigurationError(f"backup {folder}: its manifest is damaged") from None
