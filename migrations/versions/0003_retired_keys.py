"""When a master key was taken out of service, so that no replica wraps with it any more."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("key_checks", sa.Column("retired", sa.DateTime(timezone=True)))
