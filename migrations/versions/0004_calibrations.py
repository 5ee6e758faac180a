"""Tables of similarity that an operator applied, newest last; what is reverted stays to be seen."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "calibrations",
        sa.Column("seq", BIGINT, sa.Identity(always=True), nullable=False),
        sa.Column("group_row", BIGINT),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("applied", TIME, nullable=False),
        sa.Column("reverted", TIME),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_calibrations")),
        sa.ForeignKeyConstraint(
            ["group_row"], ["groups.row"], name=op.f("fk_calibrations_group_row")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_calibrations_group_row"), "calibrations", ["group_row"])
