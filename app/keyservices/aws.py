"""AWS KMS through botocore, which finds credentials wherever AWS puts them (extra `aws`).

https://docs.aws.amazon.com/kms/latest/APIReference (Encrypt and Decrypt).
"""

from typing import TYPE_CHECKING, Any

from app.domain.errors import ConfigurationError, KeyServiceUnavailable

if TYPE_CHECKING:
    from botocore.client import BaseClient

# Bound to the ciphertext, and seen in CloudTrail.
_CONTEXT = {"purpose": "facereco-keyset"}
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 3, 5, 2
_LATER = {"ThrottlingException", "KMSInternalException", "DependencyTimeoutException"}


class AwsKms:
    """Satisfies `KeyWrapper` with a symmetric key, named by ARN, id or `alias/NAME`."""

    def __init__(self, key: str, endpoint: str | None = None) -> None:
        self.name = f"aws://{key}"
        self._key = key
        self._endpoint = endpoint

    def wrap(self, content: bytes) -> bytes:
        return self._ask("encrypt", "CiphertextBlob", Plaintext=content)

    def unwrap(self, wrapped: bytes) -> bytes:
        return self._ask("decrypt", "Plaintext", CiphertextBlob=wrapped)

    def _ask(self, action: str, wanted: str, **given: bytes) -> bytes:
        client = self._client()
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.exceptions import ConnectionError as NoConnection

        try:
            answer = getattr(client, action)(KeyId=self._key, EncryptionContext=_CONTEXT, **given)
            return bytes(answer[wanted])
        except ClientError as error:
            raise self._refused(error.response) from None
        except (HTTPClientError, NoConnection) as error:
            raise KeyServiceUnavailable(
                f"{self.name} cannot be reached: {type(error).__name__}"
            ) from None
        except BotoCoreError as error:
            raise ConfigurationError(f"{self.name}: {type(error).__name__}") from None
        finally:
            client.close()

    def _refused(self, response: dict[str, Any]) -> ConfigurationError:
        code = str(response.get("Error", {}).get("Code", "unknown"))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in _LATER or status >= 500:
            return KeyServiceUnavailable(f"{self.name} is not available ({code})")
        return ConfigurationError(f"{self.name} refuses: {code}")

    def _client(self) -> "BaseClient":
        try:
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
            from botocore.session import Session
        except ImportError:
            raise ConfigurationError(
                "AWS KMS needs botocore: install the extra `aws` (pip install 'facereco[aws]')"
            ) from None
        parts = self._key.split(":")
        try:
            return Session().create_client(
                "kms",
                region_name=parts[3] if len(parts) > 3 else None,
                endpoint_url=self._endpoint,
                config=Config(
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=_READ_SECONDS,
                    retries={"total_max_attempts": _ATTEMPTS},
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise ConfigurationError(f"{self.name}: {type(error).__name__}") from None
