"""How secrets lie at rest: which key covers what, and what each sealed record is bound to.

keyset file > master key > data key of a group  > vectors of its faces
                         > server secret        > keys derived for hashes and page tokens

Everything sealed is AES-256-GCM in one envelope: a format byte, a random nonce of 12 bytes, then
ciphertext and tag. Whatever says where a record belongs is authenticated with it, so a record that
was moved does not open. A data key covers one group, far from the 2^32 random nonces a key may see.
"""

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from app.domain.errors import RecordCorrupt
from app.domain.values import Embedding
from app.storage.keysets import KEY_BYTES

_FORMAT = b"\x01"
_NONCE_BYTES = 12
_HEADER_BYTES = len(_FORMAT) + _NONCE_BYTES
_TAG_BYTES = 16
_FLOAT = np.dtype("<f4")

SERVER_SECRET = "server-secret"  # noqa: S105 - the purpose of a key, not a key


class MasterKeys(Protocol):
    """The master keys as they are at this moment: a `Keyset`, or one that follows its source."""

    @property
    def primary(self) -> str:
        """The id of the key that wraps what is new."""
        ...

    def enabled(self, key_id: str) -> bytes | None:
        """The material of a key that may be used, else None."""
        ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """Something a master key covers, and the id of that key."""

    key_id: str
    record: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a group's data key belongs; with another tenant, row or model nothing opens."""

    tenant: int
    group_row: int
    model: str


class UnknownMasterKey(RecordCorrupt):
    """A record is covered by a master key that the keyset lacks, or has disabled."""

    detail = "the master key of this record is not in the keyset"


class GroupCipher:
    """Seals and opens the vectors of one group, each bound to its face.

    A record is the envelope around the vector's float32 values, little-endian.
    """

    def __init__(self, key: bytes, place: Place, database_id: str) -> None:
        self._cipher = AESGCM(key)
        group = (str(place.tenant), str(place.group_row), place.model)
        self._context = _FORMAT + _bound("vector", database_id, *group)

    def seal(self, face_id: str, embedding: Embedding) -> bytes:
        values = embedding.astype(_FLOAT, copy=False).tobytes()
        return _seal(self._cipher, values, self._context + face_id.encode())

    def open(self, face_id: str, record: bytes) -> Embedding:
        """The vector, shape (dimension,). Raises `RecordCorrupt`."""
        vector = np.empty(self.dimension(record), dtype=_FLOAT)
        self.open_into(face_id, record, vector.view(np.uint8))
        return vector.astype(np.float32, copy=False)

    def open_into(self, face_id: str, record: bytes, out: NDArray[np.uint8]) -> None:
        """Open into `out`, the bytes of a float32 row of the right length.

        Raises:
            RecordCorrupt: the record is not this face's, was changed, or has another length.
        """
        view = _checked(record)
        try:
            self._cipher.decrypt_into(
                view[1:_HEADER_BYTES],
                view[_HEADER_BYTES:],
                self._context + face_id.encode(),
                out,  # type: ignore[arg-type]  # an array is a buffer, which 3.11 cannot say
            )
        except (InvalidTag, ValueError):
            raise RecordCorrupt from None

    @staticmethod
    def dimension(record: bytes) -> int:
        """How many values a record of this length would hold. Raises `RecordCorrupt`."""
        values, rest = divmod(len(record) - _HEADER_BYTES - _TAG_BYTES, _FLOAT.itemsize)
        if values < 1 or rest:
            raise RecordCorrupt
        return values


class Vault:
    """The unlocked keys of one database; made by `open_vault`.

    Keeps the data keys of the `cached_groups` groups used last in memory.
    """

    def __init__(
        self, keyset: MasterKeys, database_id: str, secret: bytes, *, cached_groups: int = 4096
    ) -> None:
        self.database_id = database_id
        self._masters = Masters(keyset, database_id)
        self._secret = secret
        self._ciphers: OrderedDict[Place, GroupCipher] = OrderedDict()
        self._cached_groups = cached_groups
        self._lock = Lock()

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for `purpose`, the same whatever master keys come and go.

        HKDF with SHA-256 (RFC 5869) over the server secret, which is random, so without salt.
        """
        info = f"facereco/{purpose}".encode()
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(self._secret)

    def new_group_key(self, place: Place) -> Sealed:
        """A fresh data key for a group, sealed by the primary master key."""
        return self._masters.seal(secrets.token_bytes(KEY_BYTES), *_group_key(place))

    @property
    def primary(self) -> str:
        """The id of the master key that wraps what is new."""
        return self._masters.primary

    def rewrapped_key(self, place: Place, wrapped: Sealed) -> Sealed:
        """A group's data key under the primary master key. Raises `RecordCorrupt`."""
        return self._masters.seal(
            self._masters.open(wrapped, *_group_key(place)), *_group_key(place)
        )

    def rewrapped_secret(self) -> Sealed:
        """The server secret under the primary master key."""
        return self._masters.seal(self._secret, SERVER_SECRET)

    def cipher(self, place: Place, wrapped: Sealed) -> GroupCipher:
        """What opens a group's vectors. Raises `RecordCorrupt` when its data key does not open."""
        with self._lock:
            if cipher := self._ciphers.get(place):
                self._ciphers.move_to_end(place)
                return cipher
        key = self._masters.open(wrapped, *_group_key(place))
        cipher = GroupCipher(key, place, self.database_id)
        with self._lock:
            self._ciphers[place] = cipher
            if len(self._ciphers) > self._cached_groups:
                self._ciphers.popitem(last=False)
        return cipher

    def forget(self, group_row: int) -> None:
        """Drop the data key of a group from memory."""
        with self._lock:
            for place in [kept for kept in self._ciphers if kept.group_row == group_row]:
                del self._ciphers[place]

    def self_check(self) -> None:
        """Seal and open something. Raises `RecordCorrupt` when the keys cannot do it."""
        sealed = self._masters.seal(b"check", "self-check")
        self._masters.open(sealed, "self-check")


class Masters:
    """The master keys at work in one database."""

    def __init__(self, keyset: MasterKeys, database_id: str) -> None:
        self._keyset = keyset
        self._database_id = database_id

    @property
    def primary(self) -> str:
        return self._keyset.primary

    def seal(self, content: bytes, *purpose: str) -> Sealed:
        return self.seal_with(self._keyset.primary, content, *purpose)

    def seal_with(self, key_id: str, content: bytes, *purpose: str) -> Sealed:
        context = self._context(key_id, purpose)
        return Sealed(key_id, _seal(AESGCM(self._material(key_id)), content, context))

    def open(self, sealed: Sealed, *purpose: str) -> bytes:
        """Raises `RecordCorrupt` unless `sealed` was made for this database and `purpose`."""
        context = self._context(sealed.key_id, purpose)
        return _open(AESGCM(self._material(sealed.key_id)), sealed.record, context)

    def _material(self, key_id: str) -> bytes:
        material = self._keyset.enabled(key_id)
        if material is None:
            raise UnknownMasterKey
        return material

    def _context(self, key_id: str, purpose: tuple[str, ...]) -> bytes:
        return _FORMAT + _bound(self._database_id, key_id, *purpose)


def _group_key(place: Place) -> tuple[str, ...]:
    return ("group-key", str(place.tenant), str(place.group_row))


def _bound(*parts: str) -> bytes:
    """The parts with their lengths, so that no two lists of parts give the same bytes."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _seal(cipher: AESGCM, content: bytes, context: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _FORMAT + nonce + cipher.encrypt(nonce, content, context)


def _open(cipher: AESGCM, record: bytes, context: bytes) -> bytes:
    view = _checked(record)
    try:
        return cipher.decrypt(view[1:_HEADER_BYTES], view[_HEADER_BYTES:], context)
    except (InvalidTag, ValueError):
        raise RecordCorrupt from None


def _checked(record: bytes) -> memoryview:
    """A record of the one format there is; the header is cut off without copying the rest."""
    if record[:1] != _FORMAT:
        raise RecordCorrupt
    return memoryview(record)
