"""The 3PL is followed by polling: each change counts once, stock is read before it matters, failures wait."""

from typing import Any

import pytest

from contracts.wire import iso
from integration.messaging.outcomes import Done, Retry, Uncertain
from integration.storage.tables import shipments

REFERENCE = "o1.threepl"


def change(stage: Any, number: int, status: str, **line: int) -> dict[str, Any]:
    entry = {"line_no": 1, "sku": "A", "quantity": 4, "cancelled": 0, "shipped": 0, "short": 0, **line}
    left = []
    if entry["shipped"]:
        left = [{
            "shipment_id": "S1", "tracking_number": "X1", "shipped_at": iso(stage.clock.now_us()), "stock_sequence": 7,
            "lines": [{"line_no": 1, "sku": "A", "quantity": entry["shipped"]}],
        }]  # fmt: skip
    return {"reference": REFERENCE, "customer_id": "C1", "order_reference": "R-o1", "status": status, "change": number,
            "lines": [entry], "shipments": left, "reason": None}  # fmt: skip


def tell(stage: Any, *items: dict[str, Any]) -> None:
    stage.threepl.script["changes"] = [Done({"items": list(items), "latest_change": items[-1]["change"]})]
    assert stage.poll.poll_once()


def released(stage: Any) -> None:
    stage.stock("threepl", A=6)
    stage.order("o1", {1: ("A", 4)}, {"threepl": {1: 4}})
    stage.settle()


def test_a_shipment_with_a_short_is_taken_in(stage: Any) -> None:
    stage.stock("wms-east", A=1)
    released(stage)
    assert stage.threepl.bodies("fulfill")[0]["reference"] == REFERENCE
    tell(stage, change(stage, 3, "accepted"))
    assert stage.stock_reads == []
    tell(stage, change(stage, 5, "shipped", shipped=3, short=1))
    assert stage.stock_reads == ["threepl"]
    assert stage.level("threepl", "A") == (3, 0, 0)
    assert stage.line("o1") == {"shipped": 3, "confirmed": 1}
    stage.settle()
    assert [body["lines"][0]["quantity"] for body in stage.east.bodies("release")] == [1]
    (confirmed,) = stage.erp.bodies("confirm_shipment")
    assert (confirmed["node"], confirmed["tracking_numbers"]) == ("threepl", ["X1"])
    assert [row.invoice_id for row in stage.rows(shipments)] == ["I-S1"]


def test_the_next_poll_asks_after_the_last_change_and_repetitions_do_nothing(stage: Any) -> None:
    released(stage)
    shipped = change(stage, 5, "shipped", shipped=4)
    tell(stage, shipped)
    tell(stage, shipped)
    assert stage.threepl.bodies("changes") == [0, 5]
    assert stage.line("o1") == {"shipped": 4}
    assert stage.level("threepl", "A") == (2, 0, 0)


def test_a_batch_out_of_sequence_is_taken_in_in_sequence(stage: Any) -> None:
    released(stage)
    tell(stage, change(stage, 5, "shipped", shipped=4), change(stage, 3, "accepted"))
    tell(stage, change(stage, 5, "shipped", shipped=4))
    assert stage.threepl.bodies("changes") == [0, 5]
    assert stage.line("o1") == {"shipped": 4}


def test_a_rejection_goes_elsewhere_and_not_back(stage: Any) -> None:
    stage.stock("wms-west", A=3)
    released(stage)
    tell(stage, {**change(stage, 2, "rejected"), "reason": "address"})
    assert stage.statuses()[REFERENCE] == "rejected"
    assert stage.level("threepl", "A") == (6, 0, 0)
    assert stage.line("o1") == {"confirmed": 3, "backordered": 1}
    stage.settle()
    assert [body["lines"][0]["quantity"] for body in stage.west.bodies("release")] == [3]
    assert len(stage.threepl.bodies("fulfill")) == 1


def test_a_failed_poll_changes_nothing_and_is_repeated(stage: Any) -> None:
    released(stage)
    stage.threepl.script["changes"] = [Uncertain("no answer")]
    assert not stage.poll.poll_once()
    tell(stage, change(stage, 5, "shipped", shipped=4))
    assert stage.threepl.bodies("changes") == [0, 0]
    assert stage.line("o1") == {"shipped": 4}


@pytest.mark.parametrize(("asked_s", "wait_s"), [(0, 30), (7, 30), (90, 90), (900, 900)])
def test_a_3pl_that_asks_for_patience_is_polled_no_sooner(stage: Any, asked_s: int, wait_s: int) -> None:
    stage.threepl.script["changes"] = [Retry("429", after_us=asked_s * 1_000_000, healthy=True)]
    assert stage.poll.once() == wait_s * 1_000_000
    assert stage.poll.once() == 300 * 1_000_000


def test_a_3pl_gives_back_whole_orders_only(stage: Any) -> None:
    released(stage)
    with stage.database.write() as tx:
        status, body = stage.cancellation.request_cancel(tx, "o1", None, "changed my mind", "k1")
    assert (status, body["result"]) == (202, "requested")
    stage.settle()
    assert stage.threepl.bodies("cancel") == [REFERENCE]
    assert stage.line("o1") == {"cancelled": 4}
    assert stage.level("threepl", "A") == (6, 0, 0)
    tell(stage, change(stage, 4, "cancelled", cancelled=4))
    assert stage.line("o1") == {"cancelled": 4}
    assert stage.statuses() == {REFERENCE: "cancelled"}
