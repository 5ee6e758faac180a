"""The schema as it is today; migrations/ holds how it came to be, and a test keeps both equal."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# SQLite gives a 64-bit row number that is never used again only to "INTEGER … AUTOINCREMENT".
BIGINT = BigInteger().with_variant(Integer(), "sqlite")

# Ids sort by their bytes on every database, whatever language the database was made for.
ID = Text().with_variant(Text(collation="C"), "postgresql")


class UtcTime(TypeDecorator[datetime]):
    """An aware moment in UTC; SQLite keeps no zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


server = Table(
    "server",
    METADATA,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="single"), primary_key=True),
    Column("database_id", Text, nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
)
"""One row: which database this is, and the secret that keys and page tokens derive from."""

key_checks = Table(
    "key_checks",
    METADATA,
    Column("key_id", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("retired", UtcTime),
)
"""A constant sealed by each master key, which tells the right keyset from another one.

With a key that is `retired` nothing new may be wrapped, whatever the keyset of a replica says.
"""

tenants = Table(
    "tenants",
    METADATA,
    Column("id", BIGINT, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("app_key_hash", Text, nullable=False, unique=True),
    Column("secret_key_hash", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("revoked", UtcTime),
    sqlite_autoincrement=True,
)

groups = Table(
    "groups",
    METADATA,
    Column("row", BIGINT, Identity(always=True), primary_key=True),
    Column("tenant", BIGINT, ForeignKey("tenants.id"), nullable=False),
    Column("group_id", ID, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("face_count", Integer, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("compacted_version", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("tenant", "group_id"),
    CheckConstraint("face_count >= 0", name="face_count"),
    sqlite_autoincrement=True,
)
"""`version` grows with every change of the group's faces, in the transaction of the change.

News of deletions up to `compacted_version` was dropped: an index behind it starts anew.
"""

faces = Table(
    "faces",
    METADATA,
    Column("row", BIGINT, Identity(always=True), primary_key=True),
    Column("group_row", BIGINT, ForeignKey("groups.row"), nullable=False),
    Column("face_id", ID, nullable=False),
    Column("image_id", Text, nullable=False),
    Column("external_image_id", Text),
    Column("x0", Double, nullable=False),
    Column("y0", Double, nullable=False),
    Column("x1", Double, nullable=False),
    Column("y1", Double, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("added_version", BigInteger, nullable=False),
    Column("sealed_vector", LargeBinary, nullable=False),
    UniqueConstraint("group_row", "face_id"),
    Index(None, "group_row", "added_version"),
    Index(None, "group_row", "row"),
    Index(None, "group_row", "image_id"),
    Index(None, "group_row", "external_image_id"),
    sqlite_autoincrement=True,
)

deletions = Table(
    "deletions",
    METADATA,
    Column("group_row", BIGINT, ForeignKey("groups.row"), primary_key=True),
    Column("face_row", BIGINT, primary_key=True, autoincrement=False),
    Column("added_version", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index(None, "group_row", "version"),
)
"""Which face left at which version; `added_version` tells faces that came and went in between."""

calibrations = Table(
    "calibrations",
    METADATA,
    Column("seq", BIGINT, Identity(always=True), primary_key=True),
    Column("group_row", BIGINT, ForeignKey("groups.row")),
    Column("model_version", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("applied", UtcTime, nullable=False),
    Column("reverted", UtcTime),
    Index(None, "group_row"),
    sqlite_autoincrement=True,
)
"""Tables of similarity that count before the pack's; without a group, for every group."""

erasures = Table(
    "erasures",
    METADATA,
    Column("seq", BIGINT, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("row", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)
"""What was erased and may not be in a ledger yet."""
