"""kill -9 of any process at any time loses and doubles nothing: a client's retries and the leases see to it."""

import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select

from integration.live.ports import OpenGate
from integration.storage import Database
from integration.storage.schema import migrate
from integration.storage.tables import orders, outbox, stock
from tests.integration.live.house import Crowd, an_order, environment, free_port, house, wait_until
from tests.integration.live.partners import Partners, serving

NAMES = ("api", "dispatch 1", "dispatch 2")


def play(
    database_url: str, directory: Path, seed: int, orders_asked: int, kills: int, every_s: float, pause_s: float
) -> tuple[Crowd, Partners, Database]:
    """Orders come in while processes are killed and begun again; returns when all is invoiced."""
    chance = Random(seed)
    partners = Partners()
    database = Database(database_url, OpenGate())
    port = free_port()
    partners.integration = f"http://127.0.0.1:{port}"
    with (
        serving(partners) as partners_url,
        house(environment(database_url, partners_url, partners.integration), port, directory / "log", *NAMES) as made,
    ):
        wait_until(lambda: made.answers() and _is_open(database), 30, "the integration is open for business")
        asked = [an_order(f"PO-{seed}-{number}", chance) for number in range(orders_asked)]
        crowd = Crowd(made, asked, threads=4, pause_s=pause_s)
        crowd.begin()
        for _ in range(kills):
            time.sleep(chance.uniform(0.5, 1.5) * every_s)
            name = chance.choice(NAMES)
            chance.choice((made.kill, made.kill_alone))(name)
            made.start(name)
        crowd.join(90)
        wait_until(lambda: len(partners.count("invoice")) == orders_asked, 60, "every order is invoiced")
        wait_until(lambda: _count(database, "ready") == 0, 30, "no message waits")
    return crowd, partners, database


def _is_open(database: Database) -> bool:
    with database.read() as tx:
        return len(tx.rows(select(stock.c.node).distinct())) == 3


def _count(database: Database, state: str) -> int:
    with database.read() as tx:
        return int(tx.one(select(func.count().label("n")).where(outbox.c.state == state)).n)


def judge(crowd: Crowd, partners: Partners, database: Database) -> None:
    """Every order once everywhere, and the books agree."""
    references = [order["order_reference"] for order in crowd.orders]
    assert sorted(crowd.answered) == sorted(references)
    assert {status for status, _ in crowd.answered.values()} == {201}
    ids = sorted(order_id for _, order_id in crowd.answered.values())
    assert len(set(ids)) == len(ids)
    with database.read() as tx:
        booked = tx.rows(select(orders.c.order_id, orders.c.status).order_by(orders.c.order_id))
        reserved = tx.one(select(func.sum(stock.c.reserved).label("n"))).n
        sold = tx.one(select(func.sum(stock.c.on_hand).label("n")).where(stock.c.node == "wms-east")).n
    assert [row.order_id for row in booked] == ids
    assert {row.status for row in booked} == {"invoiced"}
    assert reserved == 0
    asked = sum(line["quantity"] for order in crowd.orders for line in order["lines"])
    assert sold == 10 * partners.on_hand - asked
    assert partners.count("booking") == dict.fromkeys(ids, 1)
    for kind in ("release", "shipment", "label", "confirmation", "invoice"):
        counts = partners.count(kind)
        assert (kind, set(counts.values()), len(counts)) == (kind, {1}, len(ids))
    assert partners.undelivered == []
    assert _count(database, "dead") == 0


@pytest.fixture
def closing() -> Any:
    made: list[Database] = []
    yield made.append
    for database in made:
        database.close()


def test_a_few_kills_lose_and_double_nothing(postgres_url: str, tmp_path: Path, closing: Any) -> None:
    crowd, partners, database = play(postgres_url, tmp_path, seed=1, orders_asked=40, kills=3, every_s=0.8, pause_s=0.2)
    closing(database)
    judge(crowd, partners, database)


@pytest.mark.long
def test_a_few_kills_lose_and_double_nothing_on_sqlite(tmp_path: Path, closing: Any) -> None:
    url = f"sqlite:///{tmp_path}/integration.db"
    migrate(url)
    crowd, partners, database = play(url, tmp_path, seed=5, orders_asked=60, kills=6, every_s=0.8, pause_s=0.2)
    closing(database)
    judge(crowd, partners, database)


@pytest.mark.long
@pytest.mark.parametrize("seed", [11, 12])
def test_many_kills_under_load_lose_and_double_nothing(
    postgres_url: str, tmp_path: Path, closing: Any, seed: int
) -> None:
    crowd, partners, database = play(postgres_url, tmp_path, seed, orders_asked=800, kills=40, every_s=1.0, pause_s=0.1)
    closing(database)
    judge(crowd, partners, database)
    assert crowd.attempts > len(crowd.orders), "no attempt met a killed process: the test shows nothing"
