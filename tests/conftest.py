"""Fixtures for every room."""

from collections.abc import Iterator

import pytest

from tests.postgres import Databases, databases_or_skip


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """A PostgreSQL server, started when the first test asks for it."""
    yield from databases_or_skip()


@pytest.fixture
def postgres_url(postgres: Databases) -> str:
    """A database of the newest schema on PostgreSQL without a row in it, for this test alone."""
    return postgres.emptied()
