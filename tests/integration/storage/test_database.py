"""The unit of work: what is committed stays, what raises leaves nothing, and the gate is told in order."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql

from integration.process import inventory, reference
from integration.storage import Database, StorageError, Transaction
from integration.storage.statements import Statements, list_size
from integration.storage.tables import audit, inbox, outbox, prices

RECEIVE = insert(inbox)
COUNT = select(func.count().label("messages")).select_from(inbox)
OF_SOURCES = select(inbox.c.message_id).where(inbox.c.source.in_(bindparam("sources", expanding=True)))


class RecordingGate:
    """Notes the calls; crashes on demand."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.crash: Callable[[], None] = lambda: None

    def begin(self, write: bool) -> None:
        self.calls.append("begin write" if write else "begin read")

    def commit(self) -> None:
        self.calls.append("commit")

    def end(self) -> None:
        self.calls.append("end")

    def on_crash(self, callback: Callable[[], None]) -> None:
        self.crash = callback


@pytest.fixture
def gate() -> RecordingGate:
    return RecordingGate()


@pytest.fixture
def database(tmp_path: Path, gate: RecordingGate) -> Database:
    database = Database(f"sqlite:///{tmp_path}/a.db", gate, synchronous="OFF")
    database.create()
    return database


def receive(tx: Transaction, message_id: str, source: str = "wms-east") -> None:
    tx.execute(RECEIVE, {"source": source, "message_id": message_id, "received_at_us": 1})


def count(database: Database) -> int:
    with database.read() as tx:
        return int(tx.one(COUNT).messages)


def test_a_write_is_seen_by_readers_after_its_commit(database: Database, gate: RecordingGate) -> None:
    with database.write() as tx:
        receive(tx, "m1")
        assert count(database) == 0
    assert count(database) == 1
    assert gate.calls == ["begin write", "begin read", "commit", "end", "begin read"]


def test_what_raises_leaves_nothing_and_calls_nobody_back(database: Database, gate: RecordingGate) -> None:
    called: list[str] = []
    with pytest.raises(ValueError, match="no"), database.write() as tx:
        receive(tx, "m1")
        tx.after_commit(lambda: called.append("after"))
        raise ValueError("no")
    assert (count(database), called) == (0, [])
    assert gate.calls[:2] == ["begin write", "end"]


def test_callbacks_come_after_the_lock_is_given_back(database: Database, gate: RecordingGate) -> None:
    with database.write() as tx:
        tx.after_commit(lambda: gate.calls.append("callback"))
    assert gate.calls == ["begin write", "commit", "end", "callback"]


def test_a_savepoint_undoes_its_block_alone(database: Database) -> None:
    called: list[str] = []
    with database.write() as tx:
        receive(tx, "kept")
        with pytest.raises(ValueError, match="inner"), tx.savepoint():
            receive(tx, "undone")
            tx.after_commit(lambda: called.append("undone"))
            raise ValueError("inner")
        with tx.savepoint():
            receive(tx, "kept too")
    assert (count(database), called) == (2, [])


def test_a_crash_rolls_back_what_is_open_and_keeps_what_was_committed(
    database: Database, gate: RecordingGate, tmp_path: Path
) -> None:
    with database.write() as tx:
        receive(tx, "committed")
    parked = database.write()
    receive(parked.__enter__(), "open")
    gate.crash()
    reborn = Database(f"sqlite:///{tmp_path}/a.db", RecordingGate(), synchronous="OFF")
    assert count(reborn) == 1
    with reborn.write() as tx:
        receive(tx, "open")
    assert count(reborn) == 2


def test_many_entries_lists_and_chunks(database: Database) -> None:
    entries = [{"source": f"s{n % 3}", "message_id": f"m{n:05}", "received_at_us": 1} for n in range(9000)]
    with database.write() as tx:
        assert tx.execute(RECEIVE, entries) == 9000
        assert tx.execute(RECEIVE, []) == 0
    with database.read() as tx:
        assert len(tx.rows(OF_SOURCES, {"sources": ["s0", "s2", "s9"]})) == 6000
        assert tx.rows_for(OF_SOURCES, "sources", []) == []
        assert len(tx.rows_for(OF_SOURCES, "sources", [f"x{n}" for n in range(5000)] + ["s1"])) == 3000


def test_list_lengths_are_padded_and_bounded() -> None:
    assert [list_size(n) for n in (1, 2, 4, 5, 4096)] == [1, 4, 4, 16, 4096]
    with pytest.raises(ValueError, match="4097 values"):
        list_size(4097)
    with pytest.raises(ValueError, match="empty list"):
        list_size(0)


def test_constants_become_part_of_the_text_so_that_partial_indexes_apply(database: Database) -> None:
    ready = select(outbox.c.message_id).where(
        outbox.c.lane == bindparam("lane"), outbox.c.state == "ready", outbox.c.next_attempt_at_us <= bindparam("now")
    )
    text = database.statements.prepare(ready, {"lane": "erp", "now": 1}).text
    assert "state = 'ready'" in text
    with database.read() as tx:
        tx._cursor.execute("EXPLAIN QUERY PLAN " + text, ("erp", 1))
        assert "outbox_ready" in str(tx._cursor.fetchall())


def test_inserts_name_the_columns_that_are_given_and_number_rows(database: Database) -> None:
    entry = {"at_us": 1, "correlation_id": "", "order_id": "o", "entity": "order", "entity_id": "o", "event": "e",
             "detail": ""}  # fmt: skip
    with database.write() as tx:
        first = tx.one(insert(audit).returning(audit.c.audit_id), entry)
        second = tx.one(insert(audit).returning(audit.c.audit_id), {**entry, "to_state": "booked"})
    assert (first.audit_id, second.audit_id) == (1, 2)
    with database.read() as tx:
        assert [row.to_state for row in tx.rows(select(audit.c.to_state).order_by(audit.c.audit_id))] == [
            None,
            "booked",
        ]


def test_statements_compile_for_postgresql_too() -> None:
    statements = Statements(postgresql.dialect(paramstyle="pyformat"))  # type: ignore[no-untyped-call]
    price = dict.fromkeys(prices.columns.keys(), 1)
    upsert = statements.prepare(reference._UPSERT_PRICE, price)
    assert "ON CONFLICT (price_list, sku, valid_from_us) DO UPDATE SET" in upsert.text
    sync = statements.prepare(inventory._SYNCED, {"node": "n", "as_of_sequence": 1, "synced_at_us": 2})
    assert sync.arrange({"node": "n", "as_of_sequence": 1, "synced_at_us": 2})["as_of_sequence"] == 1
    listed = statements.prepare(OF_SOURCES, {"sources": ["a", "b"]})
    assert sorted(listed.arrange({"sources": ["a", "b"]}).values()) == ["a", "b", "b", "b"]
    renamed = update(inbox).where(inbox.c.source == bindparam("old")).values(source=bindparam("new"))
    assert statements.prepare(renamed, {"old": "a", "new": "b"}).arrange({"old": "a", "new": "b"}) == {
        "old": "a",
        "new": "b",
    }


def test_a_database_in_memory_is_refused_with_advice() -> None:
    with pytest.raises(StorageError, match="name a file"):
        Database("sqlite://", RecordingGate())
