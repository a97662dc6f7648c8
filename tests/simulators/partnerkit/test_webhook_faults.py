"""What a sender of webhooks does wrong on purpose: unsigned, badly signed, never sent, drifted, forgotten."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from contracts.errors import BadSignature
from contracts.wire import verify_webhook
from simulators.kernel import Fault
from tests.simulators.partnerkit.test_webhooks import SECOND, Receiver, make_hooks

START = 1_795_766_400_000_000
__all__ = ["make_hooks"]


def on_hooks(kind: str, **settings: Any) -> Fault:
    return Fault("it", kind, source="carrier", target="integration", **settings)


def strikes(caller: Any) -> list[str]:
    caller.world.evidence.flush()
    rows = map(orjson.loads, (caller.directory / "faults.ndjson").read_bytes().splitlines())
    return [row["detail"] for row in rows if row["event"] == "strike"]


def test_an_unsigned_attempt_has_no_signature_and_the_next_one_has(make_hooks: Callable[..., Any]) -> None:
    caller, hooks = make_hooks(on_hooks("unsigned", nth=(1,)))
    receiver = Receiver(caller.world, 401)
    event_id = caller.run(lambda: hooks.emit("tracking.updated", "PK1", {}, ""))
    assert ["webhook-signature" in headers for _, headers, _ in receiver.seen] == [False, True]
    assert strikes(caller) == [f"tracking.updated {event_id} 1"]


def test_a_badly_signed_attempt_does_not_verify_and_the_next_one_does(make_hooks: Callable[..., Any]) -> None:
    caller, hooks = make_hooks(on_hooks("badly_signed", nth=(1,)))
    receiver = Receiver(caller.world, 401)
    caller.run(lambda: hooks.emit("tracking.updated", "PK1", {}, ""))

    def verify(number: int) -> None:
        _, headers, body = receiver.seen[number]
        stamp = headers["webhook-timestamp"]
        verify_webhook("s3cret", headers["webhook-id"], stamp, body, headers["webhook-signature"], now_s=int(stamp))

    with pytest.raises(BadSignature):
        verify(0)
    verify(1)
    assert len(strikes(caller)) == 1


def test_an_event_that_is_never_sent_leaves_nothing_to_deliver(make_hooks: Callable[..., Any]) -> None:
    caller, hooks = make_hooks(on_hooks("never_sent", event="tracking.updated", nth=(2,)))
    receiver = Receiver(caller.world)
    names = ["PK1", "PK2", "PK3"]
    caller.run(lambda: [hooks.emit("tracking.updated", name, {}, "") for name in names])
    assert sorted(orjson.loads(body)["subject"] for _, _, body in receiver.seen) == ["PK1", "PK3"]
    assert hooks.quiet()
    assert len(strikes(caller)) == 1


@pytest.mark.parametrize(
    ("drift", "field", "data"),
    [
        ("added", "", {"status": "delivered", "sequence": 3, "x_vendor_extension": {"version": 2}}),
        ("missing", "sequence", {"status": "delivered"}),
        ("retyped", "sequence", {"status": "delivered", "sequence": "3"}),
    ],
)
def test_a_drifted_body_is_signed_and_the_same_in_every_attempt(
    make_hooks: Callable[..., Any], drift: str, field: str, data: dict[str, object]
) -> None:
    fault = on_hooks("schema_drift", event="tracking.updated", drift=drift, field=field)
    caller, hooks = make_hooks(fault)
    receiver = Receiver(caller.world, 500)
    caller.run(lambda: hooks.emit("tracking.updated", "PK1", {"status": "delivered", "sequence": 3}, ""))
    (_, headers, body), (_, _, again) = receiver.seen
    assert orjson.loads(body)["data"] == data
    assert body == again
    stamp = headers["webhook-timestamp"]
    verify_webhook("s3cret", headers["webhook-id"], stamp, body, headers["webhook-signature"], now_s=int(stamp))
    assert len(strikes(caller)) == 1


def test_a_dropped_subscription_hears_nothing_until_it_is_asked_for_again(make_hooks: Callable[..., Any]) -> None:
    drop = Fault("it", "subscription_dropped", host="carrier", from_us=START + 2 * SECOND, to_us=START + 3 * SECOND)
    caller, hooks = make_hooks(drop)
    receiver = Receiver(caller.world, 500)
    subjects = ("PK1", "PK2")

    def emit_both() -> None:
        hooks.emit("tracking.updated", subjects[0], {}, "")
        caller.world.sleep(4 * SECOND)
        hooks.emit("tracking.updated", subjects[1], {}, "")

    caller.run(emit_both)
    assert receiver.seconds == [1], "the retry of the first and all of the second are gone"
    assert hooks.quiet()
    hooks.subscribe("http://integration/hooks", "s3cret", ["tracking.updated"])
    caller.run(lambda: hooks.emit("tracking.updated", "PK3", {}, ""))
    assert [orjson.loads(body)["subject"] for _, _, body in receiver.seen] == ["PK1", "PK3"]
    assert strikes(caller) == ["subscription_dropped"]
