"""The checks about time: causality, everything_ends and it_happened."""

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.evidence import SECOND, Evidence, at, promise, told

LINE = (1, "S1", 3)
SHIPMENT = {"shipment_id": "rel-A.S"}


def ordered(directory: Path) -> Evidence:
    evidence = Evidence(directory)
    evidence.order("A", [LINE], 100)
    return evidence


class TestCausality:
    def test_nothing_is_inconclusive(self, tmp_path: Path) -> None:
        assert Evidence(tmp_path).check("causality").outcome == "inconclusive"

    def test_a_whole_order_holds(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.chain("A", LINE, 110)
        evidence.read("A", 112, "released", 2)
        evidence.read("A", 120, "shipped", 5)
        result = evidence.check("causality")
        assert (result.outcome, result.examined) == ("holds", 1)

    def test_a_status_that_goes_back_is_found(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.read("A", 110, "shipped", 5)
        evidence.read("A", 120, "released", 6)
        assert told(evidence.check("causality"), "kind", "subject", "detail") == [
            ("status_backwards", "ord-A", "released version 6 after shipped version 5")
        ]

    def test_a_version_that_goes_back_is_found(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.read("A", 110, "released", 5)
        evidence.read("A", 120, "released", 4)
        assert told(evidence.check("causality"), "kind", "badness") == [("version_backwards", 1)]

    def test_overlapping_reads_and_replays_are_not_compared(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.attempt("A", [], 110, took=30, operation="read_order", key="", order_id="ord-A",
                         order_status="shipped", order_version=5)  # fmt: skip
        evidence.read("A", 120, "released", 2)
        evidence.order("A", [LINE], 200, replayed=True)
        assert evidence.check("causality").outcome == "holds"

    def test_the_final_read_comes_after_all_others(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.read("A", 110, "cancelled", 5)
        evidence.final("A", [], order_status="shipped")
        assert told(evidence.check("causality"), "kind") == [("status_backwards",)]

    def test_each_step_out_of_order_is_found(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.release("A", LINE, 99)
        evidence.ship("A", LINE, 98)
        evidence.erp("shipment_confirmed", "A", 97, LINE, **SHIPMENT)
        evidence.erp("invoiced", "A", 96, LINE, **SHIPMENT)
        assert told(evidence.check("causality"), "kind", "badness") == [
            ("invoiced_before_confirmed", SECOND),
            ("confirmed_before_shipped", SECOND),
            ("shipped_before_released", SECOND),
            ("released_before_ordered", SECOND),
        ]

    def test_each_step_without_the_one_before_is_found(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.ship("A", LINE, 120)
        evidence.erp("shipment_confirmed", "A", 121, LINE, shipment_id="other")
        evidence.erp("invoiced", "A", 122, LINE, shipment_id="third")
        assert told(evidence.check("causality"), "kind", "subject") == [
            ("shipped_unreleased", "rel-A"),
            ("confirmed_unshipped", "other"),
            ("invoiced_unconfirmed", "third"),
        ]

    @pytest.mark.parametrize(
        ("answer", "shipped", "badness"),
        [([{"line_no": 1, "sku": "S1", "cancelled": 2}], 1, 0), ([{"line_no": 1, "sku": "S1", "cancelled": 2}], 3, 2),
         (None, 3, 3)],
    )  # fmt: skip
    def test_what_ships_after_an_acknowledged_cancel_is_found(
        self, tmp_path: Path, answer: list[dict[str, Any]] | None, shipped: int, badness: int
    ) -> None:
        evidence = ordered(tmp_path)
        evidence.attempt("A", [], 105, operation="cancel_order", key="k", status=200, answer_lines=answer)
        evidence.release("A", LINE, 106)
        evidence.ship("A", (1, "S1", shipped), 120)
        found = [("shipped_after_cancel", badness)] if badness else []
        assert told(evidence.check("causality"), "kind", "badness") == found

    def test_a_cancel_that_was_only_requested_promises_nothing(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.attempt("A", [], 105, operation="cancel_order", key="k", status=202)
        evidence.release("A", LINE, 106)
        evidence.ship("A", LINE, 120)
        assert evidence.check("causality").outcome == "holds"

    @pytest.mark.parametrize(
        ("shown", "told_messages", "outcome"),
        [("delivered", 3, "holds"), ("in_transit", 3, "violated"), ("in_transit", 2, "holds"), (None, 3, "violated")],
    )
    def test_tracking_shows_the_last_scan_once_all_were_told(
        self, tmp_path: Path, shown: str | None, told_messages: int, outcome: str
    ) -> None:
        evidence = ordered(tmp_path)
        evidence.quiet(900)
        for seconds, status in ((200, "picked_up"), (300, "in_transit"), (400, "delivered")):
            evidence.book("carrier", "scan", "A", seconds, tracking_number="T1", status=status)
        for number in range(told_messages):
            evidence.row("exchanges", source="carrier", target="integration", event_type="tracking.updated",
                         correlation_id="trace-A", key=f"w{number}", status=204)  # fmt: skip
        parcel = {"parcel_id": "par-A", "tracking_number": "T1", "tracking_status": shown}
        evidence.final("A", [promise(1, "S1", 3, shipped=3)], parcels=[parcel])
        assert evidence.check("causality").outcome == outcome


class TestEverythingEnds:
    def test_without_orders_it_is_inconclusive(self, tmp_path: Path) -> None:
        assert Evidence(tmp_path).check("everything_ends").outcome == "inconclusive"

    def test_quiet_within_the_bound_holds(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.quiet(160, loaded=100, bound_s=60)
        assert evidence.check("everything_ends").outcome == "holds"

    def test_quiet_after_the_bound_is_late(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.quiet(161, loaded=100, bound_s=60)
        assert told(evidence.check("everything_ends"), "kind", "badness") == [("late", SECOND)]

    def test_without_quiet_the_open_orders_are_listed(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.fact("loaded_at_us", value=at(100))
        evidence.fact("drain_bound_us", value=60 * SECOND)
        assert told(evidence.check("everything_ends"), "kind", "at_us") == [("never_quiet", at(160))]
        evidence.final("A", [promise(1, "S1", 3, 3)], order_status="released")
        found = told(evidence.check("everything_ends"), "kind", "order_reference", "order_status", "badness")
        assert found == [("open_order", "A", "released", 3)]


class TestItHappened:
    def test_nothing_expected_and_nothing_seen_is_inconclusive(self, tmp_path: Path) -> None:
        assert Evidence(tmp_path).check("it_happened").outcome == "inconclusive"

    def test_nothing_expected_holds_once_an_order_was_seen(self, tmp_path: Path) -> None:
        result = ordered(tmp_path).check("it_happened")
        assert (result.outcome, result.examined) == ("holds", 1)

    def test_a_fault_has_happened_when_it_struck(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.fact("expects", text="fault:erp-outage")
        evidence.row("faults", fault="erp-outage", kind="outage", event="window", from_us=at(0), to_us=at(10))
        assert told(evidence.check("it_happened"), "kind", "expected") == [("not_seen", "fault:erp-outage")]
        evidence.row("faults", fault="erp-outage", kind="outage", event="strike", from_us=at(5), to_us=at(5))
        result = evidence.check("it_happened")
        assert (result.outcome, result.examined) == ("holds", 1)

    def test_a_name_that_does_not_exist_is_never_seen(self, tmp_path: Path) -> None:
        evidence = ordered(tmp_path)
        evidence.fact("expects", text="seen:unicorn")
        assert told(evidence.check("it_happened"), "kind") == [("unknown_name",)]

    @pytest.mark.parametrize("name", [
        "duplicate_delivered", "reply_lost_after_effect", "reordered", "short_pick", "backorder", "contention",
        "client_retry_same_key", "fresh_key_refused", "cancel", "stock_moved", "client_timeout", "split_order",
        "rate_limited", "erp_backlog",
    ])  # fmt: skip
    def test_each_name_is_seen_only_when_it_was_there(self, tmp_path: Path, name: str) -> None:
        evidence = Evidence(tmp_path)
        evidence.move("opening", "S1", 10, -10)
        evidence.order("A", [LINE], 100)
        evidence.erp("order_booked", "A", 101)
        evidence.fact("expects", text=f"seen:{name}")
        assert told(evidence.check("it_happened"), "kind", "expected") == [("not_seen", f"seen:{name}")]
        make_it_happen(evidence, name)
        assert evidence.check("it_happened").outcome == "holds"


def make_it_happen(evidence: Evidence, name: str) -> None:  # noqa: PLR0912 - one case per name reads best
    def webhook(sent: float, arrived: float, **columns: Any) -> None:
        evidence.row(
            "exchanges",
            **{
                "source": "wms-east",
                "target": "integration",
                "event_type": "release.shipped",
                "key": f"w{sent}",
                "copy": 0,
                "sent_at_us": at(sent),
                "arrived_at_us": at(arrived),
                "handled_at_us": at(arrived),
                "status": 204,
                "outcome": "answered",
            }
            | columns,
        )

    match name:
        case "duplicate_delivered":
            webhook(1, 2, key="w")
            webhook(3, 4, key="w")
        case "reply_lost_after_effect":
            webhook(1, 2, outcome="timeout")
        case "reordered":
            webhook(1, 5)
            webhook(2, 4)
        case "short_pick":
            evidence.book("wms-east", "short", "A", 120, line_no=1, sku="S1", quantity=1)
        case "backorder":
            evidence.order("B", [(1, "S2", 3)], 900, backordered=1)
        case "contention":
            evidence.order("B", [LINE], 200, backordered=1)
        case "client_retry_same_key":
            evidence.order("A", [LINE], 200, replayed=True)
        case "fresh_key_refused":
            evidence.attempt("A", [LINE], 200, outcome="fail", key="fresh", problem="order-reference-used")
        case "cancel":
            evidence.attempt("A", [], 200, operation="cancel_order", status=202)
        case "stock_moved":
            evidence.move("receipt", "S1", 1, 50)
        case "client_timeout":
            evidence.attempt("B", [(1, "S2", 1)], 200, outcome="info")
        case "split_order":
            evidence.release("A", (1, "S1", 1), 110)
            evidence.release("A", (1, "S1", 2), 110, node="wms-west")
        case "rate_limited":
            webhook(1, 2, status=429)
        case "erp_backlog":
            for number in range(10):
                evidence.order(f"B{number}", [(1, f"T{number}", 1)], 1_000 + number)
