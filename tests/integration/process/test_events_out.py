"""Business events reach whoever subscribed: in a whole world, in virtual time, with a subscriber on its network."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from contracts.errors import BadSignature
from contracts.validation import Events
from contracts.wire import iso, verify_webhook
from peakproof.live.sandbox import Request, Sandbox

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
KEPT = {"integration.keep_events": "7d", "integration.availability_told_every": "30s"}
ORDER_TYPES = ["order.accepted", "order.backordered", "order.cancelled", "order.shipped", "order.invoiced"]
SHIP_TO = {"name": "Gift Shop Ltd", "street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}


@dataclass
class Subscriber:
    """Notes what it is sent; `answer(event)` gives the status."""

    now_us: Callable[[], int]
    secret: str = ""
    answer: Callable[[dict[str, Any]], int] = lambda _event: 204
    taken: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    unsigned: list[dict[str, Any]] = field(default_factory=list)
    traces: dict[str, str] = field(default_factory=dict)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        event = orjson.loads(raw)
        try:
            verify_webhook(self.secret, environ["HTTP_WEBHOOK_ID"], environ["HTTP_WEBHOOK_TIMESTAMP"], raw,
                           environ["HTTP_WEBHOOK_SIGNATURE"], now_s=self.now_us() // SECOND_US)  # fmt: skip
        except BadSignature:  # what is told again at once overtakes the answer that tells the secret
            self.unsigned.append(event)
            start_response("401 It", [])
            return [b""]
        assert environ["CONTENT_TYPE"] == "application/cloudevents+json"
        assert environ["HTTP_WEBHOOK_ID"] == event["id"]
        Events.load().check(event["type"], event["data"])
        status = self.answer(event)
        (self.taken if status < 300 else self.refused).append(event)
        self.traces[event["id"]] = environ.get("HTTP_TRACEPARENT", "")
        start_response(f"{status} It", [("Retry-After", "30")] if status == 503 else [])
        return [b""]


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox.open(overrides=KEPT) as box:
        yield box


@pytest.fixture
def subscriber(box: Sandbox) -> Subscriber:
    listener = Subscriber(box.now_us)
    box.attach("subscriber", listener)
    return listener


def call(box: Sandbox, method: str, path: str, body: object = None, key: str = "", channel: str = "portal") -> Any:
    headers = box.headers("integration", channel)
    if body is not None:
        headers |= {"Content-Type": "application/json", "Idempotency-Key": key or f"key-{path.replace('/', '-')}"}
    content = b"" if body is None else orjson.dumps(body)
    answer = box.call("integration", Request(method, path, headers, content))
    return answer.status, orjson.loads(answer.body or b"null")


def subscribe(box: Sandbox, subscriber: Subscriber, *types: str, key: str = "s1", **more: Any) -> dict[str, Any]:
    """Subscribe; the subscriber learns its secret where one is told."""
    body = {"url": "http://subscriber/events", "types": list(types or ORDER_TYPES), **more}
    status, made = call(box, "POST", "/subscriptions", body, key)
    assert status == 201, made
    subscriber.secret = made.pop("secret", subscriber.secret)
    return dict(made)


def order(box: Sandbox, reference: str, quantity: int = 2, sku: str = "85123A") -> str:
    lines = [{"line_no": 1, "sku": sku, "quantity": quantity, "unit": "EA"}]
    body = {"customer_id": "C-1001", "order_reference": reference, "currency": "GBP", "fill_policy": "fill_available",
            "service": "standard", "ship_to": SHIP_TO, "lines": lines}  # fmt: skip
    status, made = call(box, "POST", "/orders", body, reference)
    assert status == 201, made
    return str(made["order_id"])


def secrets_in_database(box: Sandbox, secret: str) -> list[str]:
    """Tables in which a secret lies."""
    database = sqlite3.connect(box.stage.settings.database_url.removeprefix("sqlite:///"))
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = [name for name in tables if secret in str(database.execute(f"SELECT * FROM {name}").fetchall())]
    database.close()
    return found


def told(events: list[dict[str, Any]], order_id: str) -> list[str]:
    return [event["type"] for event in events if event["subject"] == order_id]


def test_an_order_is_told_from_promise_to_invoice(box: Sandbox, subscriber: Subscriber) -> None:
    subscribe(box, subscriber)
    order_id = order(box, "PO-1")
    box.advance(8 * HOUR_US)
    of_order = [event for event in subscriber.taken if event["subject"] == order_id]
    assert [event["type"] for event in of_order] == ["order.accepted", "order.shipped", "order.invoiced"]
    versions = [event["data"]["version"] for event in of_order]
    assert versions == sorted(set(versions))
    accepted, shipped, invoiced = (event["data"] for event in of_order)
    assert (accepted["status"], shipped["status"], invoiced["status"]) == ("accepted", "shipped", "invoiced")
    assert [parcel["tracking_number"] for parcel in shipped["parcels"]] != []
    assert shipped["lines"] == [{"line_no": 1, "sku": "85123A", "quantity": 2}]
    assert (invoiced["net_minor"], invoiced["total_minor"]) == (510, accepted["total_minor"])
    assert invoiced["shipment_id"] == shipped["shipment_id"]
    assert len({subscriber.traces[event["id"]][3:35] for event in of_order}) == 1
    _, seen = call(box, "GET", f"/orders/{order_id}")
    assert (seen["status"], seen["version"]) == ("invoiced", versions[-1])
    assert seen["invoices"] == [invoiced["invoice_id"]]


def test_what_waits_and_what_is_cancelled_is_told_with_its_reason(box: Sandbox, subscriber: Subscriber) -> None:
    subscribe(box, subscriber)
    order_id = order(box, "PO-2", quantity=20, sku="20725")
    status, _ = call(box, "POST", f"/orders/{order_id}/cancel", {"reason": "changed my mind"})
    assert status in {200, 202}
    box.advance(HOUR_US)
    cancelled = [event["data"] for event in subscriber.taken if event["type"] == "order.cancelled"]
    assert cancelled[0]["reason"] == "changed my mind"
    assert cancelled[-1]["lines"] == [{"line_no": 1, "sku": "20725", "cancelled": 20}]
    assert told(subscriber.taken, order_id)[:2] == ["order.accepted", "order.backordered"]
    accepted = next(event["data"] for event in subscriber.taken if event["type"] == "order.accepted")
    assert accepted["lines"][0]["confirmed"] + accepted["lines"][0]["backordered"] == 20


def test_an_event_that_is_refused_comes_again_and_later_ones_of_its_order_wait(
    box: Sandbox, subscriber: Subscriber
) -> None:
    subscribe(box, subscriber)
    failing_until_us = box.now_us() + HOUR_US
    subscriber.answer = lambda event: (
        503 if event["type"] == "order.accepted" and box.now_us() < failing_until_us else 200
    )
    order_id = order(box, "PO-3")
    call(box, "POST", f"/orders/{order_id}/cancel", {"reason": "too late"})
    box.advance(HOUR_US // 2)
    assert told(subscriber.taken, order_id) == []
    assert len(subscriber.refused) < 40  # asked for patience, and left alone
    box.advance(8 * HOUR_US)
    assert told(subscriber.taken, order_id)[0] == "order.accepted"
    ids = [event["id"] for event in subscriber.taken]
    assert len(ids) == len(set(ids))


def test_who_answers_410_is_told_nothing_more(box: Sandbox, subscriber: Subscriber) -> None:
    subscribe(box, subscriber)
    subscriber.answer = lambda _event: 410
    order(box, "PO-4")
    box.advance(HOUR_US)
    order(box, "PO-5")
    box.advance(HOUR_US)
    assert len(subscriber.refused) == 1
    _, listed = call(box, "GET", "/subscriptions")
    assert [one["status"] for one in listed["items"]] == ["gone"]
    subscriber.answer = lambda _event: 200
    assert subscribe(box, subscriber, key="again")["status"] == "active"
    last = order(box, "PO-6")
    box.advance(HOUR_US // 60)
    assert told(subscriber.taken, last) == ["order.accepted"]


def test_who_fails_for_too_long_is_given_up() -> None:
    with Sandbox.open(overrides={**KEPT, "integration.subscriber_patience": "1h"}) as box:
        subscriber = Subscriber(box.now_us, answer=lambda _event: 500)
        box.attach("subscriber", subscriber)
        subscribe(box, subscriber, "order.accepted")
        order(box, "PO-1")
        box.advance(2 * HOUR_US)
        _, listed = call(box, "GET", "/subscriptions")
        assert [one["status"] for one in listed["items"]] == ["given_up"]
        assert 5 < len(subscriber.refused) < 30


def test_a_subscription_may_begin_in_the_past(box: Sandbox, subscriber: Subscriber) -> None:
    early = order(box, "PO-1")
    box.advance(HOUR_US)
    since = iso(box.now_us())
    first = order(box, "PO-2")
    box.advance(8 * HOUR_US)
    assert subscriber.taken == []
    made = subscribe(box, subscriber, "order.accepted", "order.shipped", since=since)
    box.advance(60 * SECOND_US)
    assert told(subscriber.taken, first) == ["order.accepted", "order.shipped"]
    assert told(subscriber.taken, early) == []
    again = subscribe(box, subscriber, "order.accepted", key="s2", since="2020-01-01T00:00:00Z")
    assert again["subscription_id"] == made["subscription_id"]
    box.advance(60 * SECOND_US)
    assert told(subscriber.taken, early) == ["order.accepted"]
    ids = [event["id"] for event in subscriber.taken if event["subject"] == first]
    assert ids == [ids[0], ids[1], ids[0]]  # the same event has the same id however often it is told


def test_availability_is_told_as_it_is_published(box: Sandbox, subscriber: Subscriber) -> None:
    subscribe(box, subscriber, "availability.changed")
    order(box, "PO-1", quantity=7)
    box.advance(40 * SECOND_US)
    latest = [event["data"] for event in subscriber.taken if event["subject"] == "85123A"][-1]
    _, published = call(box, "GET", "/availability?sku=85123A")
    assert {"sku": "85123A", "available": latest["available"], "nodes": latest["nodes"]} == published["items"][0]
    before = len(subscriber.taken)
    box.advance(90 * SECOND_US)
    changed = subscriber.taken[before:]
    assert [event["subject"] for event in changed if event["subject"] != "85123A"] == []


def test_a_secret_is_shown_when_it_is_made_and_never_again(box: Sandbox, subscriber: Subscriber) -> None:
    asked = {"url": "http://subscriber/events", "types": ["order.accepted"]}
    _, made = call(box, "POST", "/subscriptions", asked, "s1")
    _, repeated = call(box, "POST", "/subscriptions", asked, "s1")
    assert (repeated, made["secret"][:6], len(made["secret"])) == (made, "whsec_", 50)
    _, again = call(box, "POST", "/subscriptions", asked, "s2")
    _, listed = call(box, "GET", "/subscriptions")
    assert again == listed["items"][0] == {name: value for name, value in made.items() if name != "secret"}
    assert secrets_in_database(box, made["secret"]) == []


def test_a_new_secret_signs_at_once_and_the_former_one_for_a_day_more(box: Sandbox, subscriber: Subscriber) -> None:
    asked = {"url": "http://subscriber/events", "types": ["order.accepted"]}
    first, second = (
        call(box, "POST", "/subscriptions", {**asked, "new_secret": True}, key)[1]["secret"] for key in ("s1", "s2")
    )
    assert first != second
    for number, secret in enumerate((first, second)):
        subscriber.secret = secret
        order(box, f"PO-{number}")
        box.advance(60 * SECOND_US)
    assert len(subscriber.taken) == 2
    box.advance(24 * HOUR_US)
    order(box, "PO-3")
    box.advance(60 * SECOND_US)
    assert (len(subscriber.taken), subscriber.unsigned) == (3, [])
    subscriber.secret = first
    order(box, "PO-4")
    box.advance(60 * SECOND_US)
    assert len(subscriber.taken) == 3
    assert {event["data"]["order_reference"] for event in subscriber.unsigned} == {"PO-4"}


def test_a_channel_sees_and_ends_its_own_subscriptions_only(box: Sandbox, subscriber: Subscriber) -> None:
    made = subscribe(box, subscriber)
    assert "secret" not in made
    path = f"/subscriptions/{made['subscription_id']}"
    assert call(box, "GET", "/subscriptions", channel="edi") == (200, {"items": []})
    assert call(box, "DELETE", path, channel="edi")[0] == 404
    assert call(box, "GET", "/subscriptions") == (200, {"items": [made]})
    assert call(box, "DELETE", path) == (204, None)
    assert call(box, "DELETE", path)[0] == 404
    order(box, "PO-1")
    box.advance(60 * SECOND_US)
    assert (subscriber.taken, subscriber.refused) == ([], [])


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"secret": "of-my-own-choosing"}, ""),
        ({"new_secret": "yes"}, "/new_secret"),
        ({"url": "http://user:password@subscriber/"}, "/url"),
        ({"url": "http://[::1/"}, "/url"),
        ({"url": "ftp://subscriber/"}, "/url"),
        ({"types": ["order.lost"]}, "/types/0"),
        ({"since": "yesterday"}, "/since"),
    ],
)
def test_what_cannot_be_used_is_refused(box: Sandbox, change: dict[str, Any], pointer: str) -> None:
    body = {"url": "http://subscriber/events", "types": ["order.shipped"], **change}
    status, problem = call(box, "POST", "/subscriptions", body)
    assert (status, problem["pointer"]) == (422, pointer)
    assert call(box, "GET", "/subscriptions") == (200, {"items": []})


def test_where_no_events_are_kept_nobody_can_subscribe() -> None:
    with Sandbox.open() as box:
        body = {"url": "http://subscriber/events", "types": ["order.shipped"]}
        assert call(box, "POST", "/subscriptions", body)[0] == 409
        _, queues = call(box, "GET", "/operations/queues", channel="monitor")
        assert "events" not in [lane["lane"] for lane in queues["lanes"]]


def test_the_same_seed_tells_the_same(subscriber: Subscriber, box: Sandbox) -> None:
    def play(house: Sandbox, listener: Subscriber) -> None:
        subscribe(house, listener, *ORDER_TYPES, "availability.changed")
        order(house, "PO-1")
        order(house, "PO-2", quantity=20, sku="20725")
        house.advance(HOUR_US)

    play(box, subscriber)
    with Sandbox.open(overrides=KEPT) as again:
        other = Subscriber(again.now_us)
        again.attach("subscriber", other)
        play(again, other)
    assert len(other.taken) >= 6
    assert other.taken == subscriber.taken
