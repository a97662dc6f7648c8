"""The network: WSGI applications attached by host name, and the exchanges between them.

An exchange is a request leg, a handler in a task of its own on the server, and a response leg. Each leg has latency and
may be struck by faults. A client that times out does not stop the server: the work goes on and its effect stands.

`send` raises the standard library's errors, so that an application needs none of ours:
  TimeoutError             no answer in time: whether the work was done is not known
  ConnectionRefusedError   the host was down when the request arrived: certainly nothing was done
  ConnectionResetError     the connection broke: whether the work was done is not known
"""

import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote
from wsgiref.types import WSGIApplication

import simpy

from simulators.kernel.faults import REPLACING_KINDS, Fault, Selector
from simulators.kernel.tampering import Answer, drifted, garbled, put_in_place, tail_us, with_body
from simulators.kernel.tasks import KernelError, Life

if TYPE_CHECKING:
    from simulators.kernel.world import World

__all__ = ["Answer", "Errand", "Network", "Visit"]

LATE_COPY_US = 3 * 3_600_000_000
_EVENT_TYPE = re.compile(rb'"type"\s*:\s*"([a-z_.]+)"')
REAL_LEG_US = 20_000
"""What a `latency` fault takes a leg for where the real network carries it, and its own latency can't be stretched."""
_PROBLEM_TYPE = re.compile(rb'"type"\s*:\s*"(?:urn:peakproof:problem:)?([^"]+)"')


class Caller(Protocol):
    """Whoever waits for an exchange: a task, or a visit from outside of the world."""

    def resume(self, event: simpy.Event | None) -> None:
        """The exchange has ended; called in the hub."""
        ...


class Visit:
    """An exchange whose caller is outside of the world. `on_end` is called in the hub, once."""

    __slots__ = ("_exchange", "_network", "_on_end")

    def __init__(self, network: "Network", exchange: "_Exchange", on_end: Callable[["Visit"], None]) -> None:
        self._network = network
        self._exchange = exchange
        self._on_end: Callable[[Visit], None] | None = on_end

    @property
    def outcome(self) -> str:
        """answered, refused, reset or timeout; empty while it is under way."""
        return self._exchange.outcome

    @property
    def answer(self) -> Answer | None:
        return self._exchange.answer

    def resume(self, _event: simpy.Event | None) -> None:
        on_end, self._on_end = self._on_end, None
        assert on_end is not None, "an exchange ends once"
        on_end(self)

    def give_up(self) -> None:
        """The caller has gone. The server goes on."""
        self._network.give_up(self._exchange)


@dataclass(frozen=True)
class Errand:
    """An exchange for a real server. `done` takes its answer, or None and how it failed: refused, reset, or nothing
    when no answer came in time. It must be called in the hub."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    timeout_us: int
    done: Callable[[Answer | None, str], None]


Carry = Callable[[Errand], None]


class _Host:
    __slots__ = (
        "app", "before_crash", "carry", "environ", "factory", "fixed", "foreign", "life", "name", "older", "routes",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        factory: Callable[[], WSGIApplication],
        routes: Sequence[tuple[str, str]],
        errors: "_Errors",
        foreign: bool,
    ) -> None:
        self.name = name
        self.foreign = foreign
        self.carry: Carry | None = None
        self.environ: dict[str, Any] = {
            "SCRIPT_NAME": "",
            "SERVER_NAME": name,
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": errors,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        self.factory = factory
        self.app: WSGIApplication | None = None
        self.life = Life(name)
        self.before_crash: list[Callable[[], None]] = []
        self.older: list[tuple[Life, list[Callable[[], None]]]] = []
        self.fixed = frozenset(route for route in routes if "{" not in route[1])
        self.routes: dict[tuple[str, int], list[tuple[list[str], str]]] = {}
        for method, template in routes:
            parts = template.split("/")
            self.routes.setdefault((method, len(parts)), []).append((parts, template))

    def route(self, method: str, path: str) -> str:
        """The OpenAPI template of a path, or the path itself where none is declared."""
        if (method, path) in self.fixed:
            return path
        parts = path.split("/")
        for pattern, template in self.routes.get((method, len(parts)), ()):
            if all(want == got or want[:1] == "{" for want, got in zip(pattern, parts, strict=True)):
                return template
        return path


class _Exchange:
    """One call in the making, from the caller's side and the server's."""

    __slots__ = (
        "answer",
        "arrived_at_us",
        "attempt",
        "client",
        "completed_at_us",
        "copy",
        "correlation_id",
        "event_type",
        "fault",
        "handled_at_us",
        "header_environ",
        "key",
        "method",
        "outcome",
        "path",
        "problem",
        "remote",
        "request_bytes",
        "response_latency_us",
        "route",
        "scripted",
        "selectors",
        "sent_at_us",
        "served",
        "source",
        "target",
    )  # fmt: skip

    def __init__(self, source: str, target: str, method: str, path: str) -> None:
        self.source = source
        self.target = target
        self.method = method
        self.path = path
        self.client: Caller | None = None
        self.answer: Answer | None = None
        self.arrived_at_us: int | None = None
        self.handled_at_us: int | None = None
        self.completed_at_us: int | None = None
        self.outcome = ""
        self.fault = ""
        self.problem: str | None = None
        self.copy = 0
        self.served = False
        self.header_environ: dict[str, str] = {}
        self.key = ""
        self.correlation_id = ""
        self.event_type = ""
        self.route = ""
        self.attempt = 1
        self.request_bytes = 0
        self.sent_at_us = 0
        self.response_latency_us = 0
        self.selectors: list[Selector] | None = None
        self.scripted: Answer | None = None
        self.remote: tuple[str, Mapping[str, str], int] | None = None  # url, headers, time-out of one that goes outside


_SHARED_BY_COPIES = (
    "header_environ", "key", "correlation_id", "event_type", "route", "attempt", "request_bytes", "sent_at_us",
    "response_latency_us", "remote",
)  # fmt: skip


class Network:
    """Hosts by name, and the exchanges between them."""

    def __init__(self, world: "World", latency_us: tuple[int, int]) -> None:
        self._world = world
        self._low_us = latency_us[0]
        self._spread_us = latency_us[1] - latency_us[0]
        self._hosts: dict[str, _Host] = {}
        self._attempts: dict[int | str, int] = {}
        self._open: dict[int, _Exchange] = {}
        self._header_names: dict[str, str] = {}
        self._armed = False
        self._outside: _Host | None = None
        self.forgiving = False
        """Whether a failing handler of any host is answered 500 and logged, as a foreign one's is."""

    def attach(
        self,
        host: str,
        factory: Callable[[], WSGIApplication],
        routes: Sequence[tuple[str, str]] = (),
        foreign: bool = False,
    ) -> None:
        """Put an application on the network. `factory` makes it, now and again after each crash.

        `routes` are (method, path template) pairs, so that evidence and faults can name a route. An application that is
        `foreign` is under test and not ours. What it raises is its own failure and never the run's: a handler's is
        answered 500, as a server would, a background task's ends that task, and the traceback stands in `<host>.log`
        beside the evidence. Its factory runs in a task, so that it may wait; until it is done, connections are refused.
        """
        if host in self._hosts:
            raise KernelError(f"host {host!r} is already attached: host names are unique")
        entry = _Host(host, factory, routes, _Errors(self._world, host), foreign)
        self._hosts[host] = entry
        self._begin(entry, first=True)
        if not self._armed:
            self._armed = True
            self._world.faults.schedule(
                {"crash": self.crash, "pause": self.pause, "overlap": self.overlap},
                {"crash": self.restart, "pause": self.resume, "overlap": self.retire},
            )

    def open_outwards(self, host: str, carry: Carry, routes: Sequence[tuple[str, str]] = ()) -> None:
        """Let whatever is not on the network be reached by `carry`. To faults and evidence all of it is one `host`."""
        self._outside = _Host(host, _nobody, routes, _Errors(self._world, host), foreign=True)
        self._outside.app = _nobody()
        self._outside.carry = carry

    def has(self, host: str) -> bool:
        """Whether a host runs in this world; one that is only reached from it does not."""
        return host in self._hosts

    def name_of(self, url: str) -> str:
        """The host that a URL leads to, by the name that faults and evidence know it by."""
        target, _ = _split_url(url)
        return self._outside.name if self._outside is not None and target not in self._hosts else target

    def visit(
        self,
        source: str,
        target: str,
        method: str,
        path: str,
        header_environ: dict[str, str],
        body: bytes,
        on_end: Callable[[Visit], None],
    ) -> Visit:
        """One exchange for a caller outside of the world, from the hub. `header_environ` names headers as WSGI does; a
        time-out is the caller's own: `Visit.give_up`."""
        exchange = _Exchange(source, target, method, path)
        exchange.header_environ = header_environ
        exchange.client = visit = Visit(self, exchange, on_end)
        self._send_off(exchange, self._hosts[target], body, at_once=True)
        return visit

    def life(self, host: str) -> Life | None:
        """The present life of a host; None for a name that is only a client."""
        entry = self._hosts.get(host)
        return entry.life if entry else None

    def before_crash(self, host: str, action: Callable[[], None]) -> None:
        """Have `action` called, from outside of the host's tasks, when the host crashes in its present life."""
        self._hosts[host].before_crash.append(action)

    def send(
        self, source: str, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_us: int
    ) -> Answer:
        """One exchange, from inside a task. `timeout_us` counts from now to the whole answer."""
        world = self._world
        target, path = _split_url(url)
        host = self._hosts.get(target) or self._outside
        if host is None:
            raise ConnectionRefusedError(f"no host {target!r} on the network: {method} {url}")
        exchange = _Exchange(source, host.name, method, path)
        exchange.client = world.tasks.running()
        names, environ = self._header_names, exchange.header_environ
        for name, value in headers.items():
            environ[names.get(name) or self._learn_header(name)] = value
        if host.carry is not None:
            exchange.remote = (url, headers, timeout_us)
        self._send_off(exchange, host, body)
        timer = world.protocol.timeout(timeout_us)
        timer.callbacks.append(lambda _event: self.give_up(exchange))
        world.tasks.park()
        if timer.callbacks:
            timer.callbacks.clear()  # what was answered must not be kept until its time-out would have been
        if exchange.outcome == "answered":
            assert exchange.answer is not None
            return exchange.answer
        raise _error_of(exchange, timeout_us)

    def overlap(self, host: str) -> None:
        """Start a second life of a host beside the one it has: new requests go to the new one, while the older one goes
        on with its own work until it is retired. A host that is down stays so."""
        entry = self._hosts[host]
        if entry.app is not None:
            entry.older.append((entry.life, entry.before_crash))
            entry.before_crash = []
            entry.life = Life(host, entry.life.number + 1)
            entry.life.paused = entry.older[-1][0].paused
            self._begin(entry, first=False)

    def retire(self, host: str) -> None:
        """End the older lives of a host where they stand; the newest one goes on."""
        entry = self._hosts[host]
        older, entry.older = entry.older, []
        for life, actions in older:
            life.ended = True
            for action in actions:
                action()

    def crash(self, host: str) -> None:
        """End every task of a host where it stands; its callers see their connections break."""
        self.retire(host)
        entry = self._hosts[host]
        entry.life.ended = True
        actions, entry.before_crash = entry.before_crash, []
        for action in actions:
            action()
        entry.app = None
        for exchange in list(self._open.values()):
            if exchange.target == host and not exchange.served and exchange.arrived_at_us is not None:
                exchange.served = True
                self._complete(exchange, "reset")

    def crash_from_within(self, host: str, down_us: int) -> None:
        """Crash a host from inside of one of its own tasks, which must then park for ever; it starts again later."""
        entry = self._hosts[host]
        entry.life.ended = True
        entry.app = None
        crash = self._world.event()
        crash.callbacks.append(lambda _event: self.crash(host))
        crash.succeed()
        self._after(down_us, lambda _event: self.restart(host))

    def pause(self, host: str) -> None:
        """Stop every task of a host where it waits, and let nothing new begin there."""
        for life in self._lives(host):
            life.paused = True

    def resume(self, host: str) -> None:
        """Let a paused host go on: what would have gone on meanwhile does so now, in that order."""
        for life in self._lives(host):
            life.paused = False
            stalled, life.stalled = life.stalled, []
            for go_on in stalled:
                go_on()

    def _lives(self, host: str) -> list[Life]:
        """The lives of a host that go on, the oldest first."""
        entry = self._hosts[host]
        return [*(life for life, _ in entry.older), entry.life]

    def restart(self, host: str) -> None:
        """Start a crashed host anew."""
        entry = self._hosts[host]
        if entry.app is None:
            entry.life = Life(host, entry.life.number + 1)
            self._begin(entry, first=False)

    def contain(self, host: str, function: Callable[..., object]) -> Callable[..., object]:
        """A function for a task of that host: as it is, or for a foreign host with its failure kept to that task."""
        return partial(self._contained, self._hosts[host], function) if self._hosts[host].foreign else function

    def hang_up(self) -> None:
        """Break the connection of every caller outside of the world."""
        for exchange in list(self._open.values()):
            if isinstance(exchange.client, Visit):
                self._complete(exchange, "reset")

    def visits(self) -> int:
        """How many callers outside of the world wait for an answer that will come."""
        return sum(isinstance(one.client, Visit) and not (one.served or one.outcome) for one in self._open.values())

    def close(self) -> None:
        """Write the exchanges that never ended to evidence. Call once, at the end of the run."""
        for exchange in list(self._open.values()):
            self._write(exchange)
        self._open.clear()

    def _begin(self, host: _Host, first: bool) -> None:
        """Have a host's application made: a foreign one in a task of its own."""
        if host.foreign:
            self._world.spawn(f"{host.name} start", self._start_foreign, host, first, host=host.name)
        else:
            host.app = host.factory()

    def _start_foreign(self, host: _Host, first: bool) -> None:
        """The first start must succeed, or there is nothing to test; one after a crash that fails leaves it down."""
        try:
            host.app = host.factory()
        except Exception as error:
            if first:
                self._world.fail(error)
            else:
                self._note_failure(host, error)

    def _contained(self, host: _Host, function: Callable[..., object], *arguments: object) -> None:
        try:
            function(*arguments)
        except (Exception, SystemExit) as error:
            world = self._world
            self._note_failure(host, error)
            row = {"at_us": world.now_us(), "source": host.name, "location": world.tasks.running().name}
            world.evidence.row("gauges", name="task_failed", value=1.0, **row)

    def _note_failure(self, host: _Host, error: BaseException) -> None:
        where = f"{self._world.tasks.running().name}: "
        host.environ["wsgi.errors"].write(where + "".join(traceback.format_exception(error)))

    def _send_off(self, exchange: _Exchange, host: _Host, body: bytes, at_once: bool = False) -> None:
        """The request leg, as far as faults let it; `at_once` from the hub, where a leg without latency is no event."""
        request_us = self._describe(exchange, host, body)
        selectors = exchange.selectors
        if selectors is not None:
            request_us, body = self._strike_request(exchange, selectors, host, body, request_us)
        if request_us == 0 and at_once:
            self._arrive(exchange, host, body)
        elif request_us >= 0:
            self._after(request_us, lambda _event: self._arrive(exchange, host, body))

    def _describe(self, exchange: _Exchange, host: _Host, body: bytes) -> int:
        """Fill in what names this exchange, and draw its latencies; returns the request leg's."""
        world = self._world
        environ = exchange.header_environ
        exchange.key = key = environ.get("HTTP_IDEMPOTENCY_KEY") or environ.get("HTTP_WEBHOOK_ID", "")
        exchange.correlation_id = environ.get("HTTP_TRACEPARENT", "")[3:35]
        if environ.get("CONTENT_TYPE") == "application/cloudevents+json":
            found = _EVENT_TYPE.search(body)
            exchange.event_type = found.group(1).decode() if found else ""
        exchange.route = host.route(exchange.method, exchange.path.partition("?")[0])
        exchange.request_bytes = len(body)
        exchange.sent_at_us = world.now_us()
        edge = (exchange.source, exchange.target)
        names = (*edge, exchange.method, exchange.path, key)
        spread = bool(self._spread_us)  # else nothing is drawn, and the names alone say which call this is
        identity: int | str = world.chance.bits("exchange", *names) if spread else "\n".join(names)
        exchange.attempt = attempt = self._attempts.get(identity, 0) + 1
        self._attempts[identity] = attempt
        bits = identity if isinstance(identity, int) else 0
        if spread and attempt > 1:
            bits = world.chance.bits("exchange", identity, attempt)
        exchange.response_latency_us = self._low_us + ((bits >> 32) * self._spread_us >> 32)
        exchange.selectors = world.faults.on_edge(*edge)
        self._open[id(exchange)] = exchange
        return self._low_us + ((bits & 0xFFFFFFFF) * self._spread_us >> 32)

    def _learn_header(self, name: str) -> str:
        known = self._header_names[name] = _environ_name(name)
        return known

    def _strike_request(
        self, exchange: _Exchange, selectors: list[Selector], host: _Host, body: bytes, leg_us: int
    ) -> tuple[int, bytes]:
        """Let faults act on the request leg: its new latency (-1 when it never arrives), and the body that arrives."""
        arriving = body
        for fault in self._strikes(exchange, selectors, False, len(body)):
            exchange.fault = fault.id
            if fault.kind == "latency":
                leg_us = self._stretched_us(leg_us, fault)
                exchange.response_latency_us = self._stretched_us(exchange.response_latency_us, fault)
            elif fault.kind in ("duplicate", "late_copy"):
                self._send_copies(exchange, fault, host, body, leg_us)
            elif fault.kind in ("request_lost", "partition"):
                exchange.served = True
                return -1, body
            elif fault.kind == "cut":
                exchange.served = True
                self._after(leg_us, lambda _event: self._complete(exchange, "reset"))
                return -1, body
            elif fault.kind == "garbled":
                arriving = garbled(self._world.chance, fault, body, exchange.path, exchange.key, exchange.attempt)
            elif fault.kind in REPLACING_KINDS:
                exchange.scripted = put_in_place(fault)
            else:
                leg_us = self._slower(exchange, fault, leg_us)
        return leg_us, arriving

    def _slower(self, exchange: _Exchange, fault: Fault, leg_us: int) -> int:
        """The latency of a leg that a fault keeps back."""
        if fault.kind == "delay":
            return leg_us + self._world.faults.lasting_us(fault, fault.delay_us)
        if fault.kind == "latency_tail":
            drawn_us = tail_us(self._world.chance, fault, exchange.path, exchange.key, exchange.attempt)
            return leg_us + self._world.faults.lasting_us(fault, drawn_us)
        assert fault.kind == "hold", f"{fault.kind} keeps nothing back"
        return leg_us + self._world.faults.left_us(fault)

    def _stretched_us(self, leg_us: int, fault: Fault) -> int:
        return round(leg_us * fault.strength) if self._spread_us or leg_us else round(REAL_LEG_US * fault.strength)

    def _strikes(self, exchange: _Exchange, selectors: list[Selector], reply: bool, size: int) -> list[Fault]:
        key = (exchange.method, exchange.path, exchange.key, exchange.attempt)
        return self._world.faults.strikes(
            selectors, reply, exchange.method, exchange.route, exchange.event_type, key, size
        )

    def _send_copies(self, original: _Exchange, fault: Fault, host: _Host, body: bytes, leg_us: int) -> None:
        """The network doubles a request: the copies arrive later and nobody waits for their answers."""
        delay_us = fault.delay_us or (LATE_COPY_US if fault.kind == "late_copy" else 0)
        gap_us = self._world.faults.lasting_us(fault, delay_us)
        for number in range(1, fault.copies + 1):
            copy = _Exchange(original.source, original.target, original.method, original.path)
            for name in _SHARED_BY_COPIES:
                setattr(copy, name, getattr(original, name))
            copy.copy = number
            copy.fault = fault.id
            self._open[id(copy)] = copy
            self._after(leg_us + number * gap_us, partial(self._arrive_copy, copy, host, body))

    def _arrive_copy(self, copy: _Exchange, host: _Host, body: bytes, _event: simpy.Event) -> None:
        self._arrive(copy, host, body)

    def _arrive(self, exchange: _Exchange, host: _Host, body: bytes) -> None:
        """The request reaches the host: refused when it is down, kept waiting when it is frozen or paused."""
        world = self._world
        exchange.arrived_at_us = world.now_us()
        struck = host.name in world.faults.afflicted
        outage = world.faults.in_force("outage", host.name) if struck else None
        if outage is not None:
            exchange.fault = outage.id
            world.faults.record(outage, f"{exchange.method} {exchange.path} refused")
        if outage is not None or host.app is None:
            exchange.served = True
            self._after(exchange.response_latency_us, lambda _event: self._complete(exchange, "refused"))
            return
        frozen = world.faults.in_force("frozen", host.name) if struck else None
        if frozen is not None:
            exchange.fault = frozen.id
            world.faults.record(frozen, f"{exchange.method} {exchange.path} kept waiting")
            self._after(world.faults.left_us(frozen), lambda _event: self._take_up(exchange, host, body))
        else:
            self._take_up(exchange, host, body)

    def _take_up(self, exchange: _Exchange, host: _Host, body: bytes) -> None:
        """Handle a request in a task of its own, unless the host crashed meanwhile."""
        if exchange.served or host.app is None:
            return
        if host.life.paused:
            host.life.stalled.append(lambda: self._take_up(exchange, host, body))
        elif exchange.scripted is not None:
            self._answer(exchange, exchange.scripted)
        elif host.carry is not None:
            self._carry_out(host.carry, exchange, body)
        else:
            name = f"{host.name} {exchange.method} {exchange.path} {exchange.key} {exchange.attempt}"
            name += f" copy {exchange.copy}" if exchange.copy else ""
            self._world.tasks.start(name, host.life, self._serve, (exchange, host, host.app, body))

    def _carry_out(self, carry: Carry, exchange: _Exchange, body: bytes) -> None:
        """Have a real server handle a request."""
        assert exchange.remote is not None, f"{exchange.method} {exchange.path} has no address"
        url, headers, timeout_us = exchange.remote

        def done(answer: Answer | None, outcome: str) -> None:
            exchange.handled_at_us = self._world.now_us()
            if answer is not None:
                self._answer(exchange, answer)
                return
            self._served(exchange)
            if outcome:
                self._complete(exchange, outcome)

        carry(Errand(exchange.method, url, headers, body, timeout_us, done))

    def _serve(self, exchange: _Exchange, host: _Host, app: WSGIApplication, body: bytes) -> None:
        call = self._call_foreign if host.foreign or self.forgiving else self._call
        answer = call(app, host, exchange, body)
        exchange.handled_at_us = self._world.now_us()
        self._answer(exchange, answer)

    def _answer(self, exchange: _Exchange, answer: Answer) -> None:
        """Send an answer back, as far as faults let it."""
        leg_us: int = exchange.response_latency_us
        outcome = "answered"
        size = len(answer.body)
        for fault in self._strikes(exchange, exchange.selectors, True, size) if exchange.selectors is not None else ():
            exchange.fault = fault.id
            if fault.kind == "cut":
                outcome = "reset"
            elif fault.kind in ("reply_lost", "partition"):
                outcome = ""
            elif fault.kind in ("delay", "latency_tail", "hold"):
                leg_us = self._slower(exchange, fault, leg_us)
            else:
                answer = self._changed(exchange, fault, answer)
        if exchange.target in self._world.faults.afflicted:
            leg_us += self._kept_us(exchange)
        exchange.answer = answer
        if answer.status >= 400:
            found = _PROBLEM_TYPE.search(answer.body)
            exchange.problem = found.group(1).decode() if found else None
        self._served(exchange)
        if outcome and leg_us == 0 and isinstance(exchange.client, Visit):
            self._complete(exchange, outcome)
        elif outcome:
            self._after(leg_us, lambda _event: self._complete(exchange, outcome))

    def _changed(self, exchange: _Exchange, fault: Fault, answer: Answer) -> Answer:
        """The answer that arrives in place of the one that was given."""
        chance, key = self._world.chance, (exchange.path, exchange.key, exchange.attempt)
        if fault.kind == "garbled":
            return with_body(answer, garbled(chance, fault, answer.body, *key))
        if fault.kind == "schema_drift":
            return with_body(answer, drifted(chance, fault, answer.body, *key)) if answer.body else answer
        return put_in_place(fault)

    def _kept_us(self, exchange: _Exchange) -> int:
        """How long a frozen host keeps its answer back."""
        faults = self._world.faults
        frozen = faults.in_force("frozen", exchange.target)
        if frozen is None:
            return 0
        exchange.fault = frozen.id
        faults.record(frozen, f"{exchange.method} {exchange.path} not answered")
        return faults.left_us(frozen)

    def _served(self, exchange: _Exchange) -> None:
        """The server is done with this exchange; write it if its caller is done too."""
        exchange.served = True
        if exchange.outcome:
            self._write(exchange)
            del self._open[id(exchange)]

    def _complete(self, exchange: _Exchange, outcome: str) -> None:
        """The caller learns how its exchange ended, unless it gave up before."""
        if exchange.outcome:
            return
        exchange.outcome = outcome
        exchange.completed_at_us = self._world.now_us()
        if exchange.served:
            self._write(exchange)
            del self._open[id(exchange)]
        client, exchange.client = exchange.client, None  # without a circle both are let go of at once
        if client is not None:
            client.resume(None)

    def give_up(self, exchange: _Exchange) -> None:
        """The caller's time-out. The server goes on."""
        if not exchange.outcome:
            self._complete(exchange, "timeout")

    def _write(self, exchange: _Exchange) -> None:
        answer = exchange.answer
        self._world.evidence.row(
            "exchanges",
            source=exchange.source,
            target=exchange.target,
            method=exchange.method,
            path=exchange.path,
            route=exchange.route,
            event_type=exchange.event_type or None,
            correlation_id=exchange.correlation_id or None,
            key=exchange.key or None,
            attempt=exchange.attempt,
            sent_at_us=exchange.sent_at_us,
            arrived_at_us=exchange.arrived_at_us,
            handled_at_us=exchange.handled_at_us,
            completed_at_us=exchange.completed_at_us,
            status=answer.status if answer else None,
            problem=exchange.problem,
            outcome=exchange.outcome or "unfinished",
            fault=exchange.fault or None,
            copy=exchange.copy,
            request_bytes=exchange.request_bytes,
            answer_bytes=len(answer.body) if answer else None,
            retry_after_s=_retry_after_s(answer),
        )

    def _after(self, delay_us: int, action: Callable[[simpy.Event], None]) -> None:
        self._world.protocol.timeout(delay_us).callbacks.append(action)

    def _call_foreign(self, app: WSGIApplication, host: _Host, exchange: _Exchange, body: bytes) -> Answer:
        """As a server does: what an application lets through is answered 500, and its traceback goes to the log."""
        try:
            return self._call(app, host, exchange, body)
        except (Exception, SystemExit) as error:
            self._note_failure(host, error)
            return Answer(500, {"content-type": "text/plain"}, b"Internal Server Error")

    def _call(self, app: WSGIApplication, host: _Host, exchange: _Exchange, body: bytes) -> Answer:
        """Call a WSGI application directly, as its server would."""
        path, _, query = exchange.path.partition("?")
        environ = host.environ.copy()
        environ.update(exchange.header_environ)
        environ["REQUEST_METHOD"] = exchange.method
        environ["PATH_INFO"] = unquote(path, "latin-1") if "%" in path else path
        environ["QUERY_STRING"] = query
        environ["REMOTE_ADDR"] = exchange.source
        environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = BytesIO(body)
        started = _Started()
        chunks: Iterable[bytes] = app(environ, started)
        data = b"".join(chunks)
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
        return Answer(int(started.status[:3]), {name.lower(): value for name, value in started.headers}, data)


class _Started:
    """start_response of one call: what an application begins its answer with."""

    __slots__ = ("headers", "status")

    def __call__(
        self, status: str, headers: Iterable[tuple[str, str]], _exc_info: object = None
    ) -> Callable[[bytes], object]:
        self.status = status
        self.headers = headers
        return _no_write


class _Errors:
    """wsgi.errors of one host: what an application complains of stands in `<host>.log` beside the evidence."""

    def __init__(self, world: "World", host: str) -> None:
        self._world = world
        self._host = host

    def write(self, text: str) -> int:
        with (self._world.evidence.directory / f"{self._host}.log").open("a", encoding="utf-8") as log:
            log.write(f"[{self._world.now_us()} us] {text}" if text.strip() else text)
        return len(text)

    def flush(self) -> None:
        """Nothing is buffered."""

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))


def _split_url(url: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    if scheme not in ("http", "https") or not rest:
        raise ValueError(f"not an http address: {url!r}")
    host, slash, path = rest.partition("/")
    return host, slash + path or "/"


def _retry_after_s(answer: Answer | None) -> int | None:
    """Retry-After in whole seconds; an HTTP date counts as not given."""
    value = answer.headers.get("retry-after", "") if answer else ""
    return int(value) if value.isascii() and value.isdigit() else None


def _environ_name(header: str) -> str:
    name = header.upper().replace("-", "_")
    return name if name == "CONTENT_TYPE" else f"HTTP_{name}"


def _error_of(exchange: _Exchange, timeout_us: int) -> OSError:
    what = f"{exchange.method} http://{exchange.target}{exchange.path}"
    if exchange.outcome == "refused":
        return ConnectionRefusedError(f"{what}: connection refused")
    if exchange.outcome == "reset":
        return ConnectionResetError(f"{what}: connection reset")
    return TimeoutError(f"{what}: no answer within {timeout_us} us")


def _nobody() -> WSGIApplication:
    """Stands where a real server's application would be."""

    def app(_environ: Any, _start_response: Any) -> Iterable[bytes]:
        raise KernelError("a real server is reached by its address, not by its application")

    return app


def _no_write(_data: bytes) -> None:
    raise KernelError("an application used start_response's write callable, which is not supported: return the body")
