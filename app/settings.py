"""Every setting with its default, unit and bound; read by main and cli only."""

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain.errors import ConfigurationError

PREFIX = "FACERECO_"
MEBIBYTE = 1024 * 1024
METRICS_PORT = 9464  # as OpenTelemetry's exporters for Prometheus have it


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("no such time zone") from None
    return name


def _folders(value: object) -> object:
    return [part for part in value.split(":") if part] if isinstance(value, str) else value


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",")] if value.strip() else []


def _number(value: object) -> object:
    # A Literal takes no text for a number, and a variable is always text.
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class Settings(BaseSettings):
    """What an operator may set; each as an environment variable `FACERECO_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data: Path = Field(Path("data"), description="Folder of the database and the keyset.")
    database_url: SecretStr | None = Field(
        None, description="`postgresql://…`; SQLite in the data folder when not set."
    )
    reads: Literal["strict", "relaxed"] = Field(
        "strict",
        description="Searches see all that was answered; relaxed: up to 1 s late, saving a read.",
    )
    keyset_file: Path | None = Field(
        None, description="Keyset with the master keys; `<data>/keys/keyset.json` when not set."
    )
    keyset_json: SecretStr | None = Field(
        None, description="The keyset itself, where no file can be; others on the host may see it."
    )
    keyset_kms: str | None = Field(
        None, description="What wraps the keyset file: `vault://MOUNT/KEY` or `aws://KEY`."
    )
    kms_url: str | None = Field(
        None, description="Where Vault listens; another endpoint than AWS's own."
    )
    kms_token_file: Path | None = Field(None, description="File with the token for Vault.")
    model: str = Field("starter", description="Model pack that new groups are made with.")
    model_path: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)] = Field(
        (), description="Further folders with packs or weights, separated by `:`."
    )
    providers: str = Field(
        "cpu",
        description="What runs the networks, best first: `cpu`, `cuda`, `tensorrt`, `openvino`.",
    )
    workers: int = Field(
        0, ge=0, le=256, description="Processes that analyse pictures; 0: as many as cores."
    )
    decoders: int = Field(
        0,
        ge=0,
        le=256,
        description="Processes that decode pictures; 0: two for each that analyses.",
    )
    backlog: int = Field(
        64, ge=1, le=4096, description="Pictures that may wait to be analysed before -50000."
    )
    patience: float = Field(
        10.0, gt=0, le=60, description="Seconds a picture may wait to be analysed."
    )
    connections: int = Field(
        1024, ge=8, le=100_000, description="Connections at a time; further ones are closed."
    )
    head_seconds: float = Field(
        10.0, gt=0, le=600, description="Seconds the headers of a request may take to arrive."
    )
    body_seconds: float = Field(
        30.0, gt=0, le=600, description="Seconds the body of a request may take to arrive."
    )
    body_memory: int = Field(
        256 * MEBIBYTE,
        ge=16 * MEBIBYTE,
        description="Bytes of request bodies kept at a time, all together, before -50000.",
    )
    guesses: int = Field(
        60, ge=1, description="Wrong keys a minute a source may try before their answers come late."
    )
    drain: float = Field(
        0.0, ge=0, le=10, description="Seconds `readyz` answers 503 before the port closes."
    )
    index_memory: int = Field(
        2048 * MEBIBYTE, ge=MEBIBYTE, description="Bytes of vectors kept in memory, all groups."
    )
    index_audit: int = Field(
        60, ge=0, description="Seconds between comparisons of index and database; 0: none."
    )
    group_quota: int = Field(1_000, ge=1, description="Groups an appKey may have.")
    face_quota: int = Field(100_000, ge=1, le=100_000, description="Faces a group may have.")
    min_face: int = Field(60, ge=1, description="Shorter side in px a face needs to be added.")
    max_angle: float = Field(
        45.0, gt=0, le=180, description="Yaw and pitch in degrees a face may have to be added."
    )
    quality: Literal["off", "low", "medium", "high"] = Field(
        "off", description="How good a picture of a face must be for it to be added."
    )
    time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        "Asia/Seoul", description="Zone of `createTime`."
    )
    confidence_scale: Annotated[Literal[1, 100], BeforeValidator(_number)] = Field(
        100, description="Full confidence as 100, or as 1 like the guides' later samples."
    )
    page_token_ttl: int = Field(86_400, ge=60, description="Seconds a next-token is valid.")
    url_ports: str = Field(
        "80,443,10000-12000", description="Ports an image URL may name, with ranges."
    )
    url_allow: Annotated[
        tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)
    ] = Field((), description="Private networks image URLs may reach, as CIDR separated by commas.")
    docs: bool = Field(default=True, description="Serve `/docs` and the OpenAPI documents.")
    console: bool = Field(default=True, description="Serve the console at `/console`.")
    audit: Literal["on", "off"] = Field("on", description="Keep an audit trail in `<data>/audit`.")
    audit_sync: Literal["each", "second", "none"] = Field(
        "second",
        description="Force its records to the disk: each before its answer, every second, never.",
    )
    audit_size: int = Field(
        64 * MEBIBYTE, ge=MEBIBYTE, description="Bytes after which it begins another file."
    )
    metrics: bool = Field(
        default=True, description="Serve `/metrics` for Prometheus, on a port of its own."
    )
    metrics_host: str = Field("127.0.0.1", description="Address of that port.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="9464 when not set, a free one where `FACERECO_PORT` is 0.",
    )
    traces_url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Collector of OpenTelemetry traces: `http://…:4318/v1/traces`.",
    )
    traces_share: float = Field(
        1.0, ge=0, le=1, description="Share of requests that are traced, 0 to 1."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe event that is logged."
    )
    test: bool = Field(
        default=False, description="Allow what only this project's own tests may do."
    )
    test_faults: str | None = Field(
        None, description="Places where a test kills, fails or delays the server."
    )

    @field_validator("keyset_file")
    @classmethod
    def _names_a_file(cls, path: Path | None) -> Path | None:
        if path is not None and not path.name.strip():
            raise ValueError("it names no file; unset it for the default")
        return path

    @field_validator("keyset_json")
    @classmethod
    def _one_source(cls, text: SecretStr | None, given: ValidationInfo) -> SecretStr | None:
        if text is not None and given.data.get("keyset_file") is not None:
            raise ValueError("FACERECO_KEYSET_FILE is set as well; set one of them")
        return text

    @field_validator("keyset_kms")
    @classmethod
    def _wraps_a_file(cls, address: str | None, given: ValidationInfo) -> str | None:
        if address is not None and given.data.get("keyset_json") is not None:
            raise ValueError("it wraps a file, and FACERECO_KEYSET_JSON is set; set one of them")
        return address

    @field_validator("test_faults")
    @classmethod
    def _tests_only(cls, faults: str | None, given: ValidationInfo) -> str | None:
        if faults is not None and not given.data.get("test"):
            raise ValueError("only this project's own tests may set it")
        return faults

    @classmethod
    def read(cls, **overrides: object) -> Self:
        """From the environment; `overrides` that are None leave it alone.

        Raises:
            ConfigurationError: one line that names the setting, never its value.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            read = cls(**given)  # type: ignore[arg-type]  # names and values come from the CLI
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = PREFIX + ".".join(str(part) for part in first["loc"][:1]).upper()
            raise ConfigurationError(f"{name}: {first['msg']}") from None
        # What processes we start have no business with it.
        os.environ.pop(f"{PREFIX}KEYSET_JSON", None)  # noqa: TID251 - the one reader of settings
        return read

    @property
    def scraped_port(self) -> int:
        """Where `/metrics` is to listen; 0 takes a free port."""
        if self.metrics_port is None:
            return METRICS_PORT if self.port else 0
        return self.metrics_port

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in use; may hold a password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data / 'database' / 'facereco.db'}"

    @property
    def keyset_text(self) -> str | None:
        """The keyset where it was given itself."""
        return None if self.keyset_json is None else self.keyset_json.get_secret_value()

    @property
    def keyset(self) -> Path:
        """The keyset's file: in a folder of its own, so that a copy of the database has no key."""
        return self.keyset_file or self.data / "keys" / "keyset.json"

    @property
    def audit_folder(self) -> Path:
        """Where the audit trail is."""
        return self.data / "audit"
