"""Run by Alembic. The connection is the caller's (integration.storage.schema), who holds the lock and commits."""

from alembic import context

from integration.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
