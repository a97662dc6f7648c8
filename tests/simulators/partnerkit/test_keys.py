"""Idempotency-Keys at every partner: one key names one request, as far as the vendor's profile looks at them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from simulators.carrier.api import create_app as carrier_app
from simulators.carrier.process import Carrier, CarrierProfile
from simulators.erp.api import create_app as erp_app
from simulators.erp.model import Customer, Item, MasterData
from simulators.erp.process import Erp, ErpProfile
from simulators.kernel import Fault
from simulators.partnerkit import load
from simulators.threepl.api import create_app as threepl_app
from simulators.threepl.process import ThreePl, ThreePlProfile
from simulators.wms.api import create_app as wms_app
from simulators.wms.process import Wms, WmsProfile

SECOND = 1_000_000
ORDER = {"customer_id": "C1", "order_reference": "PO-1"}
ADDRESS = {"name": "Gift Shop", "street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}
LINE = {"line_no": 1, "sku": "MUG", "quantity": 1}
MONEY = {"unit_price_minor": 255, "tax_rate_bp": 2000, "confirmed": 1, "backordered": 0}
SALES_ORDER = {
    "order_id": "ord-1",
    "currency": "GBP",
    "ordered_at": "2026-11-27T08:00:00Z",
    "lines": [LINE | MONEY],
    "total_minor": 306,
    "tax_minor": 51,
}
LABEL = {"label_reference": "par-1", "shipment_reference": "ful-1", "weight_g": 400, "service": "standard"}


@dataclass
class Partner:
    """One partner in a world: a write of its own, and the same write with something else in it."""

    caller: Any
    model: Any
    url: str
    body: dict[str, Any]
    other: dict[str, Any]

    def post(self, body: dict[str, Any], key: str = "key-1") -> tuple[int, str]:
        answer = self.caller.call("POST", self.url, body, key=key)
        return answer.status, str(answer.json.get("type", "")).removeprefix("urn:peakproof:problem:")

    def booked(self) -> int:
        """How many times the write was booked."""
        kinds = ("release_accepted", "order_booked", "label", "adjustment")
        return len(self.caller.ledger(*kinds))


def erp(caller: Any, profile: str, over: dict[str, object]) -> Partner:
    master = MasterData([Customer("C1", "Shop", "retail", "GB", "GB", "standard", 1_000_000)],
                        [Item("MUG", "Mug", "standard")], [], [])  # fmt: skip
    made = Erp(caller.world, "erp", load(ErpProfile, profile, over), master)
    caller.token = made.tokens.issue("integration", "secret-erp").access_token
    body = SALES_ORDER | ORDER
    return attached(caller, made, lambda: erp_app(made), "sales-orders", body, body | {"order_reference": "PO-2"})


def wms(caller: Any, profile: str, over: dict[str, object]) -> Partner:
    made = Wms(caller.world, "wms", load(WmsProfile, profile, over), {"MUG": 100}, {"MUG": 400})
    body = {"release_id": "ful-1", **ORDER, "service": "standard", "ship_to": ADDRESS, "lines": [LINE]}
    return attached(caller, made, lambda: wms_app(made), "releases", body, body | {"release_id": "ful-2"})


def threepl(caller: Any, profile: str, over: dict[str, object]) -> Partner:
    made = ThreePl(caller.world, "threepl", load(ThreePlProfile, profile, over), {"MUG": 100}, {"MUG": 400})
    body = {"adjustment_id": "adj-1", "sku": "MUG", "quantity_delta": -1, "reason": "count"}
    return attached(caller, made, lambda: threepl_app(made), "adjustments", body, body | {"quantity_delta": -2})


def carrier(caller: Any, profile: str, over: dict[str, object]) -> Partner:
    made = Carrier(caller.world, "carrier", load(CarrierProfile, profile, over))
    body = LABEL | ORDER | {"ship_to": ADDRESS, "lines": [LINE]}
    return attached(caller, made, lambda: carrier_app(made), "labels", body, body | {"label_reference": "par-2"})


def attached(
    caller: Any, model: Any, app: Callable[[], Flask], where: str, body: dict[str, Any], other: dict[str, Any]
) -> Partner:
    if model.name != "erp":
        caller.token = f"token-{model.name}"
    caller.world.network.attach(model.name, app)
    return Partner(caller, model, f"http://{model.name}/{where}", body, other)


MAKERS: dict[str, tuple[Callable[..., Partner], str, str | None]] = {
    "erp": (erp, "midsize", None),
    "wms": (wms, "regional", "careless"),
    "threepl": (threepl, "regional", "careless"),
    "carrier": (carrier, "parcel", "double-label"),
}


@pytest.fixture
def make(make_caller: Callable[..., Any]) -> Callable[..., Partner]:
    def made(role: str, *faults: Fault, profile: str = "", **over: object) -> Partner:
        maker, usual, _ = MAKERS[role]
        return maker(make_caller(*faults), profile or usual, over)

    return made


@pytest.mark.parametrize("role", MAKERS)
def test_a_key_with_another_payload_is_refused_and_books_nothing(make: Callable[..., Partner], role: str) -> None:
    partner = make(role)
    told = partner.caller.run(lambda: [partner.post(partner.body), partner.post(partner.other)])
    assert [status for status, _ in told] == [201, 422]
    assert told[1][1] == "idempotency-key-reused"
    assert partner.booked() == 1


@pytest.mark.parametrize("role", MAKERS)
def test_the_same_request_may_be_repeated_however_its_json_is_laid_out(make: Callable[..., Partner], role: str) -> None:
    partner = make(role)
    turned = dict(reversed(partner.body.items()))
    assert partner.caller.run(lambda: [partner.post(partner.body), partner.post(turned)]) == [(201, ""), (200, "")]
    assert partner.booked() == 1


@pytest.mark.parametrize("role", [role for role, (_, _, careless) in MAKERS.items() if careless])
def test_a_vendor_that_does_not_look_at_keys_books_both(make: Callable[..., Partner], role: str) -> None:
    partner = make(role, profile=MAKERS[role][2])
    told = partner.caller.run(lambda: [partner.post(partner.body), partner.post(partner.other)])
    # The same adjustment with another quantity is still the same adjustment.
    assert told == ([(201, ""), (200, "")] if role == "threepl" else [(201, ""), (201, "")])


@pytest.mark.parametrize("role", MAKERS)
def test_a_vendor_may_turn_away_a_second_attempt_while_the_first_is_served(
    make: Callable[..., Partner], role: str
) -> None:
    partner = make(role, keys={"in_flight": "refuse"})

    def race() -> list[tuple[int, str]]:
        first: list[tuple[int, str]] = []
        partner.caller.later(0, lambda: partner.post(partner.body), first)
        second = partner.post(partner.body)
        partner.caller.world.sleep(30 * SECOND)
        return [*first, second]

    assert sorted(partner.caller.run(race)) == [(201, ""), (409, "request-in-flight")]
    assert partner.booked() == 1


def test_a_refused_attempt_leaves_its_key_free(make: Callable[..., Partner]) -> None:
    partner = make("wms")
    unknown = partner.body | {"lines": [LINE | {"sku": "CUP"}]}
    told = partner.caller.run(lambda: [partner.post(unknown), partner.post(partner.body)])
    assert told == [(422, "unknown-sku"), (201, "")]


def test_keys_count_per_operation(make: Callable[..., Partner]) -> None:
    partner = make("threepl")
    receipt = {"receipt_id": "rcp-1", "sku": "MUG", "quantity": 5, "reason": "purchase"}

    def both() -> list[int]:
        partner.post(partner.body)
        return [partner.caller.call("POST", "http://threepl/receipts", receipt, key="key-1").status]

    assert partner.caller.run(both) == [201]


def test_keys_are_forgotten_where_references_are(make: Callable[..., Partner]) -> None:
    fault = Fault("short-memory", "dedupe_expired", host="wms", delay_us=60 * SECOND)
    partner = make("wms", fault)

    def story() -> list[tuple[int, str]]:
        told = [partner.post(partner.body), partner.post(partner.other)]
        partner.caller.world.sleep(120 * SECOND)
        return [*told, partner.post(partner.other)]

    assert partner.caller.run(story) == [(201, ""), (422, "idempotency-key-reused"), (201, "")]


def test_what_was_booked_stands_under_its_key_after_a_crash(make: Callable[..., Partner]) -> None:
    partner = make("wms", keys={"in_flight": "refuse"})
    partner.caller.run(lambda: partner.post(partner.body))
    partner.model.start()
    again = partner.caller.run(lambda: [partner.post(partner.other), partner.post(partner.body)])
    assert again == [(422, "idempotency-key-reused"), (200, "")]
