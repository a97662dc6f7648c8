"""The checks that compare books: fail_means_never, ledgers_agree, availability_agrees and stock_conserved."""

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.evidence import Evidence, at, promise, told

LINE = (1, "S1", 3)
SHIPMENT = {"shipment_id": "rel-A.S"}


def whole(directory: Path) -> Evidence:
    evidence = Evidence(directory)
    evidence.quiet(900)
    evidence.fact("label_by_carrier", subject="wms-east")
    evidence.move("opening", "S1", 50, -10)
    evidence.order("A", [LINE], 100)
    evidence.chain("A", LINE, 110)
    return evidence


class TestFailMeansNever:
    def test_without_entries_and_failures_it_is_inconclusive(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.order("A", [LINE], 100)
        assert evidence.check("fail_means_never").outcome == "inconclusive"

    def test_a_failed_order_without_entries_holds(self, tmp_path: Path) -> None:
        evidence = whole(tmp_path)
        evidence.attempt("B", [LINE], 100, outcome="fail")
        result = evidence.check("fail_means_never")
        assert (result.outcome, result.examined) == ("holds", 2)

    def test_an_entry_for_a_failed_order_is_found(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.attempt("A", [LINE], 100, outcome="fail")
        evidence.erp("order_booked", "A", 110, business_key="SO-1")
        evidence.release("A", LINE, 111)
        found = told(evidence.check("fail_means_never"), "kind", "order_reference", "partner", "badness")
        assert found == [("failed_yet_booked", "A", "erp", 2)]

    def test_an_unknown_outcome_is_no_failure(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.attempt("A", [LINE], 100, outcome="info")
        evidence.attempt("A", [LINE], 200, outcome="fail", key="fresh", problem="order-reference-used")
        evidence.erp("order_booked", "A", 110)
        assert evidence.check("fail_means_never").outcome == "holds"

    def test_a_copy_made_by_the_network_may_do_what_every_attempt_was_refused(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.attempt("A", [LINE], 100, outcome="fail", status=429, problem="rate-limited")
        evidence.attempt("A", [LINE], 104, outcome="fail", status=400, problem="malformed-json")
        evidence.erp("order_booked", "A", 110, business_key="SO-1")
        copy: dict[str, Any] = {"key": "key-A", "copy": 1, "source": "portal", "handled_at_us": at(106)}
        evidence.call("A", 105, status=429, **copy)
        assert told(evidence.check("fail_means_never"), "kind") == [("failed_yet_booked",)]
        evidence.call("A", 106, status=201, **copy)
        assert evidence.check("fail_means_never").outcome == "holds"

    def test_entries_that_nobody_asked_for_or_that_name_nobody_are_found(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.erp("order_booked", "GHOST", 110)
        evidence.move("shipped", "S1", -1, 120)
        found = told(evidence.check("fail_means_never"), "kind", "order_reference", "entry")
        assert found == [("untraced", "GHOST", "order_booked"), ("unnamed", None, "shipped")]

    def test_an_entry_older_than_the_first_call_under_a_key_that_may_have_succeeded_is_found(
        self, tmp_path: Path
    ) -> None:
        evidence = Evidence(tmp_path)
        evidence.attempt("A", [LINE], 100, outcome="fail", key="first")
        evidence.order("A", [LINE], 200, key="second")
        evidence.erp("order_booked", "A", 210, business_key="SO-2")
        assert evidence.check("fail_means_never").outcome == "holds"
        evidence.erp("order_booked", "A", 150, business_key="SO-1")
        found = told(evidence.check("fail_means_never"), "kind", "entry", "business_key", "badness")
        assert found == [
            ("booked_before_asked", "order_booked", "SO-1", 1),
            ("failed_key_booked", "order_booked", None, 1),
        ]

    def test_two_orders_under_one_reference_of_which_one_key_failed_are_found(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.order("A", [LINE], 100, key="first")
        evidence.attempt("A", [LINE], 150, outcome="fail", key="second", problem="order-reference-used")
        for seconds, order in ((110, "SO-1"), (160, "SO-2")):
            evidence.erp("order_booked", "A", seconds, business_key=order)
        assert told(evidence.check("fail_means_never"), "kind", "badness") == [("failed_key_booked", 1)]

    def test_a_second_key_whose_outcome_is_unknown_may_have_made_an_order(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.order("A", [LINE], 100, key="first")
        evidence.attempt("A", [LINE], 120, outcome="info", key="second")
        evidence.attempt("A", [LINE], 150, outcome="fail", key="third")
        for seconds, order in ((110, "SO-1"), (160, "SO-2")):
            evidence.erp("order_booked", "A", seconds, business_key=order)
        assert evidence.check("fail_means_never").outcome == "holds"

    def test_a_quantity_that_only_a_failed_key_asked_for_is_found(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.attempt("A", [(1, "S1", 9)], 100, outcome="fail", key="first")
        evidence.order("A", [LINE], 200, key="second")
        evidence.erp("order_line", "A", 210, (1, "S1", 9), business_key="SO-1")
        found = told(evidence.check("fail_means_never"), "kind", "business_key", "badness")
        assert found == [("failed_payload_booked", "SO-1", 6)]

    def test_a_cancel_that_was_refused_for_certain_must_not_be_booked(self, tmp_path: Path) -> None:
        evidence = whole(tmp_path)
        evidence.attempt("A", [LINE], 105, outcome="fail", operation="cancel_order", key="k", status=409)
        assert evidence.check("fail_means_never").outcome == "holds"
        evidence.book("wms-east", "release_cancelled", "A", 112, line_no=1, sku="S1", quantity=3, business_key="rel-A")
        found = told(evidence.check("fail_means_never"), "kind", "partner", "entry", "badness")
        assert found == [("refused_yet_cancelled", "wms-east", "release_cancelled", 1)]
        evidence.attempt("A", [LINE], 106, outcome="info", operation="cancel_order", key="other")
        assert evidence.check("fail_means_never").outcome == "holds"


class TestLedgersAgree:
    def test_without_quiet_it_is_inconclusive(self, tmp_path: Path) -> None:
        assert Evidence(tmp_path).check("ledgers_agree").reason == "quiet never came"

    def test_equal_books_hold(self, tmp_path: Path) -> None:
        result = whole(tmp_path).check("ledgers_agree")
        assert (result.outcome, result.examined) == ("holds", 1)

    def test_a_shipment_that_was_never_invoiced_is_found(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.quiet(900)
        evidence.ship("A", LINE, 120)
        evidence.erp("shipment_confirmed", "A", 130, LINE, **SHIPMENT)
        quantities = {"shipped": 3, "confirmed": 3, "invoiced": 0, "labelled": None}
        assert told(evidence.check("ledgers_agree"), "kind", "subject", "quantities") == [
            ("erp_invoiced_other", "rel-A.S", quantities)
        ]

    def test_a_confirmation_of_more_than_was_shipped_is_found(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.quiet(900)
        evidence.ship("A", (1, "S1", 2), 120)
        evidence.erp("shipment_confirmed", "A", 130, LINE, **SHIPMENT)
        evidence.erp("invoiced", "A", 131, LINE, **SHIPMENT)
        assert told(evidence.check("ledgers_agree"), "kind", "badness") == [("erp_confirmed_other", 1)]

    def test_a_label_neither_used_nor_voided_is_found(self, tmp_path: Path) -> None:
        evidence = whole(tmp_path)
        evidence.label("A", LINE, 200, parcel="other", tracking="T9")
        assert told(evidence.check("ledgers_agree"), "kind", "badness") == [("label_unused", 3)]
        evidence.book("carrier", "label_voided", "A", 210, tracking_number="T9")
        assert evidence.check("ledgers_agree").outcome == "holds"

    def packed(self, directory: Path, *, tracking: str | None) -> Evidence:
        """An order of three in one parcel with one live label, T1."""
        evidence = Evidence(directory)
        evidence.quiet(900)
        evidence.fact("label_by_carrier", subject="wms-east")
        evidence.book("wms-east", "packed", "A", 111, business_key="rel-A", parcel_id="par-A", quantity=3)
        evidence.label("A", LINE, 112, tracking="T1")
        evidence.ship("A", LINE, 113)
        evidence.rows["ledger"][-1]["tracking_number"] = tracking
        evidence.erp("shipment_confirmed", "A", 114, LINE, **SHIPMENT)
        evidence.erp("invoiced", "A", 115, LINE, **SHIPMENT)
        return evidence

    @pytest.mark.parametrize("tracking", ["T1", None])
    def test_a_label_is_used_by_its_number_or_by_its_packed_parcel(self, tmp_path: Path, tracking: str | None) -> None:
        assert self.packed(tmp_path, tracking=tracking).check("ledgers_agree").outcome == "holds"

    @pytest.mark.parametrize("tracking", ["T1", None])
    def test_a_second_live_label_does_not_hide_behind_a_missing_line(
        self, tmp_path: Path, tracking: str | None
    ) -> None:
        evidence = self.packed(tmp_path, tracking=tracking)
        evidence.book("carrier", "label", "A", 120, parcel_id="par-A", tracking_number="T2")
        found = told(evidence.check("ledgers_agree"), "kind", "subject")
        assert found == [("label_idle", "T2")]
        evidence.book("carrier", "label_voided", "A", 130, tracking_number="T2")
        assert evidence.check("ledgers_agree").outcome == "holds"

    def test_goods_that_left_under_a_voided_label_are_found(self, tmp_path: Path) -> None:
        evidence = self.packed(tmp_path, tracking="T1")
        evidence.label("A", LINE, 120, tracking="T2")
        evidence.book("carrier", "label_voided", "A", 130, tracking_number="T1")
        found = told(evidence.check("ledgers_agree"), "kind", "subject", "badness")
        assert found == [("label_not_live", "T1", 3), ("label_idle", "T2", 1)]

    def test_a_shipment_without_label_is_found_only_where_we_label(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path, nodes=("wms-east", "threepl"))
        evidence.quiet(900)
        evidence.fact("label_by_carrier", subject="wms-east")
        for node, reference in (("wms-east", "A"), ("threepl", "B")):
            shipment = f"rel-{reference}.S"
            evidence.ship(reference, LINE, 120, node=node)
            evidence.erp("shipment_confirmed", reference, 130, LINE, shipment_id=shipment)
            evidence.erp("invoiced", reference, 131, LINE, shipment_id=shipment)
        found = told(evidence.check("ledgers_agree"), "kind", "order_reference")
        assert found == [("shipped_unlabelled", "A")]

    def test_a_tracking_number_on_two_parcels_is_found(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.quiet(900)
        for reference in ("A", "B"):
            evidence.label(reference, LINE, 100, tracking="T1")
        found = told(evidence.check("ledgers_agree"), "kind", "subject", "badness")
        assert found == [("tracking_number_shared", "T1", 2)]


class TestAvailabilityAgrees:
    def quiet_run(self, directory: Path) -> Evidence:
        evidence = Evidence(directory)
        evidence.quiet(900)
        evidence.fact("safety_stock", subject="wms-east", value=2)
        evidence.move("opening", "S1", 10, -10)
        evidence.move("hold", "S1", 3, 100)
        return evidence

    def test_nothing_stocked_is_inconclusive(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        evidence.quiet(900)
        assert evidence.check("availability_agrees").reason == "nothing to examine"

    def test_on_hand_less_held_less_safety_holds(self, tmp_path: Path) -> None:
        evidence = self.quiet_run(tmp_path)
        evidence.published("S1", 5)
        result = evidence.check("availability_agrees")
        assert (result.outcome, result.examined) == ("holds", 1)

    @pytest.mark.parametrize(("available", "kind", "badness"), [(6, "too_high", 1), (3, "too_low", 2)])
    def test_another_number_is_found(self, tmp_path: Path, available: int, kind: str, badness: int) -> None:
        evidence = self.quiet_run(tmp_path)
        evidence.published("S1", available)
        found = told(evidence.check("availability_agrees"), "kind", "badness", "node", "sku", "expected", "published")
        assert found == [(kind, badness, "wms-east", "S1", 5, available)]

    def test_bins_of_a_node_are_added_up_and_nothing_is_below_zero(self, tmp_path: Path) -> None:
        evidence = self.quiet_run(tmp_path)
        evidence.book("wms-east", "opening", "", 0, sku="S1", location="B", quantity=4, balance=4, held_balance=0)
        evidence.move("opening", "S2", 1, 0)
        evidence.published("S1", 9)
        evidence.published("S2", 0)
        assert evidence.check("availability_agrees").outcome == "holds"

    def test_a_sku_that_is_not_published_is_found_unless_reads_are_partial(self, tmp_path: Path) -> None:
        evidence = self.quiet_run(tmp_path)
        assert told(evidence.check("availability_agrees"), "kind", "sku") == [("not_published", "S1")]
        evidence.fact("final_reads", value=0, text="partial")
        assert evidence.check("availability_agrees").outcome == "inconclusive"

    def test_an_order_that_stays_open_may_hold_its_units(self, tmp_path: Path) -> None:
        evidence = self.quiet_run(tmp_path)
        evidence.order("A", [LINE], 50)
        evidence.final("A", [promise(1, "S1", 3, 3)])
        evidence.published("S1", 2)
        assert evidence.check("availability_agrees").outcome == "holds"

    @pytest.mark.parametrize(("node", "published", "found"), [
        ("wms-east", 2, []),
        ("wms-east", 1, [("too_low", 1)]),
        ("wms-west", 10, []),
        ("wms-west", 7, [("too_low", 3)]),
    ])  # fmt: skip
    def test_an_open_release_is_held_at_its_own_node_alone(
        self, tmp_path: Path, node: str, published: int, found: list[tuple[str, int]]
    ) -> None:
        evidence = Evidence(tmp_path, nodes=("wms-east", "wms-west"))
        evidence.quiet(900)
        for name, units in (("wms-east", 5), ("wms-west", 10)):
            evidence.move("opening", "S1", units, -10, node=name)
        evidence.order("A", [LINE], 50)
        evidence.release("A", LINE, 60)
        evidence.final("A", [promise(1, "S1", 3, 3)])
        for name, units in (("wms-east", 2), ("wms-west", 10)):
            evidence.published("S1", published if name == node else units, name)
        assert told(evidence.check("availability_agrees"), "kind", "badness") == found


class TestStockConserved:
    def test_without_stock_it_is_inconclusive(self, tmp_path: Path) -> None:
        assert Evidence(tmp_path).check("stock_conserved").outcome == "inconclusive"

    def test_books_that_add_up_hold(self, tmp_path: Path) -> None:
        evidence = Evidence(tmp_path)
        moves = [("opening", 10), ("receipt", 5), ("adjustment", -2), ("hold", 3), ("unhold", 1), ("shipped", -4)]
        for seconds, (kind, quantity) in enumerate(moves):
            evidence.move(kind, "S1", quantity, seconds)
        result = evidence.check("stock_conserved")
        assert (result.outcome, result.examined, result.judges) == ("holds", 6, "simulators")
        assert evidence.balances["wms-east", "S1"] == [9, 2]

    @pytest.mark.parametrize(
        ("kind", "quantity", "balance", "held", "found"),
        [
            ("shipped", -4, 7, 0, "balance_wrong"),
            ("shipped", -11, -1, 0, "negative"),
            ("hold", 2, 10, 1, "held_wrong"),
            ("hold", 2, 8, 2, "balance_wrong"),
            ("hold", 11, 10, 11, "more_held_than_there"),
        ],
    )
    def test_an_entry_that_does_not_add_up_is_found(
        self, tmp_path: Path, kind: str, quantity: int, balance: int, held: int, found: str
    ) -> None:
        evidence = Evidence(tmp_path)
        evidence.move("opening", "S1", 10, 0)
        evidence.book(
            "wms-east", kind, "", 1, sku="S1", location="A", quantity=quantity, balance=balance, held_balance=held
        )
        assert told(evidence.check("stock_conserved"), "kind", "entry", "before") == [(found, kind, 10)]
