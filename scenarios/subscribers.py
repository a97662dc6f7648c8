"""Whoever is told of business events: subscribes with the integration as a run begins, and books what it is told.

A subscriber is a host on the world's network with a book of its own, as a partner is: each delivery is an entry in the
ledger, `event_taken`, `event_refused` (it was ill and answered 503) or `event_unsigned` (the signature did not fit).
What it owes nobody is to be quick or well: its behaviour is the scenario's.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from contracts.errors import BadSignature
from contracts.wire import iso, trace_id_of, traceparent, verify_webhook
from scenarios.spec import SubscriberSpec
from simulators.kernel import MINUTE, SECOND, World

ROUTES = (("POST", "/events"),)
_PATIENCE_US = 30 * SECOND
_PAUSE_US = 5 * SECOND
_LONGEST_PAUSE_US = 5 * MINUTE
_ATTEMPTS = 200
_HAVE_NO_SUCH = (404, 405, 501)


class Subscriber:
    """One of them. `subscribed_at_us` is None until the integration has said that it is subscribed; `is_unknown` once
    it has said that it knows no subscriptions at all."""

    def __init__(self, world: World, name: str, spec: SubscriberSpec, token: str) -> None:
        self.name = name
        self.types = spec.types
        self.subscribed_at_us: int | None = None
        self.is_unknown = False
        self._world = world
        self._spec = spec
        self._token = token
        self._secret = ""
        self._tries: dict[str, int] = {}

    def start(self) -> None:
        """Begin to subscribe, and go on until it works."""
        self._world.spawn(f"subscriber {self.name}", self._subscribe)

    def _subscribe(self) -> None:
        """Ask for everything since the beginning, so that what came before the answer is owed, too."""
        asked = {"url": f"http://{self.name}/events", "types": list(self.types), "since": iso(self._world.starts_at_us)}
        pause_us = _PAUSE_US
        for number in range(_ATTEMPTS):
            status, told = self._ask(orjson.dumps(asked), number)
            if status == 201:
                self._secret = told["secret"]
                self.subscribed_at_us = self._world.now_us()
                return
            if status in _HAVE_NO_SUCH:
                self.is_unknown = True
                return
            self._world.sleep(pause_us)
            pause_us = min(2 * pause_us, _LONGEST_PAUSE_US)

    def _ask(self, body: bytes, number: int) -> tuple[int, Mapping[str, Any]]:
        """One attempt, always under the same key; status 0 without an answer."""
        chance = self._world.chance
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"subscribe-{self.name}",
            "traceparent": traceparent(*(chance.hex(digits, "subscriber", self.name, number) for digits in (32, 16))),
        }
        url = "http://integration/subscriptions"
        try:
            answer = self._world.network.send(self.name, "POST", url, headers, body, _PATIENCE_US)
        except (TimeoutError, ConnectionError):
            return 0, {}
        return answer.status, orjson.loads(answer.body) if answer.status == 201 else {}

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Take what is delivered, as its profile says."""
        raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self._world.sleep(self._spec.answers_in_us)
        status, entry, why = self._judged(environ, raw)
        self._book(entry, orjson.loads(raw), why, trace_id_of({"traceparent": environ.get("HTTP_TRACEPARENT", "")}))
        start_response(f"{status} {entry}", [])
        return []

    def _judged(self, environ: Mapping[str, Any], raw: bytes) -> tuple[int, str, str]:
        """The status to answer, the kind of entry, and why."""
        event_id = str(environ.get("HTTP_WEBHOOK_ID", ""))
        self._tries[event_id] = self._tries.get(event_id, 0) + 1
        offset_us = self._world.now_us() - self._world.starts_at_us
        down = self._spec.down
        if down is not None and down.from_us <= offset_us < down.ends_us:
            return 503, "event_refused", "down"
        if self._world.chance.hit(self._spec.fails, "subscriber fails", self.name, event_id, self._tries[event_id]):
            return 503, "event_refused", "failed"
        if not self._secret:
            return 503, "event_refused", "the answer that tells the secret is on its way"
        try:
            verify_webhook(
                self._secret,
                event_id,
                str(environ.get("HTTP_WEBHOOK_TIMESTAMP", "")),
                raw,
                str(environ.get("HTTP_WEBHOOK_SIGNATURE", "")),
                now_s=self._world.now_us() // SECOND,
            )
        except BadSignature as error:
            return 401, "event_unsigned", str(error)
        return 204, "event_taken", ""

    def _book(self, kind: str, event: Mapping[str, Any], why: str, trace_id: str) -> None:
        data = event["data"]
        order = {
            "customer_id": data["customer_id"],
            "order_reference": data["order_reference"],
            "order_version": data["version"],
        }
        self._world.evidence.row(
            "ledger",
            partner=self.name,
            kind=kind,
            at_us=self._world.now_us(),
            business_key=event["id"],
            status=event["type"],
            reason=why,
            correlation_id=trace_id,
            shipment_id=data.get("shipment_id"),
            order_id=event["subject"],
            **order,
        )
