"""HashiCorp Vault's transit engine, spoken to over plain HTTP.

https://developer.hashicorp.com/vault/api-docs/secret/transit (encrypt and decrypt data).
"""

import base64
import binascii
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from app.domain.errors import ConfigurationError, KeyServiceUnavailable

_SECONDS = 5.0
_LATER = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.PRECONDITION_FAILED}


class VaultTransit:
    """Satisfies `KeyWrapper` with the key `name` of the engine mounted at `mount`."""

    def __init__(self, url: str, token: Path, mount: str, name: str) -> None:
        self.name = f"vault://{mount}/{name}"
        self._url = f"{url.rstrip('/')}/v1/{mount}"
        self._key = name
        self._token = token

    def wrap(self, content: bytes) -> bytes:
        given = {"plaintext": base64.b64encode(content).decode()}
        return str(self._ask("encrypt", given, "ciphertext")).encode()

    def unwrap(self, wrapped: bytes) -> bytes:
        given = {"ciphertext": wrapped.decode("ascii", "replace")}
        answer = self._ask("decrypt", given, "plaintext")
        try:
            return base64.b64decode(answer, validate=True)
        except (binascii.Error, ValueError):
            raise ConfigurationError(f"{self.name} answered what is not base64") from None

    def _ask(self, action: str, body: dict[str, str], wanted: str) -> str:
        headers = {"X-Vault-Token": self._read_token(), "X-Vault-Request": "true"}
        try:
            # Neither proxies nor passwords from the environment, nor where a redirect leads.
            with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
                response = client.post(
                    f"{self._url}/{action}/{self._key}", json=body, headers=headers
                )
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise KeyServiceUnavailable(
                f"{self.name} cannot be reached: {type(error).__name__}"
            ) from None
        return self._content(response, wanted)

    def _content(self, response: httpx.Response, wanted: str) -> str:
        status = response.status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER:
            raise KeyServiceUnavailable(f"{self.name} is not available (HTTP {status})")
        if status != HTTPStatus.OK:
            raise ConfigurationError(
                f"{self.name} refuses: HTTP {status}; look at token and policy"
            )
        try:
            data: dict[str, Any] = response.json()["data"]
            return str(data[wanted])
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{self.name} does not answer as Vault does") from None

    def _read_token(self) -> str:
        try:
            return self._token.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(f"cannot read the token in {self._token}") from None
