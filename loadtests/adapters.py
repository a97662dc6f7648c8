"""Another order API in place of ours: a small class that says how its calls look and what its answers mean.

Peakproof's crowd speaks the order API of contracts/openapi/orders.yaml. An adapter turns each of its five calls into a
request of the target, and each answer of the target into `Told`: what the client knows by it. It sends nothing itself.

    class Shop(Adapter):
        provides = frozenset({"read", "cancel"})
        def place(self, order, key): return Request("POST", "/baskets", order)
        def told(self, call, status, headers, body): ...

`peakproof load SCENARIO --target URL --adapter shop.adapter:Shop`; see docs/another-order-api.md.

AdapterError      the adapter can't be had, or does not do what it says it provides
"""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from contracts.problems import CATALOGUE
from contracts.wire import problem_type
from scenarios.crowd import Letter
from scenarios.errors import ScenarioError, nearest
from simulators.kernel.tampering import Answer

PLACE, READ, FIND, CANCEL, AVAILABILITY = CALLS = ("place", "read", "find", "cancel", "availability")

CAPABILITIES: dict[str, tuple[str, ...]] = {
    "promises": ("no_oversell", "no_false_rejection", "nothing_lost", "causality", "money_adds_up"),
    "read": ("nothing_lost", "everything_ends"),
    "find": (),
    "cancel": (),
    "availability": ("availability_agrees", "fresh_availability"),
    "keys": ("idempotent_reply",),
    "traces": ("fail_means_never", "poison_is_parked"),
}
"""What a target may provide, and the checks that can't be made without it.

promises      an accepted order is answered line by line: what is confirmed and backordered, at which price
read          an order can be read: status, and per line what was shipped, cancelled, short
find          an order can be found by the client's own reference
cancel        lines of an order can be cancelled
availability  stock per sku and node is published
keys          a repeat under the same key is recognized
traces        the trace id of an order's call is passed on to the partners
"""


class AdapterError(ScenarioError):
    """Says which adapter, what is wrong with it, and what to do."""


class Request(NamedTuple):
    """A request to the target: path with query, and a body that is sent as JSON unless it is bytes."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = {}


@dataclass(frozen=True)
class Told:
    """What an answer tells a client.

    `outcome` ok: it is done, and `answer` is it in the shape of contracts/openapi/orders.yaml (what the target does not
    tell is left out). fail: it certainly is not done and won't be; `problem` says why, as contracts/problems.yaml names
    it. info: nobody knows, and the client tries again under the same key.
    """

    outcome: str
    problem: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)
    retry_after_s: int | None = None
    replayed: bool = False

    @classmethod
    def ok(cls, replayed: bool = False, **answer: Any) -> "Told":
        """It is done."""
        return cls("ok", answer=answer, replayed=replayed)

    @classmethod
    def fail(cls, problem: str, **details: Any) -> "Told":
        """It is not done and won't be."""
        kind = CATALOGUE.get(problem)
        if kind is None or not kind.definite:
            raise AdapterError(f"{problem!r} is no definite problem{nearest(problem, CATALOGUE)}")
        return cls("fail", problem, details)

    @classmethod
    def info(cls, retry_after_s: int | None = None) -> "Told":
        """Nobody knows, or it was put off."""
        return cls("info", retry_after_s=retry_after_s)


class Adapter:
    """Ours as it is: each letter goes out and each answer comes back untouched. Subclass `OrderApi` for another."""

    provides: frozenset[str] = frozenset(CAPABILITIES)

    def request(self, letter: Letter) -> tuple[str, str, Mapping[str, str], bytes] | None:
        """Method, path with query, headers and body to send; None: as they are."""
        del letter
        return None

    def answer(self, letter: Letter, answer: Answer) -> Answer:
        """What came back, in the shape of our order API."""
        del letter
        return answer


@dataclass(frozen=True)
class Call:
    """One call of the crowd, as an adapter is asked about it."""

    kind: str
    order_id: str = ""
    query: Mapping[str, list[str]] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    channel: str = ""


class OrderApi(Adapter):
    """The base of adapters: override what the target has."""

    provides = frozenset()

    def place(self, order: Mapping[str, Any], key: str) -> Request:
        """Place an order: the body of our POST /orders, and the client's key, the same in each repeat."""
        raise NotImplementedError

    def read(self, order_id: str) -> Request:
        """Read an order by the id that `told` gave it. Needs "read" in `provides`."""
        raise NotImplementedError

    def find(self, customer_id: str, order_reference: str) -> Request:
        """Find an order by its reference. Needs "find" in `provides`."""
        raise NotImplementedError

    def cancel(self, order_id: str, cancel: Mapping[str, Any], key: str) -> Request:
        """Cancel lines: the body of our POST /orders/{order_id}/cancel. Needs "cancel" in `provides`."""
        raise NotImplementedError

    def availability(self, skus: list[str], page: int) -> Request:
        """Read published stock: of these skus, or page by page of all when there are none. Needs "availability"."""
        raise NotImplementedError

    def authorize(self, token: str) -> Mapping[str, str]:
        """Headers that let a channel in with its token, which the target has from its environment."""
        return {"Authorization": f"Bearer {token}"}

    def told(self, call: Call, status: int, headers: Mapping[str, str], body: Any) -> Told:
        """What an answer means. `body` is parsed JSON, or None where it is none; header names are in lower case."""
        raise NotImplementedError

    def request(self, letter: Letter) -> tuple[str, str, Mapping[str, str], bytes]:
        """See Adapter."""
        call = call_of(letter)
        asked = self._asked(call)
        token = letter.headers.get("Authorization", "").removeprefix("Bearer ")
        body = asked.body if isinstance(asked.body, bytes) else b"" if asked.body is None else orjson.dumps(asked.body)
        headers = {"traceparent": letter.headers.get("traceparent", "")} | dict(self.authorize(token))
        headers |= {"Content-Type": "application/json"} if body else {}
        return asked.method, asked.path, {**headers, **asked.headers}, body

    def answer(self, letter: Letter, answer: Answer) -> Answer:
        """See Adapter."""
        try:
            body = orjson.loads(answer.body) if answer.body else None
        except orjson.JSONDecodeError:
            body = None
        return _as_ours(self.told(call_of(letter), answer.status, answer.headers, body))

    def _asked(self, call: Call) -> Request:
        if call.kind == PLACE:
            return self.place(call.body, call.key)
        if call.kind == CANCEL:
            return self.cancel(call.order_id, call.body, call.key)
        if call.kind == READ:
            return self.read(call.order_id)
        if call.kind == FIND:
            return self.find(call.query["customer_id"][0], call.query["order_reference"][0])
        return self.availability(call.query.get("sku", []), int(call.query.get("page", ["1"])[0]))


def call_of(letter: Letter) -> Call:
    """Which of the five calls a letter to the integration is."""
    address = urlsplit(letter.url)
    parts = address.path.strip("/").split("/")
    query = parse_qs(address.query)
    common: dict[str, Any] = {
        "key": letter.headers.get("Idempotency-Key", ""), "channel": letter.sender, "query": query,
    }  # fmt: skip
    if parts[0] == "availability":
        return Call(AVAILABILITY, **common)
    if len(parts) == 3:
        return Call(CANCEL, unquote(parts[1]), body=orjson.loads(letter.body), **common)
    if letter.method == "POST":
        return Call(PLACE, body=orjson.loads(letter.body), **common)
    return Call(READ, unquote(parts[1]), **common) if len(parts) == 2 else Call(FIND, **common)


def load(name: str) -> Adapter:
    """The adapter that `module:Class` names, looked for in the working directory first; ours for an empty name."""
    if not name:
        return Adapter()
    module, colon, path = name.partition(":")
    if not colon or not module or not path:
        raise AdapterError(f"--adapter {name!r} is not module:Class, as in shop.adapter:Shop")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        made = getattr(importlib.import_module(module), path)()
    except (ImportError, AttributeError, TypeError, SyntaxError) as error:
        raise AdapterError(f"--adapter {name!r} can't be had: {type(error).__name__}: {error}") from error
    if not isinstance(made, Adapter):
        raise AdapterError(f"--adapter {name!r} made {type(made).__name__}: make it a subclass of OrderApi")
    for capability in sorted(made.provides):
        if capability not in CAPABILITIES:
            raise AdapterError(f"--adapter {name!r} provides {capability!r}{nearest(capability, CAPABILITIES)}")
    return made


def unobservable(adapter: Adapter) -> dict[str, str]:
    """Checks that can't be made with this adapter, and why."""
    found: dict[str, str] = {}
    for capability, checks in CAPABILITIES.items():
        if capability not in adapter.provides:
            found.update(dict.fromkeys(checks, f"the target's adapter does not provide {capability}"))
    return found


def _as_ours(told: Told) -> Answer:
    headers = {"content-type": "application/json"}
    if told.replayed:
        headers["idempotent-replayed"] = "true"
    if told.retry_after_s is not None:
        headers["retry-after"] = str(told.retry_after_s)
    if told.outcome == "ok":
        return Answer(200, headers, orjson.dumps(told.answer))
    problem = told.problem or "overloaded"
    status = CATALOGUE[problem].status
    return Answer(status, headers, orjson.dumps({**told.answer, "type": problem_type(problem), "status": status}))
