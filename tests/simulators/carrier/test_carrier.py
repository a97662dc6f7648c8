"""The carrier: labels are paid once or twice by policy, and parcels are scanned over days as the field reports it."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from flask import Flask, Response, request

from contracts.edge import unserved
from simulators.carrier.api import create_app
from simulators.carrier.model import (
    FINAL,
    AlreadyCollected,
    Books,
    BuyLabel,
    ContentLine,
    DuplicatePolicy,
    Label,
    Tariff,
    TrackingStatus,
)
from simulators.carrier.process import Carrier, CarrierProfile, journey
from simulators.kernel import Chance, Fault
from simulators.partnerkit import load

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
START = 1_795_766_400_000_000  # 08:00
ADDRESS = {"name": "Gift Shop", "street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}


def purchase(reference: str = "par-1", service: str = "standard") -> dict[str, Any]:
    return {
        "label_reference": reference,
        "shipment_reference": "ful-1",
        "customer_id": "C1",
        "order_reference": "PO-1",
        "service": service,
        "ship_to": ADDRESS,
        "weight_g": 1_200,
        "lines": [{"line_no": 1, "sku": "A", "quantity": 6}, {"line_no": 2, "sku": "B", "quantity": 1}],
    }


@pytest.fixture
def make_carrier(make_caller: Callable[..., Any]) -> Callable[..., tuple[Any, Carrier]]:
    def make(*faults: Fault, profile: str = "parcel", **overrides: object) -> tuple[Any, Carrier]:
        caller = make_caller(*faults)
        carrier = Carrier(caller.world, "carrier", load(CarrierProfile, profile, overrides))
        caller.world.network.attach("carrier", lambda: create_app(carrier))
        caller.token = "token-carrier"
        return caller, carrier

    return make


def test_every_operation_of_the_contract_is_served(make_carrier: Callable[..., Any]) -> None:
    _, carrier = make_carrier()
    assert unserved(create_app(carrier), "carrier") == []


def test_a_label_is_paid_once_and_its_content_is_in_the_ledger(make_carrier: Callable[..., Any]) -> None:
    caller, carrier = make_carrier()
    first, again = caller.run(
        lambda: [caller.call("POST", "http://carrier/labels", purchase(), key=key) for key in ("k1", "k2")]
    )
    assert [first.status, again.status, first.json == again.json] == [201, 200, True]
    # 1.2 kg are two kilograms begun: 395 + 2 x 35.
    assert (first.json["amount_minor"], first.json["currency"], first.json["status"]) == (465, "GBP", "active")
    rows = caller.ledger()
    assert [(row["kind"], row.get("sku"), row["quantity"]) for row in rows] == [
        ("label", None, 0),
        ("label_line", "A", 6),
        ("label_line", "B", 1),
    ]
    assert {row["parcel_id"] for row in rows} == {"par-1"}
    assert {row["tracking_number"] for row in rows} == {first.json["tracking_number"]}
    assert carrier.quiet()


def test_the_double_label_carrier_sells_a_second_one_and_tells_when_asked(make_carrier: Callable[..., Any]) -> None:
    caller, _ = make_carrier(profile="double-label")

    def story() -> Any:
        for _ in range(2):
            caller.call("POST", "http://carrier/labels", purchase())
        return caller.call("GET", "http://carrier/labels?label_reference=par-1")

    items = caller.run(story).json["items"]
    assert len({item["tracking_number"] for item in items}) == 2
    assert len(caller.ledger("label")) == 2


def test_a_lost_answer_leaves_a_paid_label(make_carrier: Callable[..., Any]) -> None:
    lost = Fault("lost", "reply_lost", source="integration", target="carrier", direction="reply", nth=(1,))
    caller, _ = make_carrier(lost)

    def story() -> Any:
        with pytest.raises(TimeoutError):
            caller.call("POST", "http://carrier/labels", purchase(), timeout_us=10 * SECOND)
        return caller.call("GET", "http://carrier/labels?label_reference=par-1")

    assert len(caller.run(story).json["items"]) == 1


def test_a_void_label_is_void_once_and_makes_room_for_a_new_one(make_carrier: Callable[..., Any]) -> None:
    caller, carrier = make_carrier()
    who = {"customer_id": "C1", "order_reference": "PO-1"}

    def story() -> list[Any]:
        label_id = caller.call("POST", "http://carrier/labels", purchase()).json["label_id"]
        url = f"http://carrier/labels/{label_id}/void"
        answers = [caller.call("POST", url, who), caller.call("POST", url, who)]
        answers.append(caller.call("POST", url, {**who, "order_reference": "PO-2"}))
        answers.append(caller.call("POST", "http://carrier/labels/LBL-none/void", who))
        bought = caller.call("POST", "http://carrier/labels", purchase(), key="another")
        carrier.collect([bought.json["tracking_number"]])
        answers.append(caller.call("POST", f"http://carrier/labels/{bought.json['label_id']}/void", who))
        return [*answers, bought]

    *answers, bought = caller.run(story)
    assert [answer.status for answer in answers] == [200, 200, 409, 404, 409]
    assert answers[0].json["status"] == "voided"
    assert bought.status == 201
    (row,) = caller.ledger("label_voided")
    assert row["amount_minor"] == -465


@pytest.mark.parametrize(
    ("policy", "told"),
    [("return_existing", (200, "voided")), ("reject", (409, 409)), ("create_second", (201, "active"))],
)
def test_a_key_stands_for_its_label_after_it_was_voided(
    make_carrier: Callable[..., Any], policy: str, told: tuple[int, object]
) -> None:
    caller, _ = make_carrier(duplicate_policy=policy)

    def story() -> tuple[Any, Any]:
        first = caller.call("POST", "http://carrier/labels", purchase(), key="k1")
        who = {"customer_id": "C1", "order_reference": "PO-1"}
        caller.call("POST", f"http://carrier/labels/{first.json['label_id']}/void", who)
        return first, caller.call("POST", "http://carrier/labels", purchase(), key="k1")

    first, again = caller.run(story)
    assert (again.status, again.json["status"]) == told
    bought = [row["tracking_number"] for row in caller.ledger("label")]
    assert bought[0] == first.json["tracking_number"]
    assert len(bought) == (2 if policy == "create_second" else 1)


def test_rates_are_quoted_per_service(make_carrier: Callable[..., Any]) -> None:
    caller, _ = make_carrier()
    quoted = caller.run(lambda: caller.call("POST", "http://carrier/rates", {"ship_to": ADDRESS, "weight_g": 2_000}))
    assert [(rate["service"], rate["amount_minor"], rate["transit_days"]) for rate in quoted.json["rates"]] == [
        ("standard", 465, 2),
        ("express", 915, 1),
    ]


def test_label_times_are_a_second_at_the_median_and_bounded(make_carrier: Callable[..., Any]) -> None:
    caller, _ = make_carrier()
    taken: list[int] = []

    def buy(number: int) -> None:
        began_us = caller.world.now_us()
        caller.call("POST", "http://carrier/labels", purchase(f"par-{number}"))
        taken.append(caller.world.now_us() - began_us)

    for number in range(400):
        caller.later(number * SECOND, lambda number=number: buy(number), [])
    caller.run(lambda: True)
    taken.sort()
    assert 900_000 < taken[200] < 1_200_000
    assert 3 * SECOND < taken[380] < 5_500_000
    assert taken[-1] <= 8_100_000


def test_collected_parcels_are_scanned_and_told_to_subscribers(make_carrier: Callable[..., Any]) -> None:
    caller, carrier = make_carrier()
    told: list[dict[str, Any]] = []

    def receiver() -> Flask:
        app = Flask("integration")

        def take() -> Response:
            told.append(orjson.loads(request.get_data()))
            return Response(status=204)

        app.add_url_rule("/webhooks/carrier", "take", take, methods=["POST"])
        return app

    caller.world.network.attach("integration", receiver)

    def story() -> str:
        wanted = {"url": "http://integration/webhooks/carrier", "secret": "s3cret-123", "types": ["tracking.updated"]}
        assert caller.call("POST", "http://carrier/subscriptions", wanted).status == 201
        bought = caller.call("POST", "http://carrier/labels", purchase())
        number: str = bought.json["tracking_number"]
        assert caller.call("GET", f"http://carrier/trackings/{number}").json["status"] == "pending"
        carrier.collect([number])
        return number

    number = caller.run(story, for_us=6 * DAY)
    read = caller.run(lambda: caller.call("GET", f"http://carrier/trackings/{number}")).json
    assert [scan["status"] for scan in read["scans"]] == [
        "picked_up",
        "in_transit",
        "out_for_delivery",
        "delivered",
    ]
    data = [event["data"] for event in told]
    assert [(one["sequence"], one["status"]) for one in data] == [
        (scan["sequence"], scan["status"]) for scan in read["scans"]
    ]
    assert data[0]["label_reference"] == "par-1"
    assert data[0]["order_reference"] == "PO-1"
    assert [row["status"] for row in caller.ledger("scan")] == [scan["status"] for scan in read["scans"]]
    assert carrier.quiet()


def test_what_the_carrier_cannot_take_over_is_booked_as_refused(make_carrier: Callable[..., Any]) -> None:
    caller, carrier = make_carrier()

    def story() -> str:
        number: str = caller.call("POST", "http://carrier/labels", purchase()).json["tracking_number"]
        carrier.collect([number, number, "PK-never"])
        return number

    number = caller.run(story)
    refused = caller.ledger("collection_refused")
    assert [row["tracking_number"] for row in refused] == [number, "PK-never"]
    assert "was collected before" in refused[0]["reason"]
    assert len(caller.ledger("scan")) == 1, "picked up within the hour, once"


def test_a_slowdown_multiplies_the_time_of_labels(make_carrier: Callable[..., Any]) -> None:
    taken: list[int] = []
    for faults in ((), (Fault("slow", "slowdown", host="carrier", strength=3.0),)):
        caller, _ = make_carrier(*faults)
        answer = caller.run(lambda caller=caller: caller.call("POST", "http://carrier/labels", purchase()))
        taken.append(answer.at_us - START)
    assert 2.5 < taken[1] / taken[0] < 3.0


def a_label(number: int, transit_days: int = 2) -> Label:
    bought = BuyLabel("key", "par", "ful", "C1", "PO-1", "standard", 500, (ContentLine(1, "A", 1),), "")
    return Label(f"LBL-{number}x", f"PK{number}", bought, 395, "GBP", transit_days)


def test_journeys_keep_to_the_hours_and_shares_of_the_profile() -> None:
    travel = load(CarrierProfile, "parcel").travel
    chance = Chance(7)
    ends: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for number in range(20_000):
        steps = journey(chance, travel, a_label(number), START)
        times = [step.at_us for step in steps]
        assert times == sorted(times)
        assert [step.status for step in steps[:2]] == [TrackingStatus.PICKED_UP, TrackingStatus.IN_TRANSIT]
        assert 2 * HOUR <= times[1] - times[0] <= 6 * HOUR
        for step in steps:
            seen[step.status] += 1
            if step.status is TrackingStatus.OUT_FOR_DELIVERY:
                assert 6 * HOUR <= step.at_us % DAY <= 9 * HOUR
        last = steps[-1]
        ends[last.reason or last.status.value] += 1
        if last.status is TrackingStatus.DELIVERED:
            assert 3 * HOUR <= last.at_us - steps[-2].at_us <= 9 * HOUR
        assert last.status in FINAL or last.reason == "lost"
        assert last.at_us - START < 10 * DAY
    assert 20 <= ends["lost"] <= 62
    assert 105 <= ends["bad_address"] <= 175
    assert 700 <= seen["delivery_delayed"] <= 900
    assert 150 <= seen["on_hold"] <= 250


def test_the_same_parcel_travels_the_same_way_whatever_others_do() -> None:
    travel = load(CarrierProfile, "parcel").travel
    assert journey(Chance(7), travel, a_label(5), START) == journey(Chance(7), travel, a_label(5), START)
    assert journey(Chance(7), travel, a_label(5), START) != journey(Chance(8), travel, a_label(5), START)


def test_the_books_refuse_to_take_over_twice() -> None:
    books = Books({"standard": Tariff(395, 35, 2)}, "GBP", DuplicatePolicy.RETURN_EXISTING)
    label, _ = books.buy(a_label(1).bought, "LBL-1x", "PK1")
    assert books.collect("PK1") is label
    with pytest.raises(AlreadyCollected):
        books.collect("PK1")
    with pytest.raises(AlreadyCollected):
        books.void(label)
