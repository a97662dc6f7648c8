"""The crowd against a small order desk on a virtual network: what it sends, repeats, gives up and writes down."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest

from contracts.evidence import open_run
from contracts.validation import Contract
from contracts.wire import problem_type
from scenarios.crowd import Crowd, InWorld, cancel_body, movement, order_body
from scenarios.demand import Demand
from scenarios.events import CancelEvent, OrderEvent
from scenarios.orderfile import COLUMNS
from scenarios.spec import load
from simulators.kernel import EvidenceWriter, Fault, World

ROWS = """\
1,1,sale,account,A,12,1.00,2026-11-27T09:30,C1,France
2,1,sale,guest,B,2,1.20,2026-11-27T10:36,,France
X1,1,cancel,account,A,-3,1.00,2026-11-27T11:00,C1,France
9,1,adjust,guest,A,-10,0.0,2026-11-27T13:00,,United Kingdom
"""
TOKENS = {"portal": "t-portal", "edi": "t-edi", "marketplace": "t-market"}
CLERKS = {"wms-east": "c-east", "wms-west": "c-west", "threepl": "c-3pl"}
Answer = tuple[int, dict[str, Any], dict[str, str]]


class Desk:
    """A WSGI order desk: remembers requests, answers from a script and, after it, accepts every order."""

    def __init__(self, script: Iterable[Answer] = (), cancel: Answer | None = None) -> None:
        self.script = list(script)
        self.cancel = cancel
        self.seen: list[tuple[str, str, str, dict[str, Any]]] = []
        self.orders: dict[str, dict[str, Any]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        request = orjson.loads(raw) if raw else {}
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.seen.append((method, path, environ.get("HTTP_IDEMPOTENCY_KEY", ""), request))
        status, body, headers = self._answer(method, path, environ.get("HTTP_IDEMPOTENCY_KEY", ""), request)
        start_response(f"{status} Said", [("Content-Type", "application/json"), *headers.items()])
        return [orjson.dumps(body)]

    def _answer(self, method: str, path: str, key: str, request: dict[str, Any]) -> Answer:
        if method == "GET" and path == "/availability":
            return 200, {"items": [{"sku": "A", "available": 3, "nodes": [{"node": "wms-east", "available": 3}]}]}, {}
        if method == "GET":
            return 200, {"items": list(self.orders.values())}, {}
        if path.endswith("/cancel"):
            return self.cancel or (200, {"order_id": "ord-1", "result": "cancelled", "lines": []}, {})
        if self.script:
            return self.script.pop(0)
        known = [order for order in self.orders.values() if order["order_reference"] == request["order_reference"]]
        if known and key not in self.orders:
            used = {"type": problem_type("order-reference-used"), "existing_order_id": known[0]["order_id"]}
            return 409, used, {}
        replayed = {"Idempotent-Replayed": "true"} if key in self.orders else {}
        order = self.orders.setdefault(key, {**request, "order_id": f"ord-{len(self.orders) + 1}", "version": 1})
        return 201, {**order, "status": "accepted", "lines": [promise(line) for line in request["lines"]]}, replayed


class Shelf:
    """A WSGI warehouse that takes stock movements, or refuses them from a script."""

    def __init__(self, script: Iterable[Answer] = ()) -> None:
        self.script = list(script)
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        request = orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        self.seen.append((environ["PATH_INFO"], request))
        status, body, headers = self.script.pop(0) if self.script else (201, request, {})
        start_response(f"{status} Said", [("Content-Type", "application/json"), *headers.items()])
        return [orjson.dumps(body)]


def promise(line: dict[str, Any]) -> dict[str, Any]:
    quantity = line["quantity"]
    return {"line_no": line["line_no"], "sku": line["sku"], "ordered": quantity, "confirmed": quantity}


def problem(key: str, status: int, **more: Any) -> Answer:
    headers = {"Retry-After": str(more.pop("retry_after"))} if "retry_after" in more else {}
    return status, {"type": problem_type(key), "title": key, "status": status, **more}, headers


def run(
    tmp_path: Path, desk: Desk, shelf: Shelf | None = None, fault: Fault | None = None, **settings: str
) -> tuple[list[dict[str, Any]], Crowd]:
    """The rows of `operations` by order and time, and the crowd, after everything it meant to do."""
    file = tmp_path / "orders.csv"
    file.write_text(",".join(COLUMNS) + "\n" + ROWS, encoding="utf-8")
    usual = {"tracker_share": "0", "availability_share": "0", "quote_share": "0"} | settings
    given = {f"demand.clients.{name}": value for name, value in usual.items()}
    scenario = load("order-file", {"demand.file": str(file), "demand.case_share": "0", **given})
    demand = Demand.load(scenario)
    directory = tmp_path / "run"
    directory.mkdir()
    shelf = shelf or Shelf()
    with EvidenceWriter(directory) as evidence:
        world = World(scenario.seed, demand.starts_at_us, evidence, (fault,) if fault else ())
        world.network.attach("integration", lambda: desk, [("POST", "/orders")])
        for node in CLERKS:
            world.network.attach(node, lambda: shelf)
        crowd = Crowd(InWorld(world), demand, scenario.demand.clients, TOKENS, CLERKS)
        assert not crowd.finished
        crowd.start()
        world.run(demand.ends_at_us + 86_400_000_000)
        world.network.close()
    table = open_run(directory).execute("SELECT * FROM operations ORDER BY order_reference, invoked_at_us")
    names = [column[0] for column in table.description or ()]
    return [dict(zip(names, row, strict=True)) for row in table.fetchall()], crowd


def placed(rows: list[dict[str, Any]], reference: str = "1") -> list[dict[str, Any]]:
    return [row for row in rows if row["operation"] == "place_order" and row["order_reference"] == reference]


def test_an_order_is_placed_once_and_written_down(tmp_path: Path) -> None:
    desk = Desk()
    rows, crowd = run(tmp_path, desk)
    (row,) = placed(rows)
    assert (row["outcome"], row["status"], row["problem"], row["attempt"]) == ("ok", 201, None, 1)
    assert (row["customer_id"], row["channel"], row["client"], row["order_id"]) == ("C1", "portal", "buyer", "ord-1")
    assert row["lines"] == [{"line_no": 1, "sku": "A", "quantity": 12}]
    assert row["answer_lines"][0]["confirmed"] == 12
    assert row["intended_at_us"] <= row["invoked_at_us"] < row["completed_at_us"]
    assert len(row["fingerprint"]) == 16
    assert len(row["key"]) == len(row["correlation_id"]) == 32
    assert placed(rows, "2")[0]["customer_id"] == "ACCT-MARKETPLACE"
    assert crowd.finished
    assert crowd.open_calls == 0
    assert [path for method, path, _, _ in desk.seen if method == "POST"] == [
        "/orders",
        "/orders",
        "/orders/ord-1/cancel",
    ]


def test_a_lost_reply_is_repeated_under_the_same_key(tmp_path: Path) -> None:
    lost = Fault("lost", "reply_lost", source="portal", target="integration", method="POST", route="/orders", nth=(1,))
    rows, _ = run(tmp_path, Desk(), fault=lost)
    first, second = placed(rows)
    assert (first["outcome"], first["status"], first["detail"]) == ("info", None, "time-out")
    assert (second["outcome"], second["replayed"], second["attempt"]) == ("ok", True, 2)
    assert first["key"] == second["key"]
    assert first["fingerprint"] == second["fingerprint"]
    assert second["invoked_at_us"] - first["invoked_at_us"] == 12_000_000


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (problem("request-in-flight", 409), "info"),
        (problem("overloaded", 503, retry_after=7), "info"),
        (problem("rate-limited", 429, retry_after=7), "fail"),
        ((502, {}, {}), "info"),
    ],
)
def test_what_may_succeed_later_is_repeated(tmp_path: Path, answer: Answer, outcome: str) -> None:
    rows, _ = run(tmp_path, Desk([answer]))
    first, second = placed(rows)
    assert (first["outcome"], first["status"]) == (outcome, answer[0])
    assert second["outcome"] == "ok"
    pause_us = 7_000_000 if answer[2] else 2_000_000
    assert second["invoked_at_us"] - first["completed_at_us"] == pause_us


def test_a_definite_refusal_is_not_repeated(tmp_path: Path) -> None:
    refusal = problem("out-of-stock", 409, lines=[{"line_no": 1, "sku": "A", "requested": 12, "available": 5}])
    rows, crowd = run(tmp_path, Desk([refusal]))
    (row,) = placed(rows)
    assert (row["outcome"], row["problem"]) == ("fail", "out-of-stock")
    assert row["availability"] == [{"sku": "A", "node": None, "available": 5}]
    assert crowd.counts["cancels_without_order"] == 1


def test_repeats_are_bounded(tmp_path: Path) -> None:
    rows, crowd = run(tmp_path, Desk([(500, {}, {})] * 3), attempts="3")
    assert [row["attempt"] for row in placed(rows)] == [1, 2, 3]
    assert crowd.counts["orders_info"] == 1


def test_a_fresh_key_for_the_same_reference_is_refused_and_the_order_read(tmp_path: Path) -> None:
    rows, crowd = run(tmp_path, Desk(), fresh_key_share="1")
    first, again = placed(rows)
    assert (again["client"], again["problem"], again["order_id"]) == ("reimport", "order-reference-used", "ord-1")
    assert first["key"] != again["key"]
    assert [row["client"] for row in rows if row["operation"] == "read_order" and row["order_reference"] == "1"] == [
        "buyer"
    ]
    assert crowd.counts["reimports"] == 2


def test_trackers_and_availability_checks_are_written_down(tmp_path: Path) -> None:
    rows, _ = run(tmp_path, Desk(), tracker_share="1", availability_share="1", track_after="10m")
    checks = [row for row in rows if row["operation"] == "check_availability"]
    assert [row["availability"] for row in checks] == [[{"sku": "A", "node": "wms-east", "available": 3}]] * 2
    looks = [row for row in rows if row["client"] == "tracker"]
    assert 2 <= len(looks) <= 4
    assert {row["operation"] for row in looks} == {"read_order"}


def test_a_cancel_names_its_lines(tmp_path: Path) -> None:
    desk = Desk()
    rows, crowd = run(tmp_path, desk)
    (row,) = [row for row in rows if row["operation"] == "cancel_order"]
    assert (row["outcome"], row["order_id"], row["lines"]) == (
        "ok",
        "ord-1",
        [{"line_no": 1, "sku": "A", "quantity": 3}],
    )
    assert crowd.counts["cancels_ok"] == 1


def test_a_cancel_that_comes_too_late_comes_back_as_goods(tmp_path: Path) -> None:
    shelf = Shelf()
    rows, crowd = run(tmp_path, Desk(cancel=problem("too-late-to-cancel", 409)), shelf)
    (row,) = [row for row in rows if row["operation"] == "cancel_order"]
    assert (row["outcome"], row["problem"]) == ("fail", "too-late-to-cancel")
    (back,) = [request for path, request in shelf.seen if path == "/receipts"]
    assert (back["sku"], back["quantity"]) == ("A", 3)
    assert crowd.counts["cancels_returned"] == 1


def test_the_clerk_repeats_under_its_own_id_and_takes_no_for_an_answer(tmp_path: Path) -> None:
    shelf = Shelf([problem("overloaded", 503, retry_after=3), problem("insufficient-stock", 409)])
    rows, crowd = run(tmp_path, Desk(), shelf)
    adjustments = [request for path, request in shelf.seen if path == "/adjustments"]
    assert [request["adjustment_id"] for request in adjustments] == ["ADJ-9-L1", "ADJ-9-L1"]
    assert adjustments[0]["quantity_delta"] == -10
    assert crowd.counts["clerk_adjustments_insufficient-stock"] == 1
    assert all(row["channel"] in TOKENS for row in rows)


@pytest.mark.parametrize("name", ["flash-sale", "order-file", "peak-season"])
def test_everything_that_is_sent_keeps_the_contracts(name: str) -> None:
    orders, wms = Contract.load("orders"), Contract.load("wms")
    for event in Demand.load(load(name)).events():
        if isinstance(event, OrderEvent):
            violations = orders.operation("POST", "/orders").request_errors(order_body(event))
        elif isinstance(event, CancelEvent):
            violations = orders.operation("POST", "/orders/{order_id}/cancel").request_errors(cancel_body(event))
        else:
            path, _, body = movement(event)
            violations = wms.operation("POST", path).request_errors(body)
        assert violations == []
