"""The outside world at work: channels that place, follow and cancel orders, and warehouse clerks that move stock.

One feeder task per channel sleeps to its next event and spawns a task for it; one clerk task per node works its events
off in order. Every attempt at the integration is a row of `operations`. Keys and trace ids are keyed by chance, so that
the same order has the same ones in every run of a seed.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import orjson

from contracts.problems import CATALOGUE
from contracts.wire import problem_key, traceparent
from scenarios.demand import Demand
from scenarios.events import AdjustEvent, CancelEvent, OrderEvent, ReceiptEvent
from scenarios.spec import Clients
from simulators.kernel import World
from simulators.kernel.chance import Chance
from simulators.kernel.network import Answer

CLERK_ATTEMPTS = 8
MOST_BACKOFF_US = 300_000_000
KNOWN_WAIT_US = 30_000_000
KNOWN_WAITS = 20
REIMPORT_AFTER_US = 60_000_000
AVAILABILITY_SKUS = 5
PROMISE_FIELDS = (
    "line_no",
    "sku",
    "ordered",
    "confirmed",
    "backordered",
    "shipped",
    "cancelled",
    "short",
    "unit_price_minor",
    "tax_rate_bp",
)


@dataclass(frozen=True, slots=True)
class Call:
    """One client operation, over all of its attempts."""

    operation: str
    client: str
    method: str
    path: str
    key: str
    trace: str
    intended_at_us: int
    event: OrderEvent | CancelEvent
    body: bytes = b""
    lines: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What one attempt came to: `outcome` ok, fail or info; status 0 without an answer."""

    outcome: str
    status: int
    problem: str
    body: Mapping[str, Any]
    replayed: bool
    retry_after_us: int | None
    detail: str


class Outside(Protocol):
    """The world as those outside of the integration have it, in virtual or in real time."""

    @property
    def chance(self) -> Chance: ...

    def now_us(self) -> int:
        """Business time, in microseconds since the Unix epoch."""
        ...

    def sleep(self, duration_us: int) -> None:
        """Wait for a while of business time."""
        ...

    def pause(self, duration_us: int) -> None:
        """Wait for a while of protocol time, as before a repeat."""
        ...

    def spawn(self, name: str, function: Callable[..., object], *arguments: object) -> None:
        """Begin a task that runs beside this one."""
        ...

    def send(self, letter: "Letter", timeout_us: int) -> Answer:
        """One exchange. TimeoutError and ConnectionError when no answer came of it."""
        ...

    def row(self, **columns: Any) -> None:
        """Write one operation into evidence."""
        ...


@dataclass(frozen=True, slots=True)
class Letter:
    """One request: by whom, in which part, and when the scenario meant it to be sent (None: now)."""

    sender: str
    part: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    due_at_us: int | None = None


class InWorld:
    """The outside of a world in virtual time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.chance = world.chance
        self.now_us = world.now_us
        self.sleep = world.sleep
        self.spawn = world.spawn

    def pause(self, duration_us: int) -> None:
        """In virtual time the two clocks are one."""
        self._world.sleep(duration_us)

    def send(self, letter: Letter, timeout_us: int) -> Answer:
        """One exchange over the world's network."""
        network = self._world.network
        return network.send(letter.sender, letter.method, letter.url, letter.headers, letter.body, timeout_us)

    def row(self, **columns: Any) -> None:
        """Write one operation into evidence."""
        self._world.evidence.row("operations", **columns)


class Crowd:
    """`start()` before the world runs. `open_calls` and `finished` say when the outside has gone quiet.

    `tokens`: bearer token per channel; `clerk_tokens`: per node. `counts` is what came of it, for run.json. The host of
    a letter's URL is the name of who is meant: `integration`, or a node.
    """

    def __init__(
        self,
        world: Outside,
        demand: Demand,
        clients: Clients,
        tokens: Mapping[str, str],
        clerk_tokens: Mapping[str, str],
        target: str = "integration",
    ) -> None:
        self._world = world
        self._clients = clients
        self._tokens = tokens
        self._clerk_tokens = clerk_tokens
        self._base = f"http://{target}"
        self._by_channel: dict[str, list[OrderEvent | CancelEvent]] = defaultdict(list)
        self._by_node: dict[str, list[AdjustEvent | ReceiptEvent]] = defaultdict(list)
        for event in demand.events():
            if isinstance(event, OrderEvent | CancelEvent):
                self._by_channel[event.channel].append(event)
            else:
                self._by_node[event.node].append(event)
        nodes = sorted(clerk_tokens)
        self._stocked = [node for node in nodes if any(demand.opening.get(node, {}).values())] or nodes
        self._order_ids: dict[tuple[str, str], str] = {}
        self._refused: dict[tuple[str, str], bool] = {}
        self._returns: Counter[tuple[str, str]] = Counter()
        self._tasks = 0
        self._started = False
        self.open_calls = 0
        self.counts: Counter[str] = Counter()

    @property
    def finished(self) -> bool:
        """Whether everything that the outside world meant to do is done."""
        return self._started and self._tasks == 0

    def order_id(self, customer_id: str, order_reference: str) -> str | None:
        """The id that the integration told for an order; None when no client ever learned one."""
        return self._order_ids.get((customer_id, order_reference))

    def start(self) -> None:
        """Spawn the feeders and the clerks."""
        self._started = True
        for channel, events in sorted(self._by_channel.items()):
            self._spawn(f"{channel} feeder", self._feed, events)
        for node, movements in sorted(self._by_node.items()):
            self._spawn(f"{node} clerk", self._clerk, movements)

    def _spawn(self, name: str, function: Any, *arguments: object) -> None:
        self._tasks += 1
        self._world.spawn(name, self._counted, function, *arguments)

    def _counted(self, function: Any, *arguments: object) -> None:
        function(*arguments)
        self._tasks -= 1

    def _sleep_until(self, moment_us: int) -> None:
        wait_us = moment_us - self._world.now_us()
        if wait_us > 0:
            self._world.sleep(wait_us)

    # Channels

    def _feed(self, events: Sequence[OrderEvent | CancelEvent]) -> None:
        for event in events:
            self._sleep_until(event.at_us)
            if isinstance(event, OrderEvent):
                self._spawn(f"place {event.customer_id} {event.order_reference}", self._place, event)
            else:
                self._spawn(f"cancel {event.customer_id} {event.order_reference}", self._cancel, event)

    def _place(self, event: OrderEvent) -> None:
        key = (event.customer_id, event.order_reference)
        chance = self._world.chance
        if chance.hit(self._clients.availability_share, "asks-availability", *key):
            self._check_availability(event)
        reply = self._persist(self._order_call(event, chance.hex(32, "idempotency-key", *key), "buyer"))
        self._note(key, reply)
        if reply.outcome == "ok" and chance.hit(self._clients.reused_key_share, "reused-key", *key):
            self._reuse_key(event)
        if reply.outcome != "fail" and chance.hit(self._clients.fresh_key_share, "fresh-key", *key):
            self._world.sleep(REIMPORT_AFTER_US)
            self._reimport(event)
        if reply.outcome == "info" and key not in self._order_ids:
            self._find(event)
        self._refused[key] = key not in self._order_ids
        if key in self._order_ids and chance.hit(self._clients.tracker_share, "tracks", *key):
            self._track(event, self._order_ids[key])

    def _order_call(self, event: OrderEvent, key: str, client: str) -> Call:
        return Call(
            operation="place_order",
            client=client,
            method="POST",
            path="/orders",
            key=key,
            trace=self._trace(event),
            intended_at_us=event.at_us,
            event=event,
            body=orjson.dumps(order_body(event)),
            lines=tuple(
                {"line_no": line.line_no, "sku": line.sku, "quantity": line.base_quantity} for line in event.lines
            ),
        )

    def _note(self, key: tuple[str, str], reply: Reply) -> None:
        self.counts[f"orders_{reply.outcome}"] += 1
        order_id = reply.body.get("order_id") if reply.outcome == "ok" else None
        if isinstance(order_id, str):
            self._order_ids[key] = order_id

    def _reimport(self, event: OrderEvent) -> None:
        """The channel's import runs again and has forgotten its key: refused, and the order that stands is read."""
        fresh = self._world.chance.hex(32, "fresh-key", event.customer_id, event.order_reference)
        reply = self._persist(self._order_call(event, fresh, "reimport"))
        self.counts["reimports"] += 1
        if reply.outcome == "ok":
            self._order_ids[(event.customer_id, event.order_reference)] = str(reply.body.get("order_id", ""))
        elif reply.problem == "order-reference-used":
            self._find(event)

    def _reuse_key(self, event: OrderEvent) -> None:
        """The channel changes its mind about the service and sends the order again under the key that was answered."""
        key = self._world.chance.hex(32, "idempotency-key", event.customer_id, event.order_reference)
        other = replace(event, service="standard" if event.service == "express" else "express")
        self._persist(self._order_call(other, key, "buyer"))
        self.counts["reused_keys"] += 1

    def _find(self, event: OrderEvent) -> None:
        """Ask whether the order exists, by its reference."""
        query = urlencode({"customer_id": event.customer_id, "order_reference": event.order_reference})
        reply = self._once(self._read_call(event, f"/orders?{query}", "buyer"))
        items = reply.body.get("items") if reply.outcome == "ok" else None
        if isinstance(items, list) and items and isinstance(items[0], dict):
            self._order_ids[(event.customer_id, event.order_reference)] = str(items[0].get("order_id", ""))

    def _track(self, event: OrderEvent, order_id: str) -> None:
        """Look at the order later, once or twice."""
        looks = self._world.chance.integer(1, 2, "looks", event.customer_id, event.order_reference)
        for _ in range(looks):
            self._world.sleep(self._clients.track_after_us)
            self._once(self._read_call(event, f"/orders/{quote(order_id)}", "tracker"))

    def _read_call(self, event: OrderEvent, path: str, client: str, operation: str = "read_order") -> Call:
        return Call(operation, client, "GET", path, "", self._trace(event), self._world.now_us(), event)

    def _check_availability(self, event: OrderEvent) -> None:
        skus = list(dict.fromkeys(line.sku for line in event.lines))[:AVAILABILITY_SKUS]
        path = "/availability?" + urlencode([("sku", sku) for sku in skus])
        self._once(self._read_call(event, path, "buyer", "check_availability"))

    def _cancel(self, event: CancelEvent) -> None:
        """Cancel what was asked, once the order is known; what is refused as too late comes back as a return."""
        key = (event.customer_id, event.order_reference)
        for _ in range(KNOWN_WAITS):
            if key in self._order_ids or key in self._refused:
                break
            self._world.sleep(KNOWN_WAIT_US)
        order_id = self._order_ids.get(key)
        if order_id is None:
            self.counts["cancels_without_order"] += 1
            return
        reply = self._persist(
            Call(
                operation="cancel_order",
                client="buyer",
                method="POST",
                path=f"/orders/{quote(order_id)}/cancel",
                key=self._world.chance.hex(32, "cancel-key", *key, event.cancel_reference),
                trace=self._trace(event),
                intended_at_us=event.at_us,
                event=event,
                body=orjson.dumps(cancel_body(event)),
                lines=tuple({"line_no": line, "sku": sku, "quantity": quantity} for line, sku, quantity in event.lines),
            ),
            order_id,
        )
        self.counts[f"cancels_{reply.outcome}"] += 1
        if reply.problem == "too-late-to-cancel":
            self._return_goods(event)

    def _return_goods(self, event: CancelEvent) -> None:
        for line_no, sku, quantity in event.lines:
            node = self._world.chance.choose(self._stocked, "return-node", sku)
            receipt_id = f"RET-{event.cancel_reference}-{event.order_reference}-L{line_no}"[:40]
            self.counts["cancels_returned"] += 1
            self._move(
                ReceiptEvent(self._world.now_us(), receipt_id, node, sku, quantity, "returned, too late to cancel")
            )

    def _trace(self, event: OrderEvent | CancelEvent) -> str:
        return self._world.chance.hex(32, "trace", event.customer_id, event.order_reference)

    # Attempts

    def _persist(self, call: Call, order_id: str = "") -> Reply:
        """Attempts under one key until the answer is final or the client gives up; the last reply."""
        reply = self._attempt(call, 1, order_id)
        for attempt in range(2, self._clients.attempts + 1):
            if not _worth_repeating(reply):
                return reply
            self.counts["repeats"] += 1
            self._world.pause(_pause_us(reply, self._clients.backoff_us, attempt - 1))
            reply = self._attempt(call, attempt, order_id)
        return reply

    def _once(self, call: Call) -> Reply:
        return self._attempt(call, 1)

    def _attempt(self, call: Call, attempt: int, order_id: str = "") -> Reply:
        """One exchange and its row of evidence."""
        world = self._world
        span = world.chance.hex(16, "span", call.trace, call.operation, call.path, call.key, attempt)
        headers = {
            "Authorization": f"Bearer {self._tokens[call.event.channel]}",
            "traceparent": traceparent(call.trace, span),
        }
        if call.key:
            headers["Idempotency-Key"] = call.key
        if call.body:
            headers["Content-Type"] = "application/json"
        url, due_at_us = self._base + call.path, call.intended_at_us if attempt == 1 else None
        invoked_at_us = world.now_us()
        reply = self._sent(Letter(call.event.channel, call.client, call.method, url, headers, call.body, due_at_us))
        self._record(call, attempt, invoked_at_us, reply, order_id)
        return reply

    def _record(self, call: Call, attempt: int, invoked_at_us: int, reply: Reply, order_id: str) -> None:
        event = call.event
        order = _order_in(reply)
        self._world.row(
            client=call.client,
            channel=event.channel,
            operation=call.operation,
            customer_id=event.customer_id,
            segment=event.segment,
            order_reference=event.order_reference,
            key=call.key or None,
            attempt=attempt,
            fingerprint=sha256(call.body).hexdigest()[:16] if call.body else None,
            correlation_id=call.trace,
            fill_policy=event.fill_policy if isinstance(event, OrderEvent) else None,
            lines=list(call.lines) or None,
            intended_at_us=call.intended_at_us,
            invoked_at_us=invoked_at_us,
            completed_at_us=self._world.now_us(),
            outcome=reply.outcome,
            status=reply.status or None,
            problem=reply.problem or None,
            replayed=reply.replayed,
            order_id=order.get("order_id") or reply.body.get("existing_order_id") or order_id or None,
            order_status=order.get("status"),
            order_version=order.get("version"),
            answer_lines=_promises(order),
            availability=_availability(call, reply),
            detail=reply.detail or None,
        )

    # Clerks

    def _clerk(self, events: Sequence[AdjustEvent | ReceiptEvent]) -> None:
        for event in events:
            self._sleep_until(event.at_us)
            self._move(event)

    def _move(self, event: AdjustEvent | ReceiptEvent) -> None:
        """Post one movement to its node's own API, under one key, until it is booked or refused for good."""
        path, key, body = movement(event)
        headers = {
            "Authorization": f"Bearer {self._clerk_tokens[event.node]}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        for attempt in range(1, CLERK_ATTEMPTS + 1):
            reply = self._post(f"http://{event.node}{path}", headers, orjson.dumps(body))
            if not _worth_repeating(reply):
                self.counts[f"clerk_{path[1:]}_{reply.problem or reply.outcome}"] += 1
                return
            self._world.pause(_pause_us(reply, self._clients.backoff_us, attempt))
        self.counts["clerk_gave_up"] += 1

    def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        return self._sent(Letter("clerk", "clerk", "POST", url, headers, body))

    def _sent(self, letter: Letter) -> Reply:
        self.open_calls += 1
        answer: Answer | None = None
        trouble = ""
        try:
            answer = self._world.send(letter, self._clients.timeout_us)
        except TimeoutError:
            trouble = "time-out"
        except ConnectionError as error:
            trouble = type(error).__name__
        self.open_calls -= 1
        return _reply(answer, trouble)


def order_body(event: OrderEvent) -> dict[str, Any]:
    """The JSON of POST /orders."""
    address = event.ship_to
    return {
        "customer_id": event.customer_id,
        "order_reference": event.order_reference,
        "currency": event.currency,
        "fill_policy": event.fill_policy,
        "service": event.service,
        "ship_to": {
            "name": address.name,
            "street": address.street,
            "city": address.city,
            "postcode": address.postcode,
            "country": address.country,
        },
        "lines": [
            {"line_no": line.line_no, "sku": line.sku, "quantity": line.quantity, "unit": line.unit}
            | ({} if line.unit_price_minor is None else {"unit_price_minor": line.unit_price_minor})
            for line in event.lines
        ],
    }


def cancel_body(event: CancelEvent) -> dict[str, Any]:
    """The JSON of POST /orders/{order_id}/cancel."""
    lines = [{"line_no": line_no, "quantity": quantity} for line_no, _, quantity in event.lines]
    return {"reason": event.reason, "lines": lines}


def movement(event: AdjustEvent | ReceiptEvent) -> tuple[str, str, dict[str, Any]]:
    """Path, own id and JSON of a stock movement; the same at warehouses and the 3PL."""
    if isinstance(event, AdjustEvent):
        delta = {"sku": event.sku, "quantity_delta": event.quantity_delta, "reason": event.reason}
        return "/adjustments", event.adjustment_id, {"adjustment_id": event.adjustment_id, **delta}
    goods = {"sku": event.sku, "quantity": event.quantity, "reason": event.reason}
    return "/receipts", event.receipt_id, {"receipt_id": event.receipt_id, **goods}


def _reply(answer: Answer | None, trouble: str) -> Reply:
    """Judge an answer by its problem type, never by its status alone: only a definite problem is a `fail`."""
    if answer is None:
        return Reply("info", 0, "", {}, False, None, trouble)
    body = _json(answer.body)
    retry_after_us = _retry_after_us(answer.headers)
    replayed = answer.headers.get("idempotent-replayed", "").lower() == "true"
    if 200 <= answer.status < 300 and not _says_nothing(answer.body, body):
        return Reply("ok", answer.status, "", body, replayed, retry_after_us, "")
    problem = problem_key(str(body.get("type", "")))
    kind = CATALOGUE.get(problem)
    outcome = "fail" if kind is not None and kind.definite else "info"
    return Reply(outcome, answer.status, problem, body, replayed, retry_after_us, str(body.get("detail", ""))[:200])


def _says_nothing(raw: bytes, body: Mapping[str, Any]) -> bool:
    """Whether a good status came with a body that can't be read, or that tells of a failure: nobody knows what was
    done."""
    return (bool(raw) and not body) or body.get("success") is False


def _json(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _retry_after_us(headers: Mapping[str, str]) -> int | None:
    text = headers.get("retry-after", "")
    return int(text) * 1_000_000 if text.isascii() and text.isdecimal() else None


def _worth_repeating(reply: Reply) -> bool:
    """Unknown outcomes, and refusals that the catalogue calls retryable (429, 503, in flight)."""
    if reply.outcome == "ok":
        return False
    kind = CATALOGUE.get(reply.problem)
    if kind is not None:
        return kind.retryable
    return reply.status < 300 or reply.status >= 500 or reply.status == 429


def _pause_us(reply: Reply, backoff_us: int, attempt: int) -> int:
    """Retry-After where given, else a doubling backoff, in microseconds."""
    if reply.retry_after_us is not None:
        return reply.retry_after_us
    return min(backoff_us << (attempt - 1), MOST_BACKOFF_US)


def _order_in(reply: Reply) -> Mapping[str, Any]:
    """The order in an answer: itself, or the first of a list."""
    if reply.outcome != "ok":
        return {}
    items = reply.body.get("items")
    if isinstance(items, list):
        first = items[0] if items else None
        return first if isinstance(first, dict) and "order_id" in first else {}
    return reply.body if "order_id" in reply.body else {}


def _promises(order: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    lines = order.get("lines")
    if not isinstance(lines, list) or "version" not in order:
        return None
    return [{field: line.get(field) for field in PROMISE_FIELDS} for line in lines]


def _availability(call: Call, reply: Reply) -> list[dict[str, Any]] | None:
    """What was said to be available: per node in an availability answer, in sum in an out-of-stock refusal."""
    if call.operation == "check_availability" and reply.outcome == "ok":
        return [
            {"sku": item["sku"], "node": node["node"], "available": node["available"]}
            for item in reply.body.get("items", [])
            for node in item.get("nodes", [])
        ]
    if reply.problem == "out-of-stock":
        return [
            {"sku": line.get("sku"), "node": None, "available": line.get("available")}
            for line in reply.body.get("lines", [])
        ]
    return None
