"""Runs migrations on the connection that app.storage.migrate hands over."""

from alembic import context

from app.storage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite changes little of a table in place, so later revisions copy it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
