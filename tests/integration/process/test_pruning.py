"""What is older than it is kept goes, in batches; what may still be repeated stays."""

from typing import Any

import pytest
from sqlalchemy import insert, select

from integration.process import pruning
from integration.process.pruning import Pruning
from integration.settings import DAY, Settings
from integration.storage import Database
from integration.storage.tables import audit, idempotency, inbox

KEPT = Settings(keep_idempotency_us=7 * DAY, keep_inbox_us=8 * DAY, keep_audit_us=30 * DAY)


def put(database: Database, at_us: int, name: str) -> None:
    with database.write() as tx:
        tx.execute(insert(idempotency), {
            "scope": "portal place_order", "key": name, "fingerprint": "f", "status": 201, "headers": "{}",
            "body": "{}", "created_at_us": at_us,
        })  # fmt: skip
        tx.execute(insert(inbox), {"source": "wms-east", "message_id": name, "received_at_us": at_us})
        tx.execute(insert(audit), {
            "at_us": at_us, "correlation_id": "", "order_id": "", "entity": "e", "entity_id": name, "event": "noted",
            "detail": "",
        })  # fmt: skip


def left(database: Database) -> list[list[str]]:
    with database.read() as tx:
        return [
            [row.key for row in tx.rows(select(idempotency.c.key).order_by(idempotency.c.key))],
            [row.message_id for row in tx.rows(select(inbox.c.message_id).order_by(inbox.c.message_id))],
            [row.entity_id for row in tx.rows(select(audit.c.entity_id).order_by(audit.c.entity_id))],
        ]


def test_what_is_too_old_goes_and_the_rest_stays(database: Database, ports: Any) -> None:
    now_us = ports.clock.now_us()
    for days in (6, 7, 9, 31):
        put(database, now_us - days * DAY - 1, f"{days:02} days")
    assert Pruning(ports.clock, database, KEPT).prune() == 3 + 2 + 1
    assert left(database) == [["06 days"], ["06 days", "07 days"], ["06 days", "07 days", "09 days"]]
    assert Pruning(ports.clock, database, KEPT).prune() == 0


def test_more_than_a_batch_goes_in_several(database: Database, ports: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    for number in range(5):
        put(database, ports.clock.now_us() - 40 * DAY, f"{number}")
    assert Pruning(ports.clock, database, KEPT).prune() == 15
    assert left(database) == [[], [], []]
