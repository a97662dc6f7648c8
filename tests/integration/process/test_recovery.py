"""A release of which nothing was heard is read at its warehouse, and what was missed is applied, once."""

from typing import Any

import pytest

from contracts.wire import iso
from integration.messaging.outcomes import Done, Retry
from integration.process.recovery import Recovery
from integration.runtime import ReadFailed
from tests.integration.process.conftest import SECOND_US, Stage

HOUR_US = 3_600 * SECOND_US
RELEASE = "O1.wms-east"


@pytest.fixture
def released(stage: Stage) -> Stage:
    """Five of a sku, released to wms-east, of which nothing was heard for five hours."""
    stage.stock("wms-east", A=10)
    stage.stock("wms-west", A=10)
    stage.order("O1", {1: ("A", 5)}, {"wms-east": {1: 5}})
    stage.pass_time(2)
    stage.settle()
    assert stage.statuses()[RELEASE] == "released"
    stage.clock.sleep(5 * HOUR_US)
    return stage


def recovery(stage: Stage) -> Recovery:
    readers = {"wms-east": stage.east, "wms-west": stage.west}
    return Recovery(
        stage.clock, stage.database, readers, stage.stock_reads.append, stage.shipping.catch_up, 4 * HOUR_US
    )


def told(stage: Stage, **changes: Any) -> Done:
    """The release as the warehouse tells it: all five shipped in one parcel unless told otherwise."""
    content = [{"line_no": 1, "sku": "A", "quantity": 5}]
    shipment = {"shipment_id": "S-1", "shipped_at": iso(stage.clock.now_us()), "lines": content, "parcels": ["P1"]}
    line = {"line_no": 1, "sku": "A", "quantity": 5, "cancelled": 0, "picked": 5, "short": 0, "shipped": 5}
    answer = {
        "release_id": RELEASE, "customer_id": "C1", "order_reference": "R", "status": "shipped", "sequence": 3,
        "lines": [line], "shipments": [shipment],
        "parcels": [{"parcel_id": "P1", "weight_g": 500, "tracking_number": "T1", "lines": content}],
    }  # fmt: skip
    return Done(answer | changes)


def test_a_shipment_that_was_never_told_is_found_and_confirmed_once(released: Stage) -> None:
    released.east.script["read_release"] = [told(released), told(released)]
    recovery(released).recover("wms-east")
    assert released.stock_reads == ["wms-east"]
    assert released.statuses()[RELEASE] == "shipped"
    assert released.line("O1") == {"shipped": 5}
    assert released.level("wms-east", "A")[2] == 0
    assert "caught_up" in released.timeline()
    released.settle()
    assert [body["shipment_id"] for body in released.erp.bodies("confirm_shipment")] == ["S-1"]
    recovery(released).recover("wms-east")
    assert len(released.east.bodies("read_release")) == 1, "nothing is open there any more"


def test_the_event_that_comes_after_all_changes_nothing(released: Stage) -> None:
    released.east.script["read_release"] = [told(released)]
    recovery(released).recover("wms-east")
    event = released.shipped(RELEASE, [(1, "A", 5)], 7, shipment_id="S-1", sequence=3)
    assert released.hear("wms-east", "release.shipped", event)
    assert released.hear("wms-east", "release.packed", released.packed(RELEASE, [[(1, "A", 5)]], sequence=2))
    assert released.statuses()[RELEASE] == "shipped"
    assert released.line("O1") == {"shipped": 5}
    assert released.level("wms-east", "A") == (10, 0, 0), "the snapshot that was read has the shipment"


def test_packed_parcels_without_a_label_get_one(released: Stage) -> None:
    content = [{"line_no": 1, "sku": "A", "quantity": 5}]
    parcels = [{"parcel_id": "P1", "weight_g": 500, "tracking_number": None, "lines": content}]
    line = {"line_no": 1, "sku": "A", "quantity": 5, "cancelled": 0, "picked": 5, "short": 0, "shipped": 0}
    answer = told(released, status="packed", sequence=2, lines=[line], shipments=[], parcels=parcels)
    released.east.script["read_release"] = [answer, answer]
    recovery(released).recover("wms-east")
    released.settle()
    assert released.statuses()[RELEASE] == "labelled"
    assert [body["label_reference"] for body in released.carrier.bodies("create_label")] == ["P1"]
    assert released.stock_reads == []


def test_a_short_pick_is_found_and_sourced_again(released: Stage) -> None:
    line = {"line_no": 1, "sku": "A", "quantity": 5, "cancelled": 0, "picked": 3, "short": 2, "shipped": 0}
    released.east.script["read_release"] = [
        told(released, status="picked", sequence=1, lines=[line], shipments=[], parcels=[])
    ]
    recovery(released).recover("wms-east")
    assert released.stock_reads == ["wms-east"]
    assert released.line("O1") == {"confirmed": 5}
    assert released.level("wms-east", "A")[2] == 3
    assert released.level("wms-west", "A")[2] == 2


def test_an_answer_older_than_an_event_is_left_alone(released: Stage) -> None:
    released.hear("wms-east", "release.picked", released.picked(RELEASE, {1: ("A", 5, 0)}, sequence=4))
    line = {"line_no": 1, "sku": "A", "quantity": 5, "cancelled": 5, "picked": 0, "short": 0, "shipped": 0}
    answer = told(released, status="cancelled", sequence=3, lines=[line], shipments=[], parcels=[]).answer
    with released.database.write() as tx:
        assert not released.shipping.catch_up(tx, "wms-east", answer)
        assert not released.shipping.catch_up(tx, "wms-west", {**answer, "sequence": 9})
    assert released.line("O1") == {"confirmed": 5}


def test_a_release_that_moved_lately_is_not_asked_about(stage: Stage) -> None:
    stage.stock("wms-east", A=10)
    stage.order("O1", {1: ("A", 5)}, {"wms-east": {1: 5}})
    stage.pass_time(2)
    stage.settle()
    stage.clock.sleep(3 * HOUR_US)
    recovery(stage).recover("wms-east")
    assert stage.east.bodies("read_release") == []


def test_a_warehouse_that_does_not_answer_is_a_failed_read(released: Stage) -> None:
    released.east.script["read_release"] = [Retry("overloaded", 90 * SECOND_US)]
    with pytest.raises(ReadFailed) as failed:
        recovery(released).recover("wms-east")
    assert failed.value.after_us == 90 * SECOND_US
    assert released.statuses()[RELEASE] == "released"
