"""Values on the wire: timestamps and durations to the microsecond, trace context, problem types, and Standard Webhooks
signatures."""

import pytest

from contracts.errors import BadSignature, MalformedValue
from contracts.wire import (
    iso,
    parse_duration,
    parse_iso,
    problem_key,
    problem_type,
    sign_webhook,
    trace_id_of,
    traceparent,
    verify_webhook,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
# The vector of the Standard Webhooks reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT_S = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [("7us", 7), ("250ms", 250_000), ("0.29s", 290_000), (" 90 s ", 90_000_000), ("1.5h", 5_400_000_000), ("1.9us", 1)],
)
def test_a_duration_is_whole_microseconds(text: str, expected_us: int) -> None:
    assert parse_duration(text) == expected_us


@pytest.mark.parametrize("text", ["24", "-3s", "h", "1y", ".5s", "1e3s", "", "\u0663s", 24, None, True])
def test_a_duration_without_a_number_and_a_unit_is_refused(text: object) -> None:
    with pytest.raises(MalformedValue, match=r"is not a duration; write a number with a unit, such as 500ms, 90s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("at_us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_770_000_000_000, "2026-11-27T09:00:00.000000Z"),
        (1_795_770_000_000_001, "2026-11-27T09:00:00.000001Z"),
    ],
)
def test_timestamps_go_both_ways_without_loss(at_us: int, text: str) -> None:
    assert iso(at_us) == text
    assert parse_iso(text) == at_us


def test_a_timestamp_with_another_zone_is_the_same_instant() -> None:
    assert parse_iso("2026-11-27T10:00:00+01:00") == parse_iso("2026-11-27T09:00:00Z")


@pytest.mark.parametrize("text", ["2026-11-27T09:00:00", "yesterday", ""])
def test_a_timestamp_that_would_have_to_be_guessed_is_refused(text: str) -> None:
    with pytest.raises(MalformedValue, match=repr(text)):
        parse_iso(text)


def test_traceparent_carries_the_trace_id() -> None:
    header = traceparent(TRACE, SPAN)
    assert header == f"00-{TRACE}-{SPAN}-01"
    assert trace_id_of({"traceparent": header}) == TRACE


@pytest.mark.parametrize("header", ["", "00-zz-1-01", f"00-{TRACE}-{SPAN}", f"00-{'0' * 32}-{SPAN}-01"])
def test_a_traceparent_that_cannot_be_read_is_no_trace(header: str) -> None:
    assert trace_id_of({"traceparent": header}) == ""


def test_a_trace_id_of_the_wrong_form_is_our_own_mistake() -> None:
    with pytest.raises(MalformedValue):
        traceparent("order-1", SPAN)


def test_problem_types() -> None:
    assert problem_type("out-of-stock") == "urn:peakproof:problem:out-of-stock"
    assert problem_key("urn:peakproof:problem:out-of-stock") == "out-of-stock"
    assert problem_key("about:blank") == ""


def test_the_signature_is_that_of_the_standard() -> None:
    assert sign_webhook(SECRET, MESSAGE, SENT_S, BODY) == SIGNATURE


def test_a_plain_secret_is_taken_as_its_bytes() -> None:
    assert sign_webhook("secret-wms-east", "evt-1", 1, b"{}") == "v1,6CGIndMMEXeMxvTgKJve8Drkx/QE5ZfvRMNRFoFiTJY="


def test_one_good_signature_among_several_is_enough() -> None:
    verify_webhook(SECRET, MESSAGE, str(SENT_S), BODY, f"v1,AAAA {SIGNATURE}", now_s=SENT_S + 300)


@pytest.mark.parametrize(
    ("changed", "now_s"),
    [
        ({"body": BODY + b" "}, SENT_S),
        ({"webhook_id": "msg_other"}, SENT_S),
        ({"timestamp": str(SENT_S + 1)}, SENT_S),
        ({"timestamp": ""}, SENT_S),
        ({"timestamp": "9" * 5000}, SENT_S),
        ({"signatures": ""}, SENT_S),
        ({"signatures": "v1,ünsigned"}, SENT_S),
        ({}, SENT_S + 301),
        ({}, SENT_S - 301),
    ],
)
def test_anything_else_proves_nothing(changed: dict[str, str], now_s: int) -> None:
    given = {"secret": SECRET, "webhook_id": MESSAGE, "timestamp": str(SENT_S), "body": BODY, "signatures": SIGNATURE}
    with pytest.raises(BadSignature):
        verify_webhook(**{**given, **changed}, now_s=now_s)  # type: ignore[arg-type]
