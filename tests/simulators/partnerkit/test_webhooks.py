"""Webhooks come at least once, signed anew each time, by a schedule that ends, and survive a crash of their sender."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from flask import Flask, Response, request

from contracts.errors import ContractBreach
from contracts.wire import verify_webhook
from simulators.kernel import Fault
from simulators.partnerkit import Ledger, Webhooks, WebhookSettings

SECOND = 1_000_000
SETTINGS = WebhookSettings(delay=SECOND, spread=0, timeout=10 * SECOND, retries=(5 * SECOND, 300 * SECOND))


class Receiver:
    """An endpoint that answers with the statuses it is given, and keeps what it was sent and when (seconds)."""

    def __init__(self, world: Any, *statuses: int) -> None:
        self.world = world
        self.statuses = list(statuses)
        self.seen: list[tuple[int, dict[str, str], bytes]] = []
        world.network.attach("integration", self.app)

    def app(self) -> Flask:
        app = Flask("receiver")
        app.add_url_rule("/hooks", "hooks", self.take, methods=["POST"])
        return app

    def take(self) -> Response:
        second = (self.world.now_us() - self.world.starts_at_us) // SECOND
        self.seen.append((second, {name.lower(): value for name, value in request.headers}, request.get_data()))
        return Response(status=self.statuses.pop(0) if self.statuses else 204)

    @property
    def seconds(self) -> list[int]:
        return [second for second, _, _ in self.seen]


@pytest.fixture
def make_hooks(make_caller: Callable[..., Any]) -> Callable[..., tuple[Any, Webhooks]]:
    def make(*faults: Fault, settings: WebhookSettings = SETTINGS) -> tuple[Any, Webhooks]:
        caller = make_caller(*faults)
        hooks = Webhooks(caller.world, "carrier", settings, Ledger(caller.world, "carrier"), check=lambda *_: None)

        def start() -> Flask:
            hooks.resume()
            return Flask("carrier")

        caller.world.network.attach("carrier", start)
        hooks.subscribe("http://integration/hooks", "s3cret", ["tracking.updated"])
        return caller, hooks

    return make


def test_an_event_is_a_signed_cloudevent_and_a_retry_is_signed_anew(make_hooks: Callable[..., Any]) -> None:
    caller, hooks = make_hooks()
    receiver = Receiver(caller.world, 500)
    event_id = caller.run(lambda: hooks.emit("tracking.updated", "PK1", {"status": "delivered"}, "a" * 32))
    assert receiver.seconds == [1, 6]
    (_, first, body), (_, second, again) = receiver.seen
    assert body == again, "however late, the original payload"
    assert orjson.loads(body) == {
        "specversion": "1.0",
        "id": event_id,
        "source": "carrier",
        "type": "tracking.updated",
        "time": "2026-11-27T08:00:00.000000Z",
        "subject": "PK1",
        "datacontenttype": "application/json",
        "data": {"status": "delivered"},
    }
    assert first["webhook-id"] == second["webhook-id"] == event_id
    assert first["traceparent"][3:35] == "a" * 32
    assert first["webhook-signature"] != second["webhook-signature"]
    for headers in (first, second):
        stamp = headers["webhook-timestamp"]
        verify_webhook("s3cret", event_id, stamp, body, headers["webhook-signature"], now_s=int(stamp))
    assert (hooks.pending(), hooks.delivered, hooks.retried, hooks.gave_up) == (0, 1, 1, 0)


def test_only_those_who_asked_for_a_type_get_it(make_hooks: Callable[..., Any]) -> None:
    caller, hooks = make_hooks()
    receiver = Receiver(caller.world)
    caller.run(lambda: hooks.emit("release.picked", "REL", {}, ""))
    assert receiver.seen == []
    assert hooks.quiet()


def test_an_exhausted_schedule_is_booked_and_then_over(make_hooks: Callable[..., Any]) -> None:
    caller, hooks = make_hooks()
    receiver = Receiver(caller.world, 503, 503, 503, 503)
    caller.run(lambda: hooks.emit("tracking.updated", "PK1", {}, "b" * 32))
    assert receiver.seconds == [1, 6, 306]
    assert hooks.quiet()
    (row,) = caller.ledger("webhook_gave_up")
    assert row["business_key"] == "PK1"
    assert row["reason"] == "tracking.updated after 3 attempts, last status 503"


def test_a_receiver_that_is_down_or_silent_is_tried_again(make_hooks: Callable[..., Any]) -> None:
    start = 1_795_766_400_000_000
    down = Fault("down", "outage", host="integration", from_us=start, to_us=start + 4 * SECOND)
    lost = Fault("lost", "reply_lost", source="carrier", target="integration", direction="reply", nth=(1,))
    caller, hooks = make_hooks(down, lost)
    receiver = Receiver(caller.world)
    caller.run(lambda: hooks.emit("tracking.updated", "PK1", {}, ""))
    assert receiver.seconds[0] == 6, "refused at 1 s"
    assert receiver.seconds[1:] == [316], "its answer was lost: given up after 10 s, sent again 300 s later"
    assert hooks.delivered == 1


def test_gone_unsubscribes(make_hooks: Callable[..., Any]) -> None:
    caller, hooks = make_hooks()
    receiver = Receiver(caller.world, 410)
    caller.run(lambda: [hooks.emit("tracking.updated", "PK1", {}, ""), caller.world.sleep(60 * SECOND)])
    caller.run(lambda: hooks.emit("tracking.updated", "PK2", {}, ""))
    assert receiver.seconds == [1]
    assert hooks.quiet()


def test_a_vendor_may_drop_a_subscription_that_keeps_failing(make_hooks: Callable[..., Any]) -> None:
    caller, hooks = make_hooks(settings=WebhookSettings(delay=0, spread=0, retries=(), disable_after=2))
    receiver = Receiver(caller.world, 500, 500)
    for number in range(3):
        caller.run(lambda number=number: hooks.emit("tracking.updated", f"PK{number}", {}, ""))
    assert len(receiver.seen) == 2
    assert hooks.gave_up == 2


def test_what_was_undelivered_at_a_crash_is_delivered_after_it(make_hooks: Callable[..., Any]) -> None:
    start = 1_795_766_400_000_000
    crash = Fault("crash", "crash", host="carrier", from_us=start + 3 * SECOND, to_us=start + 60 * SECOND)
    caller, hooks = make_hooks(crash)
    receiver = Receiver(caller.world, 500)
    caller.run(lambda: hooks.emit("tracking.updated", "PK1", {}, ""))
    assert receiver.seconds == [1, 60], "the retry of second 6 died with the host and is made when it is back"
    assert hooks.quiet()


def test_an_event_that_breaks_its_schema_is_never_sent(make_caller: Callable[..., Any]) -> None:
    world = make_caller().world
    hooks = Webhooks(world, "carrier", WebhookSettings(), Ledger(world, "carrier"))
    with pytest.raises(ContractBreach, match=r'event tracking\.updated: the whole: "customer_id" is a required'):
        hooks.emit("tracking.updated", "PK1", {"status": "delivered"}, "")
    assert hooks.emitted == 0
