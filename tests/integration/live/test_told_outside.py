"""Live processes tell what they do: events by webhook and stream, figures to Prometheus, spans, log lines.

One API with two workers and one dispatcher, with a real NATS server, and everybody who listens on loopback.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

import orjson
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from flask import Flask, Response, request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.serving import make_server

from contracts.wire import verify_webhook
from tests.integration.live.house import TOKEN, House, an_order, environment, free_port, house, wait_until
from tests.integration.live.nats_server import NatsServer, nats_server
from tests.integration.live.partners import Partners, serving
from tests.integration.live.test_stream import kept

TYPES = ["order.accepted", "order.shipped", "order.invoiced", "availability.changed"]
TRACE = "0af7651916cd43dd8448eb211c80319c"
ORDERS = 3


@dataclass
class Listener:
    """A subscriber and an OpenTelemetry collector on one port."""

    secret: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    spans: list[tuple[str, str, str, str]] = field(default_factory=list)
    """trace, span, parent and name"""

    def app(self) -> Flask:
        app = Flask("listener")

        @app.post("/events")
        def take() -> Response:
            raw, headers = request.get_data(), request.headers
            verify_webhook(self.secret, headers["webhook-id"], headers["webhook-timestamp"], raw,
                           headers["webhook-signature"], now_s=int(headers["webhook-timestamp"]))  # fmt: skip
            self.events.append(orjson.loads(raw))
            return Response(status=204)

        @app.post("/v1/traces")
        def collect() -> Response:
            sent = ExportTraceServiceRequest.FromString(request.get_data())
            for resource in sent.resource_spans:
                for scope in resource.scope_spans:
                    self.spans += [
                        (one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex(), one.name)
                        for one in scope.spans
                    ]
            return Response(status=200)

        return app


@dataclass
class Scene:
    """Everybody, and the orders that were placed."""

    house: House
    listener: Listener
    nats: NatsServer
    metrics: dict[str, int]
    order_ids: list[str] = field(default_factory=list)

    def figures(self, process: str) -> dict[tuple[str, ...], float]:
        """Samples by name and label values."""
        with urlopen(f"http://127.0.0.1:{self.metrics[process]}/metrics", timeout=5) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    def told(self, order_id: str) -> list[str]:
        return [event["type"] for event in self.listener.events if event["subject"] == order_id]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("told")
    with ExitStack() as stack:
        listener, partners, port = Listener(), Partners(), free_port()
        server = make_server("127.0.0.1", 0, listener.app(), threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        nats = stack.enter_context(nats_server(directory))
        url = f"http://127.0.0.1:{port}"
        partners.integration = url
        told = environment(f"sqlite:///{directory}/integration.db", stack.enter_context(serving(partners)), url,
                           availability_told_every="300ms")  # fmt: skip
        told |= {
            "PEAKPROOF_NATS_URL": nats.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        running = stack.enter_context(house(told, port, directory / "log"))
        scene = Scene(running, listener, nats, {"api": free_port(), "dispatch 1": free_port()})
        running.options["api"] = ["--workers", "2", "--metrics-port", str(scene.metrics["api"])]
        running.options["dispatch 1"] = ["--metrics-port", str(scene.metrics["dispatch 1"])]
        running.start("api")
        running.start("dispatch 1")
        wait_until(lambda: running.answers() and _orderable(running), 60, "the house is open")
        _place_orders(scene)
        yield scene


def _orderable(running: House) -> bool:
    status, found, _ = running.call("GET", "/availability")
    return status == 200 and len(found["items"]) > 0


def _place_orders(scene: Scene) -> None:
    asked = {"url": _events_url(scene), "types": TYPES}
    status, made, _ = scene.house.call("POST", "/subscriptions", asked, Idempotency_Key="subscribe")
    assert (status, made["status"]) == (201, "active")
    scene.listener.secret = made["secret"]
    for number in range(ORDERS):
        wait_until(partial(_placed, scene, number), 30, "reference data are there")
    for order_id in scene.order_ids:
        wait_until(partial(_invoiced, scene, order_id), 60, f"{order_id} is invoiced")


def _placed(scene: Scene, number: int) -> bool:
    headers = {"Idempotency_Key": f"k-{number}"}
    if number == 0:
        headers["traceparent"] = f"00-{TRACE}-b7ad6b7169203331-01"
    status, found, _ = scene.house.call(
        "POST", "/orders", an_order(f"PO-{number}", Random(number)), TOKEN, 5.0, **headers
    )
    if status == 201:
        scene.order_ids.append(found["order_id"])
    return status == 201


def _invoiced(scene: Scene, order_id: str) -> bool:
    return "order.invoiced" in scene.told(order_id)


def _events_url(scene: Scene) -> str:
    return scene.house.told["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/events"


def test_events_come_by_webhook_in_order_and_once(scene: Scene) -> None:
    for order_id in scene.order_ids:
        told = list(dict.fromkeys(scene.told(order_id)))
        assert told == ["order.accepted", "order.shipped", "order.invoiced"]
    ids = [event["id"] for event in scene.listener.events]
    assert len(ids) == len(set(ids))
    assert "availability.changed" in {event["type"] for event in scene.listener.events}


def test_the_same_events_are_in_the_stream_for_whoever_comes_later(scene: Scene) -> None:
    def in_stream() -> dict[str, str]:
        return {event_id: subject for subject, event_id, _ in kept(scene.nats.url)}

    expected = {event["id"] for event in scene.listener.events}
    wait_until(lambda: expected <= in_stream().keys(), 20, "the stream has what the subscriber has")
    found = kept(scene.nats.url)
    of_first = [subject for subject, _, _ in found if subject.endswith(scene.order_ids[0])]
    types = list(dict.fromkeys(subject.removeprefix("peakproof.").rsplit(".", 1)[0] for subject in of_first))
    assert [kind for kind in types if kind in TYPES] == ["order.accepted", "order.shipped", "order.invoiced"]
    body = found[0][2]
    event = from_http_event(HTTPMessage({"content-type": "application/cloudevents+json"}, body))
    assert (event.get_specversion(), event.get_source()) == ("1.0", "integration")


def test_prometheus_finds_requests_of_all_workers_and_attempts_and_queues(scene: Scene) -> None:
    api = scene.figures("api")
    assert api[("peakproof_requests_total", "POST", "/orders", "201")] == ORDERS
    assert api[("peakproof_request_seconds_count", "POST", "/webhooks/{partner}")] >= 3 * ORDERS
    assert api[("peakproof_database_up",)] == 1
    dispatch = scene.figures("dispatch 1")
    assert dispatch[("peakproof_attempts_total", "book_order", "erp", "done")] == ORDERS
    wait_until(lambda: scene.figures("dispatch 1")[("peakproof_lane_ready", "events")] == 0, 20, "all is delivered")
    assert dispatch[("peakproof_lane_dead", "erp")] == 0
    assert dispatch[("peakproof_lane_breaker_open", "erp")] == 0


def test_one_order_is_one_trace_over_every_process(scene: Scene) -> None:
    wanted = {"POST /orders", "erp book_order", "carrier create_label", "erp invoice", "events deliver_event"}

    def of_trace() -> list[tuple[str, str, str]]:
        return [(span, parent, name) for trace, span, parent, name in scene.listener.spans if trace == TRACE]

    wait_until(lambda: wanted <= {name for _, _, name in of_trace()}, 20, "the spans of the order are collected")
    spans = of_trace()
    by_id = {span: name for span, _, name in spans}
    root = next(parent for _, parent, name in spans if name == "POST /orders")
    assert root == "b7ad6b7169203331"
    assert {by_id.get(parent) for _, parent, name in spans if name == "erp book_order"} == {"POST /orders"}
    assert {by_id.get(parent) for _, parent, name in spans if name.endswith(" release")} == {"erp book_order"}
    traces = {trace for trace, _, _, name in scene.listener.spans if name == "erp invoice"}
    assert len(traces) == ORDERS  # who sends no traceparent has a trace of his own


def test_log_lines_are_json_and_tell_the_trace(scene: Scene) -> None:
    lines = [json.loads(line) for line in scene.house.log.read_text().splitlines() if line.startswith("{")]
    accepted = [line for line in lines if line["message"] == "POST /orders 201"]
    assert len(accepted) == ORDERS
    assert TRACE in {line["correlation_id"] for line in accepted}
    booked = [line for line in lines if line["message"] == "erp book_order done"]
    assert {line["correlation_id"] for line in booked} == {line["correlation_id"] for line in accepted}
    assert {"time", "level", "logger", "process", "thread", "span_id", "duration_ms"} <= booked[0].keys()


def test_secrets_are_in_no_log(scene: Scene) -> None:
    text = Path(scene.house.log).read_text()
    assert scene.listener.secret not in text
    assert scene.house.told["PEAKPROOF_EVENT_KEY"] not in text
    assert scene.house.told["PEAKPROOF_CHANNEL_PORTAL_TOKEN"] not in text
