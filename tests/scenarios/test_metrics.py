"""Each metric on a hand-made run whose numbers can be worked out by head; nothing to measure gives no number."""

from pathlib import Path

import pytest

from scenarios.thresholds import known_metrics
from tests.scenarios.evidence import Evidence, at, promise

LINE = (1, "S1", 10)
HOUR = 3_600


def exchange(evidence: Evidence, source: str, target: str, sent: float, completed: float, **columns: object) -> None:
    evidence.row("exchanges", **{
        "source": source, "target": target, "method": "POST", "copy": 0, "sent_at_us": at(sent), "outcome": "answered",
        "completed_at_us": at(completed), "status": 204, "key": f"w{sent}", "correlation_id": "trace-A",
    } | columns)  # fmt: skip


@pytest.mark.parametrize("name", known_metrics())
def test_nothing_to_measure_gives_no_number(tmp_path: Path, name: str) -> None:
    metric = Evidence(tmp_path).measure(name)
    assert (metric.values, metric.groups) == ({}, {})


def test_order_ack_ms_leaves_replays_and_refusals_out(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    for number in range(1, 5):
        evidence.order(f"A{number}", [LINE], 100 * number, took=number, channel="edi" if number == 4 else "portal")
    evidence.order("A1", [LINE], 900, took=50, replayed=True)
    evidence.attempt("B", [LINE], 950, took=60, outcome="fail")
    metric = evidence.measure("order_ack_ms")
    assert metric.values == pytest.approx({
        "count": 4.0, "avg": 2_500.0, "min": 1_000.0, "max": 4_000.0, "med": 2_500.0, "rate": 1.0, "p(50)": 2_500.0,
        "p(90)": 3_700.0, "p(95)": 3_850.0, "p(99)": 3_970.0,
    })  # fmt: skip
    assert {group: values["avg"] for group, values in metric.groups.items()} == {"edi": 4_000.0, "portal": 2_000.0}
    assert (metric.clock, metric.unit) == ("protocol", "ms")


def test_order_wait_ms_counts_from_when_an_order_was_meant_to_be_sent(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100, took=2, channel="edi", intended_at_us=at(90))
    evidence.attempt("B", [LINE], 200, took=10, outcome="info")
    evidence.order("B", [LINE], 220, took=5)
    evidence.attempt("C", [LINE], 300, took=1, outcome="fail")
    metric = evidence.measure("order_wait_ms")
    assert {group: values["avg"] for group, values in metric.groups.items()} == {"edi": 12_000.0, "portal": 25_000.0}
    assert (metric.clock, metric.unit) == ("protocol", "ms")


def test_protocol_metrics_tell_seconds_of_the_wall(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100, took=60)
    evidence.erp("order_booked", "A", 280)
    exchange(evidence, "wms-east", "integration", 300, 330, event_type="inventory.changed")
    evidence.fact("protocol_second_us", value=60_000_000)
    assert evidence.measure("order_ack_ms").values["max"] == 1_000.0
    assert evidence.measure("order_wait_ms").values["max"] == 1_000.0
    assert evidence.measure("order_to_booking_s").values["max"] == 2.0
    assert evidence.measure("inventory_sync_lag_s").values["max"] == 0.5


def test_order_cycle_hours_ends_with_the_last_shipment(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    for reference, waiting in (("A", 0), ("B", 4)):
        evidence.order(reference, [LINE], 0)
        evidence.ship(reference, (1, "S1", 6), HOUR)
        evidence.ship(reference, (1, "S1", 4), 3 * HOUR)
        evidence.final(reference, [promise(1, "S1", 10, 0, waiting, shipped=10 - waiting)])
    assert evidence.measure("order_cycle_hours").values["max"] == 3.0
    assert evidence.measure("order_cycle_hours").values["count"] == 1.0


def test_order_to_booking_s_counts_from_the_answer_to_the_first_booking(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100, took=1)
    evidence.erp("order_booked", "A", 106)
    evidence.erp("order_booked", "A", 190)
    evidence.order("B", [LINE], 200, took=5)
    evidence.erp("order_booked", "B", 203)
    values = evidence.measure("order_to_booking_s").values
    assert (values["count"], values["min"], values["max"]) == (2.0, 0.0, 5.0)


def test_fill_rate_is_by_units(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [(1, "S1", 30)], 100)
    evidence.order("B", [LINE], 200, backordered=4, channel="edi")
    metric = evidence.measure("fill_rate")
    assert metric.values == {"value": 0.9}
    assert metric.groups == {"edi": {"value": 0.6}, "portal": {"value": 1.0}}


def test_on_time_shipment_judges_orders_before_the_cut_off(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    midnight = 14 * HOUR
    for reference, ordered, shipped in (("A", 0, HOUR), ("B", 0, midnight), ("C", 5 * HOUR, midnight + HOUR)):
        evidence.order(reference, [LINE], ordered)
        evidence.ship(reference, LINE, shipped)
    values = evidence.measure("on_time_shipment").values
    assert (values["count"], values["rate"]) == (2.0, 0.5)


def test_inventory_sync_lag_s_counts_from_the_first_attempt_to_tell(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    told = {"event_type": "inventory.changed", "key": "w1"}
    exchange(evidence, "wms-east", "integration", 100, 101, status=503, **told)
    exchange(evidence, "wms-east", "integration", 105, 106, **told)
    exchange(evidence, "wms-west", "integration", 105, 106, status=503, event_type="inventory.changed", key="w2")
    groups = evidence.measure("inventory_sync_lag_s").groups
    assert {group: values["max"] for group, values in groups.items()} == {"wms-east": 6.0}


def test_inventory_poll_lag_s_ends_with_the_next_answer(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path, nodes=("wms-east", "threepl"))
    evidence.move("receipt", "S1", 5, 200, node="threepl")
    evidence.move("receipt", "S1", 5, 200, node="wms-east")
    exchange(evidence, "integration", "threepl", 190, 191, method="GET", route="/stock", status=200)
    exchange(evidence, "integration", "threepl", 230, 232, method="GET", route="/stock", status=200)
    exchange(evidence, "integration", "wms-east", 230, 232, method="GET", route="/stock", status=200)
    groups = evidence.measure("inventory_poll_lag_s").groups
    assert {group: values["max"] for group, values in groups.items()} == {"threepl": 32.0}


def test_shipment_event_lag_s_by_webhook_and_by_poll(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path, nodes=("wms-east", "threepl"))
    evidence.ship("A", LINE, 100)
    exchange(evidence, "wms-east", "integration", 101, 104, event_type="release.shipped")
    evidence.ship("A", LINE, 100, node="threepl")
    exchange(evidence, "integration", "threepl", 110, 111, method="GET", route="/fulfillment-orders", status=200)
    groups = evidence.measure("shipment_event_lag_s").groups
    assert {group: values["max"] for group, values in groups.items()} == {"threepl": 11.0, "wms-east": 4.0}


def test_backorder_update_s_ends_with_the_change_in_the_erp(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 50)
    evidence.book("wms-east", "short", "A", 100, line_no=1, sku="S1", quantity=2)
    evidence.erp("order_changed", "A", 107, LINE, reason="backorder")
    metric = evidence.measure("backorder_update_s")
    assert (metric.values["count"], metric.groups["wms-east"]["max"]) == (1.0, 7.0)


def test_invoice_availability_s(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 50)
    evidence.chain("A", LINE, 100)
    assert evidence.measure("invoice_availability_s").groups["wms-east"]["max"] == 2.0


def test_invoice_availability_s_counts_from_the_news_of_the_shipment(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path, nodes=("wms-east", "threepl"))
    for reference, node in (("A", "wms-east"), ("B", "threepl")):
        evidence.order(reference, [LINE], 50)
        evidence.ship(reference, LINE, 100, node=node)
        evidence.erp("invoiced", reference, 120, LINE, shipment_id=f"rel-{reference}.S")
    told = {"event_type": "release.shipped", "correlation_id": "trace-A"}
    exchange(evidence, "wms-east", "integration", 101, 102, status=503, **told)
    exchange(evidence, "wms-east", "integration", 110, 111, **told)
    exchange(evidence, "integration", "threepl", 104, 105, method="GET", route="/fulfillment-orders", status=429)
    exchange(evidence, "integration", "threepl", 114, 115, method="GET", route="/fulfillment-orders", status=200)
    groups = evidence.measure("invoice_availability_s").groups
    assert {group: values["max"] for group, values in groups.items()} == {"threepl": 5.0, "wms-east": 19.0}


def test_duplicate_rejection_rate_counts_a_second_order_as_not_rejected(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    evidence.order("A", [LINE], 200, replayed=True)
    evidence.attempt("A", [LINE], 300, outcome="fail", key="fresh", problem="order-reference-used")
    evidence.order("A", [LINE], 400, key="fresher", order_id="ord-second")
    evidence.attempt("A", [LINE], 500, outcome="info")
    values = evidence.measure("duplicate_rejection_rate").values
    assert (values["count"], values["rate"]) == (3.0, 2 / 3)


def test_price_validation_failures_per_segment(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.order("A", [LINE], 100)
    evidence.attempt("B", [LINE], 200, outcome="fail", problem="urn:peakproof:problem:price-mismatch")
    evidence.attempt("C", [LINE], 300, outcome="fail", problem="no-contract-price", segment="retail")
    evidence.attempt("D", [LINE], 400, outcome="fail", problem="out-of-stock", segment="retail")
    metric = evidence.measure("price_validation_failures")
    assert metric.values["rate"] == 0.5
    assert {group: values["rate"] for group, values in metric.groups.items()} == {"gold": 0.5, "retail": 0.5}


def test_orders_awaiting_erp_peak_and_area(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    for number in range(3):
        evidence.order(f"A{number}", [LINE], 0, took=0)
    evidence.erp("order_booked", "A0", HOUR)
    evidence.erp("order_booked", "A1", 2 * HOUR)
    assert evidence.measure("orders_awaiting_erp").values == {"max": 3.0, "area": 5.0, "avg": 2.5, "value": 1.0}


def test_dead_letters_at_the_end_and_at_most(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    for seconds, lane, value in ((0, "erp", 0), (0, "carrier", 0), (60, "erp", 3), (60, "carrier", 0), (120, "erp", 1)):
        evidence.row("gauges", at_us=at(seconds), source="integration", name="dead_letters", location=lane, value=value)
    metric = evidence.measure("dead_letters")
    assert metric.values == {"value": 1.0, "count": 1.0, "max": 3.0}
    assert metric.groups["carrier"] == {"value": 0.0, "count": 0.0, "max": 0.0}


def test_recovery_time_s_ends_when_queues_are_back(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.row("faults", fault="erp-outage", event="window", from_us=at(100), to_us=at(200))
    for seconds, depth in ((90, 5), (150, 80), (210, 60), (240, 5), (270, 0)):
        for lane, part in (("erp", depth), ("carrier", 1)):
            evidence.row("gauges", at_us=at(seconds), name="queue_depth", location=lane, value=part)
    assert evidence.measure("recovery_time_s").groups["erp-outage"]["max"] == 40.0
    groups = evidence.measure("queue_depth").groups
    assert (groups["erp"]["max"], groups["carrier"]["max"]) == (80.0, 1.0)


def test_calls_per_order_per_partner(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    for number in range(3):
        exchange(evidence, "integration", "erp", number, number + 0.1)
    exchange(evidence, "integration", "carrier", 5, 6)
    exchange(evidence, "integration", "erp", 7, 8, correlation_id="trace-B")
    groups = evidence.measure("calls_per_order").groups
    assert {group: values["max"] for group, values in groups.items()} == {"carrier": 1.0, "erp": 3.0}


def test_peak_throughput_per_hour_is_the_busiest_sixty_minutes(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    for seconds in (0, HOUR - 60, HOUR + 60, HOUR + 120, 2 * HOUR):
        evidence.order(f"A{seconds}", [LINE], seconds, took=0)
    assert evidence.measure("peak_throughput_per_hour").values == {"max": 3.0, "avg": 2.5}
