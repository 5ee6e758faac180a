"""Page tokens: sealed, bound to the list they continue, and good for a while only."""

import base64
import binascii
import hmac
import json
import secrets
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.domain.errors import InvalidPageToken
from app.domain.values import Cursor, PageScope
from app.storage.vault import Vault

_SALT_BYTES = 16
_MAX_LENGTH = 8192
# Each token has a key of its own out of its salt, so this nonce is never used twice with one key,
# however many tokens are issued.
_NONCE = bytes(12)


class SealedPageTokens:
    """Satisfies `PageTokens`. A token is good for `ttl` seconds of `clock`.

    Clocks differ and are set back: one out of the future is good if it is ahead by `ttl` at most,
    so no token ever lives longer than twice that.
    """

    def __init__(
        self, vault: Vault, *, ttl: float = 86_400.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._key = vault.derive("page-token/1")
        self._ttl = ttl
        self._clock = clock

    def issue(self, scope: PageScope, cursor: Cursor) -> str:
        content = json.dumps(
            {
                "expires": self._clock() + self._ttl,
                "limit": cursor.limit,
                "after": cursor.after,
                "filters": dict(cursor.filters),
            }
        )
        salt = secrets.token_bytes(_SALT_BYTES)
        sealed = self._cipher(salt).encrypt(_NONCE, content.encode(), _bound(scope))
        return base64.urlsafe_b64encode(salt + sealed).rstrip(b"=").decode()

    def read(self, scope: PageScope, token: str) -> Cursor:
        raw = _decode(token)
        salt, sealed = raw[:_SALT_BYTES], raw[_SALT_BYTES:]
        try:
            content = self._cipher(salt).decrypt(_NONCE, sealed, _bound(scope))
        except (InvalidTag, ValueError):
            raise InvalidPageToken from None
        fields = json.loads(content)
        if not 0 <= fields["expires"] - self._clock() <= 2 * self._ttl:
            raise InvalidPageToken
        return Cursor(limit=fields["limit"], after=fields["after"], filters=fields["filters"])

    def _cipher(self, salt: bytes) -> AESGCM:
        return AESGCM(hmac.digest(self._key, salt, "sha256"))


def _bound(scope: PageScope) -> bytes:
    return json.dumps([scope.tenant, scope.listing.value, scope.group_row]).encode()


def _decode(token: str) -> bytes:
    """The bytes of a token in its only spelling; Python's decoder would accept many."""
    if not token.isascii() or len(token) > _MAX_LENGTH:
        raise InvalidPageToken
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise InvalidPageToken from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
        raise InvalidPageToken
    return raw
