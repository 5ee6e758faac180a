"""Which key service an address means."""

from pathlib import Path

from app.domain.errors import ConfigurationError
from app.domain.ports import KeyWrapper
from app.keyservices.aws import AwsKms
from app.keyservices.transit import VaultTransit


def key_wrapper(address: str | None, url: str | None, token: Path | None) -> KeyWrapper | None:
    """The service at `vault://MOUNT/KEY` or `aws://KEY`; None where no address is given.

    Args:
        address: of the key.
        url: where Vault listens; for AWS another endpoint than the region's.
        token: file with Vault's token; read each time, as agents renew it.

    Raises:
        ConfigurationError: there is no such service, or something it needs is not set.
    """
    if address is None:
        return None
    scheme, _, key = address.partition("://")
    match scheme, key.rsplit("/", 1):
        case "vault", [mount, name] if mount and name:
            if url is None or token is None:
                raise ConfigurationError(
                    "Vault needs FACERECO_KMS_URL and FACERECO_KMS_TOKEN_FILE to be set"
                )
            return VaultTransit(url, token, mount, name)
        case "aws", _ if key:
            return AwsKms(key, url)
        case _:
            raise ConfigurationError(
                "FACERECO_KEYSET_KMS is neither vault://MOUNT/KEY nor aws://KEY"
            )
