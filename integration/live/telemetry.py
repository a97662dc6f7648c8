"""What a live process tells of its work: log lines always, figures and spans where somebody asked for them."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from contracts.validation import Contract
from contracts.wire import trace_id_of
from integration.bootstrap import WsgiApplication
from integration.live.logs import CORRELATION, tell
from integration.live.metrics import FILES, Counts
from integration.live.traces import Traces, asked_for
from integration.runtime import Answer, Http

requests_log = logging.getLogger("integration.requests")
attempts_log = logging.getLogger("integration.attempts")

OTHER_ROUTE = "(none)"


class Watch:
    """Watches one process: its requests, its attempts at messages, and its calls to partners."""

    def __init__(self, counts: Counts | None = None, traces: Traces | None = None) -> None:
        self.counts = counts
        self.traces = traces

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ, *, counts: bool = False) -> "Watch":
        """What the environment asks for; `counts`, or files to count into, for figures."""
        found = Counts() if counts or environment.get(FILES) else None
        return cls(found, Traces(environment) if asked_for(environment) else None)

    def close(self) -> None:
        """Hand over what is left."""
        if self.traces is not None:
            self.traces.close()

    def span_id(self) -> str:
        """The span that is being worked in; "" where there is none."""
        return self.traces.here()[1] if self.traces else ""

    @contextmanager
    def attempt(
        self, lane: str, kind: str, correlation_id: str, span_id: str, number: int
    ) -> Iterator[Callable[[str], None]]:
        """Around attempt `number` at a message."""
        outcomes: list[str] = []
        began = time.perf_counter()
        span = self.traces.working(f"{lane} {kind}", correlation_id, span_id) if self.traces else nullcontext()
        with span as told, self._correlated(correlation_id):
            try:
                yield outcomes.append
            finally:
                outcome, seconds = outcomes[-1] if outcomes else "broken", time.perf_counter() - began
                if told is not None:
                    told.set_attributes({"messaging.destination.name": lane, "messaging.operation.name": kind,
                                         "peakproof.attempt": number, "peakproof.outcome": outcome})  # fmt: skip
                if self.counts:
                    self.counts.attempt(lane, kind, outcome, seconds)
                if outcome != "defer":
                    tell(attempts_log, logging.INFO, f"{lane} {kind} {outcome}", lane=lane, kind=kind, attempt=number,
                         outcome=outcome, duration_ms=round(seconds * 1000, 3))  # fmt: skip

    @contextmanager
    def _correlated(self, correlation_id: str) -> Iterator[None]:
        trace_id, span_id = self.traces.here() if self.traces else (correlation_id, "")
        token = CORRELATION.set((trace_id, span_id))
        try:
            yield
        finally:
            CORRELATION.reset(token)

    def wsgi(self, application: WsgiApplication) -> WsgiApplication:
        """The application, watched. Whoever sends no traceparent is given that of the span that serves him."""
        contract = Contract.load("orders")

        def watched(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
            route = contract.route_of(path) or OTHER_ROUTE
            given = environ.get("HTTP_TRACEPARENT", "")
            seen: list[int] = []

            def start(status: str, headers: Any, *rest: Any) -> Any:
                seen.append(int(status.split(" ", 1)[0]))
                return start_response(status, headers, *rest)

            began = time.perf_counter()
            span = self.traces.serving(f"{method} {route}", given) if self.traces else nullcontext()
            with span as told:
                if self.traces:
                    environ["HTTP_TRACEPARENT"] = self.traces.traceparent()
                with self._correlated(trace_id_of({"traceparent": given})):
                    try:
                        return application(environ, start)
                    finally:
                        status = seen[-1] if seen else 500
                        self._served(told, method, route, status, time.perf_counter() - began)

        return watched

    def _served(self, span: Any, method: str, route: str, status: int, seconds: float) -> None:
        if span is not None:
            span.set_attributes(
                {"http.request.method": method, "http.route": route, "http.response.status_code": status}
            )
        if self.counts:
            self.counts.request(method, route, status, seconds)
        tell(requests_log, logging.INFO, f"{method} {route} {status}", method=method, route=route, status=status,
             duration_ms=round(seconds * 1000, 3))  # fmt: skip

    def http(self, http: Http) -> Http:
        """The port, with a span around each exchange of which the other side is told; itself where none are kept."""
        return _TracedHttp(http, self.traces) if self.traces else http


class _TracedHttp:
    def __init__(self, http: Http, traces: Traces) -> None:
        self._http = http
        self._traces = traces

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_us: int) -> Answer:
        with self._traces.calling(method) as span:
            span.set_attributes({"http.request.method": method, "url.full": url.partition("?")[0]})
            told = {**headers, "traceparent": self._traces.traceparent()}
            answer = self._http.send(method, url, told, body, timeout_us)
            span.set_attribute("http.response.status_code", answer.status)
            return answer
