"""A keyset that Vault or AWS keeps closed: opened by one call, refused in one line."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.domain.errors import ConfigurationError, KeyServiceUnavailable
from app.domain.ports import KeyWrapper
from app.keyservices.aws import AwsKms
from app.keyservices.choosing import key_wrapper
from app.keyservices.transit import VaultTransit
from app.storage.keyrings import KeysetFile, LiveKeyset
from app.storage.keysets import Keyset
from tests.integration.keyservices.services import Keeper, serving

ARN = "arn:aws:kms:ap-northeast-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ADDRESSES = {"vault": "vault://transit/facereco", "aws": f"aws://{ARN}"}


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def url(keeper: Keeper) -> Iterator[str]:
    with serving(keeper) as url:
        yield url


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("s.token\n")
    return path


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What AWS's own library reads, and nothing that is this machine's."""
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")


Wrapped = Callable[[str], KeyWrapper]


@pytest.fixture(params=ADDRESSES)
def wrapper(request: pytest.FixtureRequest, url: str, token: Path) -> KeyWrapper:
    made = key_wrapper(ADDRESSES[request.param], url, token)
    assert made is not None
    return made


def test_what_was_wrapped_comes_back(wrapper: KeyWrapper):
    assert wrapper.unwrap(wrapper.wrap(b"\x00secret\xff")) == b"\x00secret\xff"


def test_a_keyset_file_is_closed_and_opens_with_one_call(
    wrapper: KeyWrapper, keeper: Keeper, tmp_path: Path
):
    keyset = Keyset.generate()
    material = keyset.enabled(keyset.primary)
    assert material is not None
    file = KeysetFile(tmp_path / "keyset.json", wrapper)
    file.create(keyset)
    calls = len(keeper.asked)

    opened = file.load()

    assert opened == keyset
    assert len(keeper.asked) == calls + 1
    assert keyset.primary.encode() not in file.path.read_bytes()
    assert json.loads(file.path.read_bytes())["service"] == wrapper.name
    assert keyset.content().hex() not in repr(keeper.asked)


def test_a_large_keyset_fits(wrapper: KeyWrapper, tmp_path: Path):
    keyset = Keyset.generate()
    for _ in range(100):
        keyset, _ = keyset.with_fresh_key()
    file = KeysetFile(tmp_path / "keyset.json", wrapper)

    file.create(keyset)

    assert file.load() == keyset


@pytest.mark.parametrize("damage", ["key", "keyset", "service"])
def test_a_changed_file_is_refused(wrapper: KeyWrapper, tmp_path: Path, damage: str):
    file = KeysetFile(tmp_path / "keyset.json", wrapper)
    file.create(Keyset.generate())
    fields = json.loads(file.path.read_bytes())
    fields[damage] = fields[damage][:-8] + "AAAAAAA="
    file.path.chmod(0o600)
    file.path.write_text(json.dumps(fields))

    with pytest.raises(ConfigurationError) as refused:
        file.load()

    assert "\n" not in str(refused.value)


def test_a_closed_file_needs_its_service_and_an_open_one_none(wrapper: KeyWrapper, tmp_path: Path):
    closed = KeysetFile(tmp_path / "closed.json", wrapper)
    closed.create(Keyset.generate())
    plain = KeysetFile(tmp_path / "plain.json")
    plain.create(Keyset.generate())

    with pytest.raises(ConfigurationError, match="FACERECO_KEYSET_KMS"):
        KeysetFile(closed.path).load()
    with pytest.raises(ConfigurationError, match="vault wrap"):
        KeysetFile(plain.path, wrapper).load()


def test_a_service_that_denies_is_one_line(wrapper: KeyWrapper, keeper: Keeper):
    wrapped = wrapper.wrap(b"key")
    keeper.status = 403 if wrapper.name.startswith("vault") else 400

    with pytest.raises(ConfigurationError, match="refuses") as refused:
        wrapper.unwrap(wrapped)

    assert not isinstance(refused.value, KeyServiceUnavailable)
    assert wrapper.name in str(refused.value)
    assert "s.token" not in str(refused.value)


@pytest.mark.parametrize("status", [500, 503])
def test_a_service_that_is_down_may_be_asked_later(
    wrapper: KeyWrapper, keeper: Keeper, status: int
):
    wrapped = wrapper.wrap(b"key")
    keeper.status = status

    with pytest.raises(KeyServiceUnavailable, match="not available"):
        wrapper.unwrap(wrapped)


@pytest.mark.parametrize("address", ADDRESSES.values())
def test_a_service_that_cannot_be_reached_may_be_asked_later(address: str, token: Path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        wrapper = key_wrapper(address, url, token)
        assert wrapper is not None
        with pytest.raises(KeyServiceUnavailable, match="cannot be reached"):
            wrapper.wrap(b"key")


def test_a_running_server_outlives_its_key_service(
    wrapper: KeyWrapper, keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("app.storage.keyrings._PATIENCE_SECONDS", 0.0)
    file = KeysetFile(tmp_path / "keyset.json", wrapper)
    file.create(Keyset.generate())
    live = LiveKeyset(file, file.load(), file.stamp(), lambda keyset: None)
    changed, key_id = file.load().with_fresh_key()
    file.replace(changed.with_primary(key_id))

    keeper.status = 500
    with capture_logs() as logs:
        during = live.primary
    keeper.status = 0

    assert during != key_id
    assert logs[0]["event"] == "keyset_not_read"
    assert live.primary == key_id


def test_vault_gets_the_token_its_file_holds_at_that_moment(keeper: Keeper, url: str, token: Path):
    vault = VaultTransit(url, token, "transit", "facereco")
    wrapped = vault.wrap(b"key")
    keeper.token = "s.renewed"  # noqa: S105 - a test's
    with pytest.raises(ConfigurationError, match="token"):
        vault.unwrap(wrapped)

    token.write_text("s.renewed")

    assert vault.unwrap(wrapped) == b"key"
    assert keeper.asked[-1][0] == "/v1/transit/decrypt/facereco"


def test_aws_gets_a_signed_request_bound_to_its_purpose(keeper: Keeper, url: str):
    AwsKms(ARN, url).wrap(b"key")

    assert "Credential=AKIDEXAMPLE/" in keeper.headers[0]["authorization"]
    assert "/ap-northeast-2/kms/aws4_request" in keeper.headers[0]["authorization"]
    assert keeper.asked[0][1]["EncryptionContext"] == {"purpose": "facereco-keyset"}


def test_aws_without_a_region_or_credentials_is_one_line(url: str, monkeypatch):
    with pytest.raises(ConfigurationError, match="NoRegion"):
        AwsKms("alias/facereco", url).wrap(b"key")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ConfigurationError, match="NoCredentials"):
        AwsKms(ARN, url).wrap(b"key")


def test_a_token_that_is_not_there_is_one_line(url: str, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="token"):
        VaultTransit(url, tmp_path / "none", "transit", "facereco").wrap(b"key")


@pytest.mark.parametrize("address", ["", "vault://", "vault://transit", "aws://", "gcp://x", "key"])
def test_an_address_that_means_nothing_is_refused(address: str, token: Path):
    with pytest.raises(ConfigurationError, match="FACERECO_KEYSET_KMS"):
        key_wrapper(address, "http://127.0.0.1:1", token)


def test_vault_needs_an_address_and_a_token():
    with pytest.raises(ConfigurationError, match="FACERECO_KMS_URL"):
        key_wrapper("vault://transit/facereco", None, None)


def test_without_an_address_there_is_no_service():
    assert key_wrapper(None, None, None) is None
