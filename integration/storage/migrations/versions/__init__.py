"""Loaded by Alembic, from the first version to the newest."""
