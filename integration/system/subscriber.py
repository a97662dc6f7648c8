"""Whoever subscribed: CloudEvents in structured mode to a URL, signed after Standard Webhooks, or to a stream.

| what comes back | heard |
|---|---|
| 2xx, or the stream's acknowledgement | taken |
| 410 | gone |
| anything else, or nothing | failed: try again, after the time asked for |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import quote

from contracts.wire import sign_webhook, traceparent
from integration.runtime import Clock, Http, Stream
from integration.settings import SECOND

STREAM_URL = "stream:"
"""In place of a subscription's URL: the stream of this installation."""
CONTENT_TYPE = "application/cloudevents+json"
TAKEN, SUBSCRIBER_GONE, FAILED = "taken", "gone", "failed"
_GONE_STATUS = 410


@dataclass(frozen=True, slots=True)
class Heard:
    """How a delivery ended; `after_us` is how long the subscriber asked to be left alone."""

    how: str
    reason: str = ""
    after_us: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event to one place. Each of `secrets` signs it; a stream needs none."""

    url: str
    secrets: tuple[str, ...]
    event_id: str
    type: str
    subject: str
    correlation_id: str
    body: bytes
    attempt: int


class SubscriberClient:
    """Delivers; every method makes one exchange."""

    def __init__(self, http: Http, clock: Clock, stream: Stream | None, timeout_us: int) -> None:
        self._http = http
        self._clock = clock
        self._stream = stream
        self._timeout_us = timeout_us

    def deliver(self, delivery: Delivery) -> Heard:
        """Send one event."""
        assert delivery.secrets or delivery.url == STREAM_URL, f"nothing signs {delivery.event_id}"
        send: Callable[[Delivery], Heard] = self._publish if delivery.url == STREAM_URL else self._post
        try:
            return send(delivery)
        except TimeoutError:
            return Heard(FAILED, f"no answer within {self._timeout_us} us")
        except ConnectionError as error:
            return Heard(FAILED, f"no connection: {error}")

    def _post(self, delivery: Delivery) -> Heard:
        now_s = self._clock.now_us() // SECOND
        signed = [sign_webhook(secret, delivery.event_id, now_s, delivery.body) for secret in delivery.secrets]
        headers = {
            **_headers(delivery),
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": " ".join(signed),
        }
        answer = self._http.send("POST", delivery.url, headers, delivery.body, self._timeout_us)
        if 200 <= answer.status < 300:
            return Heard(TAKEN)
        if answer.status == _GONE_STATUS:
            return Heard(SUBSCRIBER_GONE, "answered 410")
        return Heard(FAILED, f"answered {answer.status}", _retry_after_us(answer.headers))

    def _publish(self, delivery: Delivery) -> Heard:
        if self._stream is None:
            return Heard(FAILED, "this process knows no stream")
        place = f"{delivery.type}.{_token(delivery.subject)}"
        self._stream.publish(place, delivery.event_id, _headers(delivery), delivery.body, self._timeout_us)
        return Heard(TAKEN)


def _headers(delivery: Delivery) -> dict[str, str]:
    headers = {"content-type": CONTENT_TYPE}
    if delivery.correlation_id:
        place = f"{delivery.url} {delivery.event_id} {delivery.attempt}"
        span_id = blake2b(place.encode(), digest_size=8).hexdigest()
        headers["traceparent"] = traceparent(delivery.correlation_id, span_id)
    return headers


def _retry_after_us(headers: Mapping[str, str]) -> int:
    value = headers.get("retry-after", "")
    return int(value) * SECOND if value.isascii() and value.isdigit() else 0


def _token(subject: str) -> str:
    """A subject as one token of a stream's: without blanks, dots and wildcards."""
    return quote(subject, safe="").replace(".", "%2E").replace("*", "%2A").replace("~", "%7E")
