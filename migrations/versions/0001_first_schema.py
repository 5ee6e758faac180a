"""The first schema: server, key checks, tenants, groups, faces, deletions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "server",
        sa.Column("id", sa.SmallInteger, nullable=False),
        sa.Column("database_id", sa.Text, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server")),
        sa.CheckConstraint("id = 1", name=op.f("ck_server_single")),
    )
    op.create_table(
        "key_checks",
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_key_checks")),
    )
    op.create_table(
        "tenants",
        sa.Column("id", BIGINT, sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("app_key_hash", sa.Text, nullable=False),
        sa.Column("secret_key_hash", sa.Text, nullable=False),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.Column("revoked", TIME),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("name", name=op.f("uq_tenants_name")),
        sa.UniqueConstraint("app_key_hash", name=op.f("uq_tenants_app_key_hash")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "groups",
        sa.Column("row", BIGINT, sa.Identity(always=True), nullable=False),
        sa.Column("tenant", BIGINT, nullable=False),
        sa.Column("group_id", ID, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("face_count", sa.Integer, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_groups")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_groups_tenant")),
        sa.UniqueConstraint("tenant", "group_id", name=op.f("uq_groups_tenant_group_id")),
        sa.CheckConstraint("face_count >= 0", name=op.f("ck_groups_face_count")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "faces",
        sa.Column("row", BIGINT, sa.Identity(always=True), nullable=False),
        sa.Column("group_row", BIGINT, nullable=False),
        sa.Column("face_id", ID, nullable=False),
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("external_image_id", sa.Text),
        sa.Column("x0", sa.Double, nullable=False),
        sa.Column("y0", sa.Double, nullable=False),
        sa.Column("x1", sa.Double, nullable=False),
        sa.Column("y1", sa.Double, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("added_version", sa.BigInteger, nullable=False),
        sa.Column("sealed_vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_faces")),
        sa.ForeignKeyConstraint(["group_row"], ["groups.row"], name=op.f("fk_faces_group_row")),
        sa.UniqueConstraint("group_row", "face_id", name=op.f("uq_faces_group_row_face_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_faces_group_row_added_version"), "faces", ["group_row", "added_version"]
    )
    op.create_index(op.f("ix_faces_group_row_row"), "faces", ["group_row", "row"])
    op.create_index(op.f("ix_faces_group_row_image_id"), "faces", ["group_row", "image_id"])
    op.create_index(
        op.f("ix_faces_group_row_external_image_id"), "faces", ["group_row", "external_image_id"]
    )
    op.create_table(
        "deletions",
        sa.Column("group_row", BIGINT, nullable=False),
        sa.Column("face_row", BIGINT, nullable=False, autoincrement=False),
        sa.Column("added_version", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("group_row", "face_row", name=op.f("pk_deletions")),
        sa.ForeignKeyConstraint(["group_row"], ["groups.row"], name=op.f("fk_deletions_group_row")),
    )
    op.create_index(op.f("ix_deletions_group_row_version"), "deletions", ["group_row", "version"])
