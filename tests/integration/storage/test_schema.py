"""Migrations come to the same schema as the tables in code, on both databases, whoever runs them how often at once."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from integration.storage import StorageError
from integration.storage.database import DatabaseFailed, engine_url
from integration.storage.schema import migrate, newest, version_of
from integration.storage.tables import metadata
from tests.postgres import Databases

# One process that becomes ten, for importing ten times would take longer than all migrations.
MIGRATE_TEN = """
import os, sys
from integration.storage.schema import migrate
children = []
for _ in range(10):
    child = os.fork()
    if child == 0:
        migrate(sys.argv[1])
        os._exit(0)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""
ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["sqlite", "postgresql"])
def two_empty(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The URLs of two databases without anything in them."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
        return
    postgres: Databases = request.getfixturevalue("postgres")
    with postgres.fresh() as first, postgres.fresh() as second:
        yield first, second


def described(url: str) -> dict[str, Any]:
    """Every table with its columns, keys, constraints and indexes as the database tells them."""
    engine = sa.create_engine(engine_url(url))
    try:
        found = sa.inspect(engine)
        return {
            name: (
                [(c["name"], str(c["type"]), c["nullable"], c.get("autoincrement")) for c in found.get_columns(name)],
                found.get_pk_constraint(name)["constrained_columns"],
                [(k["constrained_columns"], k["referred_table"]) for k in found.get_foreign_keys(name)],
                [u["column_names"] for u in found.get_unique_constraints(name)],
                sorted((i["name"] or "", i["column_names"], _options(i)) for i in found.get_indexes(name)),
            )
            for name in sorted(found.get_table_names())
            if name != "alembic_version"
        }
    finally:
        engine.dispose()


def _options(index: Any) -> list[tuple[str, str]]:
    """What is special about an index, such as the rows that it covers."""
    return sorted((name, str(value)) for name, value in index.get("dialect_options", {}).items())


def test_migrated_and_created_schemas_are_the_same(two_empty: tuple[str, str]) -> None:
    migrated, created = two_empty
    migrate(migrated)
    engine = sa.create_engine(engine_url(created))
    metadata.create_all(engine)
    engine.dispose()
    told = described(created)
    assert described(migrated) == told
    assert sorted(told) == sorted(metadata.tables)


def test_alembic_finds_nothing_left_to_migrate(two_empty: tuple[str, str]) -> None:
    migrate(two_empty[0])
    engine = sa.create_engine(engine_url(two_empty[0]))
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
    engine.dispose()


def test_a_database_goes_from_version_to_version(two_empty: tuple[str, str]) -> None:
    url = two_empty[0]
    assert version_of(url) is None
    migrate(url, "0001")
    assert version_of(url) == "0001"
    assert "duties" not in described(url)
    migrate(url)
    migrate(url)
    assert version_of(url) == newest()


def test_stored_secrets_go_and_who_had_one_subscribes_again(two_empty: tuple[str, str]) -> None:
    url = two_empty[0]
    migrate(url, "0003")
    engine = sa.create_engine(engine_url(url))
    row = "INSERT INTO subscriptions VALUES (:id, 'portal', :url, 'in-the-clear', :status, 1, 0, NULL, 0)"
    with engine.begin() as connection:
        for name, target, status in (("s1", "http://s1/", "active"), ("s2", "http://s2/", "gone"),
                                     ("stream", "stream:", "active")):  # fmt: skip
            connection.execute(sa.text(row), {"id": name, "url": target, "status": status})
    migrate(url)
    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT * FROM subscriptions ORDER BY subscription_id")).mappings().all()
    engine.dispose()
    assert [(one["subscription_id"], one["status"], one["secret_generation"]) for one in found] == [
        ("s1", "given_up", None), ("s2", "gone", None), ("stream", "active", None),
    ]  # fmt: skip
    assert "in-the-clear" not in str(found)


def test_ten_processes_may_migrate_at_once(two_empty: tuple[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", MIGRATE_TEN, two_empty[0]], cwd=ROOT, stderr=subprocess.PIPE, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert version_of(two_empty[0]) == newest()


def test_a_database_of_a_newer_installation_is_left_alone(two_empty: tuple[str, str]) -> None:
    url = two_empty[0]
    migrate(url)
    engine = sa.create_engine(engine_url(url))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StorageError, match=r"9999.*newer installation"):
        migrate(url)


def test_a_database_that_is_not_there_is_told_without_its_password() -> None:
    with pytest.raises(DatabaseFailed, match=r"127\.0\.0\.1") as failed:
        version_of("postgresql://somebody:secret@127.0.0.1:1/none")
    assert "secret" not in str(failed.value)


def test_a_server_that_accepts_and_says_nothing_is_not_waited_for_without_end() -> None:
    assert engine_url("postgresql://shop@db/shop").query["connect_timeout"] == "10"
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"postgresql://shop@127.0.0.1:{mute.getsockname()[1]}/shop?connect_timeout=2"
        with pytest.raises(DatabaseFailed, match="timeout"):
            version_of(url)
