"""A keyset file that a key service keeps closed.

The file holds a key of 32 bytes, wrapped by the service, and the keyset sealed with that key by
AES-256-GCM: services wrap a few kilobytes at most, a keyset grows. One call opens the file.
"""

import base64
import binascii
import json
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.domain.ports import KeyWrapper
from app.storage.keysets import KEY_BYTES, KeysetRefused

_CONTEXT = b"facereco keyset/1"
_NONCE_BYTES = 12


def closed(content: bytes, wrapper: KeyWrapper | None) -> bytes:
    """What to write for a keyset. Raises `ConfigurationError`, `KeyServiceUnavailable`."""
    if wrapper is None:
        return content
    key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, content, _CONTEXT)
    fields = {"service": wrapper.name, "key": _text(wrapper.wrap(key)), "keyset": _text(sealed)}
    return json.dumps(fields, indent=2).encode() + b"\n"


def opened(content: bytes, wrapper: KeyWrapper | None) -> bytes:
    """The keyset in what was read.

    Raises `KeysetRefused`, `ConfigurationError`, `KeyServiceUnavailable`.
    """
    fields = _fields(content)
    if wrapper is None:
        if fields is not None:
            raise KeysetRefused("it is wrapped by a key service; set FACERECO_KEYSET_KMS")
        return content
    if fields is None:
        raise KeysetRefused("it is not wrapped; `facereco vault wrap` does that")
    if fields["service"] != wrapper.name:
        raise KeysetRefused(f"another key wraps it than {wrapper.name}")
    return _opened(fields, wrapper)


def _opened(fields: dict[str, str], wrapper: KeyWrapper) -> bytes:
    try:
        wrapped, sealed = (base64.b64decode(fields[n], validate=True) for n in ("key", "keyset"))
    except (binascii.Error, ValueError):
        raise KeysetRefused("it is not base64") from None
    key = wrapper.unwrap(wrapped)
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _CONTEXT)
    except (InvalidTag, ValueError):
        raise KeysetRefused("it does not authenticate") from None


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _fields(content: bytes) -> dict[str, str] | None:
    """What a wrapped keyset's file says; None where it is no such file."""
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return None
    names = ("service", "key", "keyset")
    if not isinstance(fields, dict) or not all(isinstance(fields.get(n), str) for n in names):
        return None
    return {name: fields[name] for name in names}
