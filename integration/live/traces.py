"""Spans for OpenTelemetry, by the standard environment variables (OTEL_EXPORTER_OTLP_ENDPOINT and its like).

The correlation id of an order is its trace id: a client's traceparent begins the trace, messages carry the span that
put them, and partners are given the span that calls them and send it back with their webhooks. So one order is one
trace, over every process that works on it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from importlib import import_module
from typing import Any

from integration.settings import SettingsError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_HTTP = "http/protobuf"


def asked_for(environment: Mapping[str, str]) -> bool:
    """Whether the environment names a collector, and does not switch traces off."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environment.get(name) for name in ENDPOINTS)


class Traces:
    """Makes spans and has them exported. `exporter` is OpenTelemetry's; the environment's unless given."""

    def __init__(self, environment: Mapping[str, str], exporter: Any = None) -> None:
        self._api: Any = _module("opentelemetry.trace")
        sdk, export = _module("opentelemetry.sdk.trace"), _module("opentelemetry.sdk.trace.export")
        resources = _module("opentelemetry.sdk.resources")
        name = {} if environment.get("OTEL_SERVICE_NAME") else {"service.name": "peakproof-integration"}
        self._provider = sdk.TracerProvider(resource=resources.Resource.create(name))
        if exporter is None:
            exporter = _exporter(environment)
            self._provider.add_span_processor(export.BatchSpanProcessor(exporter))
        else:
            self._provider.add_span_processor(export.SimpleSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("peakproof.integration")
        self._format: Any = _module("opentelemetry.trace.propagation.tracecontext").TraceContextTextMapPropagator()

    @contextmanager
    def serving(self, name: str, traceparent: str) -> Iterator[Any]:
        """The span of a request that came with this traceparent, or none."""
        parent = self._format.extract({"traceparent": traceparent}) if traceparent else None
        with self._tracer.start_as_current_span(name, context=parent, kind=self._api.SpanKind.SERVER) as span:
            yield span

    @contextmanager
    def calling(self, name: str) -> Iterator[Any]:
        """The span of a call to somebody else, within what is being done."""
        with self._tracer.start_as_current_span(name, kind=self._api.SpanKind.CLIENT) as span:
            yield span

    @contextmanager
    def working(self, name: str, trace_id: str, span_id: str) -> Iterator[Any]:
        """The span of an attempt at a message that was put in that span of that trace."""
        parent = self._parent(trace_id, span_id) if trace_id else None
        with self._tracer.start_as_current_span(name, context=parent, kind=self._api.SpanKind.CONSUMER) as span:
            yield span

    def _parent(self, trace_id: str, span_id: str) -> Any:
        known = span_id or blake2b(trace_id.encode(), digest_size=8).hexdigest()
        return self._format.extract({"traceparent": f"00-{trace_id}-{known}-01"})

    def here(self) -> tuple[str, str]:
        """Trace and span of what is being done; empty where there is none."""
        context = self._api.get_current_span().get_span_context()
        return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else ("", "")

    def traceparent(self) -> str:
        """What others are told of the span that is being worked in; "" where there is none."""
        carrier: dict[str, str] = {}
        self._format.inject(carrier)
        return carrier.get("traceparent", "")

    def close(self) -> None:
        """Export what has not been exported yet."""
        self._provider.shutdown()


def _exporter(environment: Mapping[str, str]) -> Any:
    asked = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if asked not in (None, "", _HTTP):
        raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {asked!r}; only {_HTTP!r} is spoken here")
    return _module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter()


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        told = f"{', '.join(ENDPOINTS)} ask for traces, and {name.split('.', 1)[0]} is missing"
        raise SettingsError(f'{told}: pip install "peakproof[live]"') from error
