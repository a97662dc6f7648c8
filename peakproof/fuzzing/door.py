"""The door that every request goes through: it sends, judges, counts and remembers."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import unquote

import orjson

from contracts.validation import Contract, Operation
from peakproof.certification.transport import Reply, Request
from peakproof.fuzzing import promises
from peakproof.fuzzing.findings import Finding, Findings, answer_of, curl_of
from peakproof.fuzzing.known import Known
from peakproof.fuzzing.promises import Books, Broken, Exchange
from peakproof.fuzzing.reads import shown_by
from simulators.kernel.chance import Chance

PLACEHOLDER = "Bearer shown-by-the-door"
"""The Authorization that generated requests carry; the door puts the target's own credentials in its place."""
SIGNED = "v1,signed-by-the-door"
"""A webhook-signature that stands for the right one."""
KEY_HEADER = "Idempotency-Key"
REPEAT_SHARE = 0.25
TOGETHER_SHARE = 0.12
LOOK_SHARE = 0.2


class Target(Protocol):
    """Something to fuzz: a host of the test house, or a live endpoint."""

    role: str
    contract: Contract
    base_url: str

    def send(self, request: Request) -> Reply: ...
    def together(self, requests: Sequence[Request]) -> list[Reply]: ...

    def sealed(self, request: Request, draw: int) -> Request:
        """The request as its sender would send it: with good credentials or signature where it only marks them."""
        ...

    def books(self) -> Books | None:
        """What is on record; None when that can't be seen."""
        ...


class Door:
    """One run's way to a target. `phase` is for reports; `statuses` counts (method, path template, status)."""

    def __init__(self, target: Target, known: Known, seed: int, findings: Findings) -> None:
        self.target = target
        self.contract = target.contract
        self.findings = findings
        self.known = known
        self.statuses: Counter[tuple[str, str, int]] = Counter()
        self.phase = ""
        self.round = 0
        self.sent = 0
        self.probes = 0
        self._chance = Chance(seed)
        self._books = target.books()

    def case(self, request: Request) -> Reply:
        """One generated request, judged. A write under a key may be sent twice at once, or again after it."""
        self.sent += 1
        operation = self.operation_of(request)
        if self._is_keyed(operation, request) and self._chance.hit(TOGETHER_SHARE, "together", self.sent):
            return self._twice_at_once(operation, request)
        shown = self._shown(operation, request)
        exchange = self.exchange(request)
        if shown is not None and 400 <= exchange.reply.status < 500:
            self._compare(request, exchange.reply, shown)
        if self._is_keyed(operation, request) and 200 <= exchange.reply.status < 300:
            self._remember(exchange)
            if self._chance.hit(REPEAT_SHARE, "repeat", self.sent):
                self.repeat(exchange)
        return exchange.reply

    def exchange(self, request: Request, expected: Collection[int] = ()) -> Exchange:
        """One exchange, counted and judged. `expected` are server errors that were asked for."""
        operation = self.operation_of(request)
        before = self._books
        sealed = self.target.sealed(request, self.sent)
        reply = self.target.send(sealed)
        self._books = self.target.books()
        exchange = Exchange(operation, request, reply, before, self._books)
        self._count(operation, request, reply)
        for broken in promises.judged(exchange, expected):
            self.note(request, reply, broken)
        return exchange

    def repeat(self, first: Exchange) -> None:
        """Send a write that succeeded again under its key, then another payload under it."""
        self.probes += 1
        again = self.exchange(first.request)
        for broken in promises.repeated(first, again):
            self.note(again.request, again.reply, broken)
        altered = altered_body(first.operation, first.request)
        if altered is None:
            return
        self.probes += 1
        other = self.exchange(replace(first.request, body=altered))
        for broken in promises.reused(other):
            self.note(other.request, other.reply, broken)

    def together(self, request: Request) -> tuple[Reply, Reply]:
        """The same request twice at the same moment; both answers counted and judged."""
        operation = self.operation_of(request)
        sealed = self.target.sealed(request, self.sent)
        one, other = self.target.together([sealed, sealed])
        self._books = self.target.books()
        for reply in (one, other):
            self._count(operation, request, reply)
            for broken in promises.judged(Exchange(operation, request, reply)):
                self.note(request, reply, broken)
        return one, other

    def _twice_at_once(self, operation: Operation | None, request: Request) -> Reply:
        self.probes += 1
        before = self._books
        one, other = self.together(request)
        for broken in promises.simultaneous((one, other), before, self._books):
            self.note(request, one, broken)
        reply = next((each for each in (one, other) if 200 <= each.status < 300), one)
        if 200 <= reply.status < 300:
            self._remember(Exchange(operation, request, reply))
        return reply

    def _shown(self, operation: Operation | None, request: Request) -> tuple[Request, bytes] | None:
        """Now and then, where the books can't be seen: the documented read of what a write is about, and its answer."""
        if self._books is not None or operation is None or not self._is_keyed(operation, request):
            return None
        where = shown_by(operation, path_values(operation, request.path), promises.parsed_json(request.body))
        if not where or not self._chance.hit(LOOK_SHARE, "look", self.sent):
            return None
        read = Request("GET", where, {"Authorization": PLACEHOLDER})
        return read, self._read(read)

    def _compare(self, request: Request, reply: Reply, shown: tuple[Request, bytes]) -> None:
        read, before = shown
        after = self._read(read)
        # What goes on changing does so by itself: a shipment on its way, another caller's order.
        if after != before and self._read(read) == after:
            told = f"refused with {reply.status}, yet GET {read.path} changed"
            self.note(request, reply, Broken("refused-untouched", told))

    def _read(self, read: Request) -> bytes:
        self.probes += 1
        return self.exchange(read).reply.body

    def note(self, request: Request, reply: Reply, broken: Broken) -> None:
        """Keep a broken promise."""
        operation = self.operation_of(request)
        finding = Finding(
            role=self.target.role,
            operation=f"{request.method} {self._template(request)}" if operation is None else label(operation),
            promise=broken.promise,
            told=broken.told,
            phase=self.phase,
            round=self.round,
            curl=curl_of(self.target.base_url, request),
            answer=answer_of(reply),
            weight=len(request.body) + len(request.path),
        )
        self.findings.add(finding)

    def operation_of(self, request: Request) -> Operation | None:
        """The operation that a request is for; None where the document has none."""
        template = self._template(request)
        if not template or request.method not in self.contract.methods(template):
            return None
        return self.contract.operation(request.method, template)

    def refresh(self) -> None:
        """Read the books again, after time passed without a request."""
        self._books = self.target.books()

    def _template(self, request: Request) -> str:
        # As the server sees it: an encoded slash parts segments there.
        return self.contract.route_of(unquote(request.path.partition("?")[0]))

    def _count(self, operation: Operation | None, request: Request, reply: Reply) -> None:
        if operation is not None:
            self.statuses[(operation.method, operation.path, reply.status)] += 1
        elif reply.status == 405:
            # 405 belongs to every operation of the resource, whose methods the asked one is not among.
            template = self._template(request)
            for method in self.contract.methods(template) if template else ():
                self.statuses[(method, template, 405)] += 1

    @staticmethod
    def _is_keyed(operation: Operation | None, request: Request) -> bool:
        return operation is not None and bool(header(request, KEY_HEADER)) and takes_key(operation)

    def _remember(self, exchange: Exchange) -> None:
        operation = exchange.operation
        if operation is None:
            return
        asked = promises.parsed_json(exchange.request.body)
        answered = promises.parsed_json(exchange.reply.body)
        self.known.learn(asked, answered, **path_values(operation, exchange.request.path))


def label(operation: Operation) -> str:
    """Method and path template."""
    return f"{operation.method} {operation.path}"


def header(request: Request, name: str) -> str:
    """A header of a request, whatever the case of its name; "" when it has none."""
    return next((value for given, value in request.headers.items() if given.lower() == name.lower()), "")


def path_values(operation: Operation, path: str) -> dict[str, str]:
    """The values of the path's parameters, by name."""
    parts = unquote(path.partition("?")[0]).split("/")
    pairs = zip(operation.path.split("/"), parts, strict=False)
    return {template[1:-1]: value for template, value in pairs if template.startswith("{")}


def altered_body(operation: Operation | None, request: Request) -> bytes | None:
    """Another payload that the operation allows too; None when no small change gives one."""
    body = promises.parsed_json(request.body)
    if operation is None or not isinstance(body, dict):
        return None
    for changed in _variants(body):
        if changed != body and not operation.request_errors(changed):
            return orjson.dumps(changed)
    return None


def _variants(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    variants = []
    for name, value in reversed(list(body.items())):
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, int):
            variants += [{**body, name: value + 1}, {**body, name: value - 1}]
        elif isinstance(value, str):
            variants += [{**body, name: value + "x"}, {**body, name: value[:-1]}, {**body, name: "express"}]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            variants += [{**body, name: [inner, *value[1:]]} for inner in _variants(value[0])]
        elif isinstance(value, dict):
            variants += [{**body, name: inner} for inner in _variants(value)]
    return variants


def takes_key(operation: Operation) -> bool:
    """Its writes go under an Idempotency-Key."""
    return any(each.name == KEY_HEADER for each in operation.headers)
