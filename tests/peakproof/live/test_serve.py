"""Simulators behind real ports: what a partner's team meets, with an ordinary HTTP client and nothing of ours.

One process serves the test house with business time at sixty times the wall's; each test uses a run of its own in it.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import httpx
import pytest

from contracts.wire import verify_webhook
from peakproof.live.admin import create_admin
from peakproof.live.child import Simulators
from peakproof.live.errors import LiveError
from peakproof.live.order import Order, ports_from
from peakproof.live.recipe import Recipe
from peakproof.live.runs import Runs
from scenarios.spec import PARTNERS

PROMPT = (
    ("cast.wms-east.settings.picking", '{"short_share": 0.0}'),
    ("cast.wms-east.settings.hours", "null"),
    ("cast.wms-east.settings.webhooks", '{"delay": 0, "spread": 0, "retries": ["1s"]}'),
)
WITHIN_S = 20.0
SECRET = "a-secret-of-thirty-two-characters"


@pytest.fixture(scope="module")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    directory = tmp_path_factory.mktemp("served")
    order = Order(Recipe(None, PROMPT, 1, 60.0), "127.0.0.1", ports_from(0, PARTNERS), str(directory))
    with Simulators(order) as served:
        yield served


@dataclass
class House:
    """One run, by its own base path and tokens."""

    ready: dict[str, Any]
    told: dict[str, Any]
    client: httpx.Client

    def url(self, host: str, path: str = "") -> str:
        return f"{self.ready['hosts'][host]['url']}{self.told['base_path']}{path}"

    def call(self, host: str, method: str, path: str, body: object = None, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.told['tokens'][host]}", "idempotency-key": f"key-{path}"}
        return self.client.request(method, self.url(host, path), json=body, headers=headers, **more)

    def admin(self, host: str, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.told['admin_token']}"}
        return self.client.request(method, self.url(host, f"/__admin{path}"), json=body, headers=headers)

    def release(self, release_id: str, **more: Any) -> httpx.Response:
        address = {"name": "Shop", "street": "1 High St", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}
        body = {
            "release_id": release_id,
            "customer_id": "C-1001",
            "order_reference": f"PO-{release_id}",
            "service": "standard",
            "ship_to": address,
            "lines": [{"line_no": 1, "sku": "22423", "quantity": 3}],
        }
        return self.call("wms-east", "POST", "/releases", body, **more)

    def rows(self, host: str, kind: str) -> list[dict[str, Any]]:
        answer = self.admin(host, "GET", f"/evidence/{kind}")
        return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def house(simulators: Simulators, request: pytest.FixtureRequest) -> Iterator[House]:
    ready = simulators.ready
    name = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:40].strip("-")
    with httpx.Client(timeout=10.0) as client:
        first = {"authorization": f"Bearer {ready['admin_token']}"}
        runs = f"{ready['hosts']['wms-east']['url']}/__admin/runs"
        made = client.post(runs, json={"name": name}, headers=first)
        assert made.status_code == 201, made.text
        yield House(ready, made.json(), client)
        assert client.delete(f"{runs}/{name}", headers=first).status_code == 204


def eventually(condition: Callable[[], Any]) -> Any:
    """What `condition` gives once that is true of it, within a bound."""
    ends_s = time.monotonic() + WITHIN_S
    while time.monotonic() < ends_s:
        if found := condition():
            return found
        Event().wait(0.02)
    raise AssertionError(f"{condition} did not come true within {WITHIN_S} s")


@dataclass
class Listener:
    """A real server that takes webhooks; the first attempt of each event is refused."""

    heard: list[tuple[float, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def listener() -> Iterator[Listener]:
    told = Listener()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.heard.append((time.time(), headers, body))
            self.send_response(503 if headers["x-attempt"] == "1" else 204)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    told.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_host_has_a_port_health_a_page_and_its_document(house: House) -> None:
    assert list(house.ready["hosts"]) == list(PARTNERS)
    for host in PARTNERS:
        assert house.client.get(house.url(host, "/__admin/health")).json()["status"] == "healthy"
        assert house.client.get(house.url(host, "/__openapi.json")).json()["openapi"].startswith("3.1")
        page = house.client.get(house.url(host, "/__docs"))
        assert page.headers["content-type"].startswith("text/html")
        assert "<html" in page.text


def test_without_a_token_nothing_is_told(house: House) -> None:
    assert house.client.get(house.url("wms-east", "/stock")).status_code == 401
    assert house.client.get(house.url("wms-east", "/__admin/state")).status_code == 401
    stranger = {"authorization": f"Bearer {house.told['tokens']['wms-east']}"}
    assert house.client.get(house.url("wms-east", "/__admin/state"), headers=stranger).status_code == 401


OPEN_TO_ALL = {"/__admin/health", "/__openapi.json", "/__docs"}
ADMIN = [
    (method, str(rule.rule).replace("<name>", "any").replace("<kind>", "ledger"))
    for rule in create_admin(cast("Runs", None), lambda: None).url_map.iter_rules()
    for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    if rule.endpoint != "static"
]


@pytest.mark.parametrize(("method", "path"), ADMIN)
def test_every_route_of_the_admin_asks_for_its_token(house: House, method: str, path: str) -> None:
    for shown in ({}, {"authorization": "Bearer guess"}, {"authorization": house.told["admin_token"]}):
        status = house.client.request(method, house.url("wms-east", path), headers=shown).status_code
        assert (status == 200) if path in OPEN_TO_ALL else (status == 401)


def test_runs_share_a_port_and_neither_stock_nor_tokens(house: House) -> None:
    in_first = house.ready["hosts"]["wms-east"]["url"]
    assert house.release("R-1").status_code == 201
    other = {"authorization": f"Bearer {house.ready['hosts']['wms-east']['token']}"}
    assert house.client.get(f"{in_first}/releases/R-1", headers=other).status_code == 404
    assert house.client.get(house.url("wms-east", "/releases/R-1"), headers=other).status_code == 401
    assert house.call("wms-east", "GET", "/releases/R-1").status_code == 200
    assert house.client.get(f"{in_first}/r/nobody/stock", headers=other).status_code == 404


def test_an_answer_that_is_lost_leaves_the_caller_waiting_and_the_work_done(house: House) -> None:
    lost = {"name": "lost", "type": "timeout", "stream": "downstream", "attributes": {"nth": [1]}}
    assert house.admin("wms-east", "POST", "/faults", lost).status_code == 201
    with pytest.raises(httpx.ReadTimeout):
        house.release("R-1", timeout=0.7)
    assert house.call("wms-east", "GET", "/releases/R-1").json()["release_id"] == "R-1"
    exchange = eventually(lambda: [row for row in house.rows("wms-east", "exchanges") if row["outcome"] == "timeout"])
    assert [(row["source"], row["route"], row["status"], row["fault"]) for row in exchange] == [
        ("integration", "/releases", 201, "lost")
    ]


@pytest.mark.parametrize(
    ("fault", "effect"),
    [
        ({"name": "f", "type": "reset_peer", "stream": "upstream"}, 404),
        ({"name": "f", "type": "reset_peer", "stream": "downstream"}, 200),
        ({"name": "f", "type": "outage"}, 404),
    ],
    ids=["request cut", "answer cut", "down"],
)
def test_a_connection_that_breaks_is_reset(house: House, fault: dict[str, str], effect: int) -> None:
    assert house.admin("wms-east", "POST", "/faults", fault).status_code == 201
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        house.release("R-1")
    assert house.admin("wms-east", "DELETE", "/faults/f").status_code == 204
    assert house.call("wms-east", "GET", "/releases/R-1").status_code == effect
    assert house.admin("wms-east", "DELETE", "/faults/f").status_code == 404


def test_latency_is_the_walls_whatever_business_time_does(house: House) -> None:
    delay = {"type": "latency", "stream": "downstream", "attributes": {"latency": 400}}
    assert house.admin("wms-east", "POST", "/faults", delay).json()["attributes"]["delay_ms"] == 400
    before_s = time.monotonic()
    assert house.call("wms-east", "GET", "/stock").status_code == 200
    assert 0.4 <= time.monotonic() - before_s < 5.0


def test_a_webhook_reaches_a_real_server_signed_for_the_walls_clock(house: House, listener: Listener) -> None:
    asked = {"url": listener.url, "secret": SECRET, "types": ["release.picked"]}
    assert house.call("wms-east", "POST", "/subscriptions", asked).status_code == 201
    assert house.release("R-1").status_code == 201
    assert house.admin("wms-east", "POST", "/clock", {"advance": "3h"}).status_code == 200
    first_s, first, body = eventually(lambda: listener.heard)[0]
    verify_webhook(
        SECRET, first["webhook-id"], first["webhook-timestamp"], body,
        first["webhook-signature"],
        now_s=int(first_s), tolerance_s=5,
    )  # fmt: skip
    assert json.loads(body)["data"]["release_id"] == "R-1"
    again_s, again, same = eventually(lambda: listener.heard[1:])[0]
    assert (same, again["webhook-id"], again["x-attempt"]) == (body, first["webhook-id"], "2")
    assert again_s - first_s >= 0.9, "the schedule of retries is not business time"
    ended = eventually(lambda: house.admin("wms-east", "GET", "/webhooks").json()["ended"])
    assert [(one["type"], one["statuses"]) for one in ended] == [("release.picked", [503, 204])]


def test_business_time_can_stand_still_and_be_set_forward(house: House) -> None:
    assert house.admin("wms-east", "POST", "/clock", {"freeze": True}).json()["frozen"] is True
    stood = house.admin("wms-east", "GET", "/clock").json()
    assert house.release("R-1").status_code == 201, "calls go on: what they take is protocol time"
    still = house.admin("wms-east", "GET", "/clock").json()
    assert still["business_us"] == stood["business_us"]
    assert still["protocol_us"] > stood["protocol_us"]
    later = house.admin("wms-east", "POST", "/clock", {"advance": "6h"}).json()
    assert later["business_us"] == stood["business_us"] + 6 * 3_600_000_000
    statuses = ("picked", "packed", "awaiting_labels")
    picked = eventually(lambda: house.admin("wms-east", "GET", "/ledger?kind=picked").json()["entries"])
    assert [(row["order_reference"], row["quantity"]) for row in picked] == [("PO-R-1", 3)]
    assert house.call("wms-east", "GET", "/releases/R-1").json()["status"] in statuses


def test_a_token_lives_as_long_as_it_said_whatever_business_time_does(house: House) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "integration",
        "client_secret": house.told["tokens"]["erp"],
    }
    token = house.client.post(house.url("erp", "/oauth/token"), json=form).json()["access_token"]
    assert house.admin("erp", "POST", "/clock", {"advance": "48h"}).status_code == 200
    headers = {"authorization": f"Bearer {token}"}
    assert house.client.get(house.url("erp", "/customers"), headers=headers).status_code == 200


def test_requests_are_found_and_counted_as_with_wiremock(house: House) -> None:
    house.release("R-1")
    house.call("wms-east", "GET", "/releases/R-1")
    house.call("wms-west", "GET", "/stock")
    pattern = {"method": "POST", "urlPath": "/releases", "bodyPatterns": [{"contains": "R-1"}]}
    assert house.admin("wms-east", "POST", "/requests/count", pattern).json()["count"] == 1
    by_path = {"urlPathPattern": "/releases/.*"}
    found = house.admin("wms-east", "POST", "/requests/find", by_path).json()["requests"]
    assert [(one["method"], one["url"], one["client"]) for one in found] == [("GET", "/releases/R-1", "integration")]
    assert found[0]["headers"]["authorization"] == "(not kept)"
    listed = house.admin("wms-east", "GET", "/requests").json()
    assert [one["response"]["status"] for one in listed["requests"]] == [200, 201]
    assert house.admin("wms-east", "DELETE", "/requests").status_code == 200
    assert house.admin("wms-east", "GET", "/requests").json()["meta"]["total"] == 0


def test_reset_forgets_everything_and_keeps_the_tokens(house: House) -> None:
    assert house.release("R-1").status_code == 201
    assert house.admin("wms-east", "POST", "/reset").status_code == 200
    assert house.call("wms-east", "GET", "/releases/R-1").status_code == 404
    assert house.release("R-1").status_code == 201


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/faults", {"type": "latensy"}, "did you mean 'latency'"),
        ("/faults", {"type": "bandwidth"}, "bytes on a wire"),
        ("/faults", {"type": "latency", "toxicity": 2}, "toxicity 2"),
        ("/faults", {"type": "frozen"}, "duration_ms"),
        ("/faults", {"type": "latency", "attributes": {"delay": 3}}, "'delay'"),
        ("/faults", {"type": "clock_skew"}, "clock_skew"),
        ("/clock", {"speed": 0}, "speed"),
        ("/clock", {"advance": "2 parsecs"}, "2 parsecs"),
        ("/clock", {"forward": 3}, "'forward'"),
        ("/settings", {"fixedDelay": -1}, "fixedDelay is -1"),
        ("/requests/find", {"urlPattern": "("}, "regular expression"),
        ("/requests/find", {"path": "/x"}, "'path'"),
    ],
)
def test_what_an_operator_gets_wrong_is_said(simulators: Simulators, path: str, body: object, said: str) -> None:
    headers = {"authorization": f"Bearer {simulators.ready['admin_token']}"}
    answer = httpx.post(f"{simulators.ready['hosts']['wms-east']['url']}/__admin{path}", json=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert said in answer.json()["detail"]


def test_a_body_that_is_too_long_is_refused_unread(house: House) -> None:
    answer = house.call("wms-east", "POST", "/releases", "x" * 1_000_001)
    assert answer.status_code == 413
    assert answer.json()["type"].endswith("body-too-large")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        order = Order(Recipe(), "127.0.0.1", {"erp": 0, "carrier": port}, str(tmp_path / "run"))
        with pytest.raises(LiveError, match=rf"port {port} on 127\.0\.0\.1, for carrier, can't be had \(.*in use"):
            Simulators(order)
    assert not (tmp_path / "run").exists()
