"""How values look on every wire and in every file: timestamps, durations, trace context, problem types and webhook
signatures."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from contracts.errors import BadSignature, MalformedValue

PROBLEM_PREFIX = "urn:peakproof:problem:"
WEBHOOK_TOLERANCE_S = 300
DURATION_UNITS_US = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}

_EPOCH = datetime(1970, 1, 1)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(us|ms|s|m|h|d)\s*")
_SECONDS = re.compile(r"[0-9]{1,15}")
_NO_TRACE = "0" * 32


def iso(at_us: int) -> str:
    """RFC 3339 UTC with six fractional digits, from microseconds since the Unix epoch."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds") + "Z"


def parse_iso(text: str) -> int:
    """Microseconds since the Unix epoch, from an RFC 3339 timestamp; one without a zone is refused, never guessed."""
    try:
        parsed = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise MalformedValue(f"{text!r} is not an RFC 3339 timestamp such as 2026-11-27T09:00:00.000000Z") from error
    if parsed.tzinfo is None:
        raise MalformedValue(f"{text!r} has no time zone: end it with Z")
    return (parsed - _EPOCH_UTC) // _MICROSECOND


def parse_duration(text: object) -> int:
    """Microseconds of a duration with a unit, such as `500ms`, `90s` or `1.5h`; less than one is dropped."""
    written = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if written is None:
        raise MalformedValue(
            f"{text!r} is not a duration; write a number with a unit, such as 500ms, 90s, 20m, 24h or 5d"
        )
    return int(Decimal(written[1]) * DURATION_UNITS_US[written[2]])


def traceparent(trace_id: str, span_id: str) -> str:
    """The W3C header value of a 32-digit lower-case hex trace and a 16-digit span, always sampled."""
    value = f"00-{trace_id}-{span_id}-01"
    if _TRACEPARENT.fullmatch(value) is None:
        raise MalformedValue(f"trace {trace_id!r} and span {span_id!r} must be 32 and 16 lower-case hex digits")
    return value


def trace_id_of(headers: Mapping[str, str]) -> str:
    """The trace id of `traceparent`, or "" where there is none that can be read: the W3C rule is then to start anew."""
    value = headers.get("traceparent") or headers.get("Traceparent") or ""
    found = _TRACEPARENT.fullmatch(value)
    return found[1] if found and found[1] != _NO_TRACE else ""


def problem_type(key: str) -> str:
    """The `type` member of a problem."""
    return PROBLEM_PREFIX + key


def problem_key(problem_type_uri: str) -> str:
    """The catalogue key of a problem's `type`; "" for a type that is not ours."""
    return problem_type_uri.removeprefix(PROBLEM_PREFIX) if problem_type_uri.startswith(PROBLEM_PREFIX) else ""


def sign_webhook(secret: str, webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """The `webhook-signature` of Standard Webhooks: `v1,` and base64 of HMAC-SHA256 over "id.timestamp.body".

    A secret that begins with `whsec_` is base64 after it, as that standard says; any other is taken as its UTF-8 bytes.
    """
    signed = f"{webhook_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def verify_webhook(
    secret: str | Sequence[str],
    webhook_id: str,
    timestamp: str,
    body: bytes,
    signatures: str,
    *,
    now_s: int,
    tolerance_s: int = WEBHOOK_TOLERANCE_S,
) -> None:
    """Raise BadSignature unless one of the blank-separated `signatures` is right and the time is near `now_s`.

    Several secrets hold while one takes the other's place: a signature with any of them is right.
    `timestamp` is the header as received, whole seconds since the Unix epoch. Senders sign each attempt anew, so an
    old timestamp is a replayed capture and not a late retry.
    """
    if _SECONDS.fullmatch(timestamp) is None:
        raise BadSignature(f"webhook-timestamp {timestamp[:40]!r} is not a whole number of seconds")
    distance_s = abs(now_s - int(timestamp))
    if distance_s > tolerance_s:
        raise BadSignature(f"webhook {webhook_id!r} is {distance_s} s away from now, more than {tolerance_s} s")
    known = (secret,) if isinstance(secret, str) else secret
    right = [sign_webhook(one, webhook_id, int(timestamp), body).encode() for one in known]
    given = [signature.encode() for signature in signatures.split()]
    if not any(hmac.compare_digest(one, signature) for one in right for signature in given):
        raise BadSignature(f"webhook {webhook_id!r} carries no signature that fits, out of {len(given)}")


def _key(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise MalformedValue("a webhook secret that begins with whsec_ must be base64 after it") from error
