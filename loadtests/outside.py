"""The outside of a live world: the crowd's tasks are greenlets, its letters go over Locust's clients.

Faults on the way between a channel and the integration are played here, where real callers would meet them, as far as
a caller can: EDGE_KINDS. Counts (`nth`, `every`, `limit`) are those of this process.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import gevent
from locust.env import Environment

from contracts.wire import trace_id_of
from loadtests.adapters import Adapter
from loadtests.plan import EDGE_KINDS, Pace
from loadtests.users import Caller, caller
from scenarios.crowd import Letter
from simulators.kernel.chance import Chance
from simulators.kernel.faults import Fault, Selector
from simulators.kernel.tampering import Answer


class Evidence(Protocol):
    """Where rows of evidence go."""

    def row(self, kind: str, /, **columns: Any) -> None: ...


class Outside:
    """See scenarios.crowd.Outside. `urls` per host."""

    def __init__(
        self,
        environment: Environment,
        pace: Pace,
        chance: Chance,
        evidence: Evidence,
        urls: Mapping[str, str],
        adapter: Adapter,
        faults: tuple[Fault, ...],
        timeout_us: int,
    ) -> None:
        self.chance = chance
        self.pace = pace
        self.evidence = evidence
        self.tasks: list[gevent.Greenlet] = []
        self._environment = environment
        self._urls = urls
        self._adapter = adapter
        self._timeout_s = timeout_us / 1e6
        self._callers: dict[type[Caller], Caller] = {}
        self._selectors = [Selector(fault) for fault in faults if fault.kind in EDGE_KINDS]

    @property
    def protocol(self) -> Pace:
        """The clock of faults, which on a caller's way are in business time."""
        return self.pace

    def now_us(self) -> int:
        return self.pace.now_us()

    def sleep(self, duration_us: int) -> None:
        gevent.sleep(self.pace.seconds(duration_us))

    def pause(self, duration_us: int) -> None:
        gevent.sleep(duration_us / 1e6)

    def spawn(self, name: str, function: Callable[..., object], *arguments: object) -> None:
        del name
        gevent.spawn(function, *arguments)

    def row(self, **columns: Any) -> None:
        self.evidence.row("operations", **columns)

    def send(self, letter: Letter, timeout_us: int) -> Answer:
        """One exchange, with what faults make of it. `timeout_us` is that of every caller of the run."""
        assert timeout_us == round(self._timeout_s * 1e6), "callers are made with one time-out"
        host = urlsplit(letter.url).netloc
        struck = self._strikes(letter) if host == "integration" else {}
        if "delay" in struck:
            gevent.sleep(self.pace.seconds(struck["delay"].delay_us))
        if "request_lost" in struck or "partition" in struck:
            gevent.sleep(self._timeout_s)
            raise TimeoutError("the request was lost")
        answer = self._exchange(letter, host)
        if "duplicate" in struck:
            gevent.spawn_later(self.pace.seconds(struck["duplicate"].delay_us), self._copied, letter, host)
        if "reply_lost" in struck:
            gevent.sleep(self._timeout_s)
            raise TimeoutError("the reply was lost")
        return answer

    def _copied(self, letter: Letter, host: str) -> None:
        try:
            self._exchange(letter, host, copy=1)
        except (TimeoutError, ConnectionError):
            return  # nobody waits for the answer to a copy

    def _exchange(self, letter: Letter, host: str, copy: int = 0) -> Answer:
        """One exchange over the wire, and its row of evidence."""
        sent_at_us = self.now_us()
        outcome, answer = "reset", None
        try:
            answer = self._asked(letter, host, sent_at_us)
            outcome = "answered"
        except TimeoutError:
            outcome = "timeout"
            raise
        except ConnectionRefusedError:
            outcome = "refused"
            raise
        finally:
            self._note(letter, host, copy, sent_at_us, outcome, answer)
        return answer

    def _asked(self, letter: Letter, host: str, sent_at_us: int) -> Answer:
        kind = caller(letter.sender, letter.part)
        user = self._callers.get(kind) or self._made(kind)
        foreign = self._adapter if host == "integration" else None
        request = foreign.request(letter) if foreign else None
        method, path, headers, body = request or (letter.method, _path(letter.url), letter.headers, letter.body)
        late_ms = 0.0
        if letter.due_at_us is not None:
            late_ms = self.pace.seconds(sent_at_us - letter.due_at_us) * 1e3
        url = self._urls[host].rstrip("/") + path
        name = _label(_path(letter.url))
        with user.client.request(
            method,
            url,
            name=name if foreign else f"{host} {name}",
            data=body or None,  # type: ignore[arg-type]  # bytes are sent as they are
            headers=dict(headers),
            catch_response=True,
        ) as response:
            response.request_meta["response_time"] += late_ms  # counted from when it was meant to be sent
            error = getattr(response, "error", None)
            if error is not None and response.status_code == 0:
                response.failure(error)
                raise _trouble(error)
            status = response.status_code
            if status < 500 and status != 429:
                response.success()
            content = response.content or b""
            answer = Answer(status, {name.lower(): value for name, value in response.headers.items()}, content)
        return foreign.answer(letter, answer) if foreign else answer

    def _made(self, kind: type[Caller]) -> Caller:
        kind.host = "http://unused"
        kind.network_timeout = kind.connection_timeout = self._timeout_s
        self._callers[kind] = kind(self._environment)
        return self._callers[kind]

    def _note(self, letter: Letter, host: str, copy: int, sent_at_us: int, outcome: str, answer: Answer | None) -> None:
        if host != "integration":
            return  # the node's own process writes that exchange
        retry_after = answer.headers.get("retry-after", "") if answer else ""
        self.evidence.row(
            "exchanges",
            source=letter.sender,
            target=host,
            method=letter.method,
            path=_path(letter.url),
            route=_label(_path(letter.url)),
            correlation_id=trace_id_of(letter.headers) or None,
            key=letter.headers.get("Idempotency-Key"),
            attempt=1,
            sent_at_us=sent_at_us,
            completed_at_us=self.now_us(),
            status=answer.status if answer else None,
            outcome=outcome,
            copy=copy,
            request_bytes=len(letter.body),
            answer_bytes=len(answer.body) if answer else None,
            retry_after_s=int(retry_after) if retry_after.isdecimal() else None,
        )

    def _strikes(self, letter: Letter) -> dict[str, Fault]:
        """The faults that strike this letter, by kind; each is written to evidence."""
        struck = {}
        path = _path(letter.url)
        key = letter.headers.get("Idempotency-Key", path)
        for selector in self._selectors:
            fault = selector.fault
            fits = fault.source == letter.sender and selector.fits(self, letter.method, _label(path), "")  # type: ignore[arg-type]
            if fits and selector.takes(self, (key, trace_id_of(letter.headers), 1)):  # type: ignore[arg-type]
                struck[fault.kind] = fault
                now_us = self.now_us()
                place = {"from_us": now_us, "to_us": now_us, "detail": key}
                self.evidence.row("faults", fault=fault.id, kind=fault.kind, target=fault.aim, event="strike", **place)
        return struck


def _path(url: str) -> str:
    """Path and query of a letter's URL."""
    return "/" + url.split("://", 1)[1].partition("/")[2]


def _label(path: str) -> str:
    """The route of a path of the order API or of a node: with `{order_id}` for an order's."""
    parts = path.partition("?")[0].split("/")
    if len(parts) > 2 and parts[1] == "orders":
        parts[2] = "{order_id}"
    return "/".join(parts)


def _trouble(error: Exception) -> OSError:
    """What went wrong with an exchange, as one of three: refused, too late, or cut."""
    if isinstance(error, TimeoutError) or "timed out" in str(error).lower():
        return TimeoutError(str(error))
    if isinstance(error, ConnectionRefusedError):
        return error
    return ConnectionResetError(f"{type(error).__name__}: {error}")
