"""When others take the stock between the look and the reservation, intake looks again and never promises twice."""

from collections.abc import Sequence
from typing import Any

import pytest

from contracts.errors import ProblemError
from integration.domain.pricing import base_quantity
from integration.messaging.outbox import Outbox
from integration.process.intake import Intake, PricedLine
from integration.process.inventory import Inventory
from integration.process.reference import Reference
from integration.process.reservations import Reservations
from integration.settings import Settings
from integration.storage import Database, Transaction

LINES = [{"line_no": 1, "sku": "A", "quantity": 5, "unit": "EA"}]


class OptimisticLook(Reservations):
    """Shows stock at one node that is gone by the time it is taken, for the first `looks` looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def available(self, tx: Transaction, skus: Sequence[str]) -> dict[str, dict[str, int]]:
        self.looks -= 1
        if self.looks >= 0:
            return {"A": {"wms-east": 99}}
        return super().available(tx, skus)


def reserve(database: Database, ports: Any, reservations: Reservations, fill_policy: str) -> list[tuple[str, int]]:
    """Have five of A reserved where west has three, and answer node and quantity of each share."""
    inventory = Inventory(ports.clock, 0)
    intake = Intake(
        clock=ports.clock,
        ids=ports.ids,
        settings=Settings(),
        reference=Reference(),
        inventory=inventory,
        reservations=reservations,
        outbox=Outbox(ports.clock, {}, 1),
        base_quantity=base_quantity,
    )
    asked = {"fill_policy": fill_policy, "ship_to": {"country": "GB"}, "lines": LINES}
    with database.write() as tx:
        for node, quantity in (("wms-east", 1), ("wms-west", 3), ("threepl", 0)):
            inventory.take_snapshot(tx, node, 1, [{"sku": "A", "on_hand": quantity, "held": 0}])
        shares = intake._reserve(tx, asked, [PricedLine(1, "A", 5, unit_price_minor=255, tax_rate_bp=2000)])
        return [(share.node, share.quantity) for share in shares]


def test_a_lost_reservation_is_sourced_anew(database: Database, ports: Any) -> None:
    shares = reserve(database, ports, OptimisticLook(looks=2), "fill_available")
    assert shares == [("wms-east", 1), ("wms-west", 3)]


def test_looking_again_has_an_end(database: Database, ports: Any) -> None:
    assert reserve(database, ports, OptimisticLook(looks=99), "fill_available") == []


def test_all_or_nothing_stays_so_when_looking_again_comes_to_its_end(database: Database, ports: Any) -> None:
    with pytest.raises(ProblemError) as refused:
        reserve(database, ports, OptimisticLook(looks=99), "fill_or_kill")
    assert refused.value.key == "out-of-stock"
    assert refused.value.extensions["lines"] == [{"line_no": 1, "sku": "A", "requested": 5, "available": 0}]
