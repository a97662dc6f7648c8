"""The edge over a small warehouse application: what it refuses, what handlers get, and what may not be answered."""

import copy
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from contracts.edge import (
    ContractBreach,
    ProblemError,
    body,
    current_operation,
    guard,
    query,
    raw_body,
    reply,
    unserved,
)
from contracts.validation import Contract, Operation

KEY = {"Idempotency-Key": "key-1"}


def example(document: str, schema: str) -> dict[str, Any]:
    found: dict[str, Any] = Contract.load(document).document["components"]["schemas"][schema]["examples"][0]
    return copy.deepcopy(found)


class Warehouse:
    """Flask handlers whose answers a test chooses; `seen` is what the last handler was given."""

    def __init__(self, answer: Callable[[], Response]) -> None:
        self.answer = answer
        self.seen: list[Any] = []
        self.app = Flask("warehouse")
        self.app.add_url_rule("/releases", "create", self.write, methods=["POST"])
        self.app.add_url_rule("/releases/<release_id>", "read", self.read)
        self.app.add_url_rule("/stock", "stock", self.read)

    def write(self) -> Response:
        self.seen.append(body())
        return self.answer()

    def read(self, **_: str) -> Response:
        self.seen.append(query())
        return self.answer()


def created() -> Response:
    return reply(example("wms", "Release"), 201)


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse(created)


@pytest.fixture
def client(warehouse: Warehouse) -> FlaskClient:
    guard(warehouse.app, "wms", max_body_bytes=5_000)
    return warehouse.app.test_client()


def problem_of(answer: TestResponse) -> dict[str, Any]:
    assert answer.content_type == "application/problem+json"
    members: dict[str, Any] = orjson.loads(answer.data)
    assert members["status"] == answer.status_code
    members["key"] = members["type"].removeprefix("urn:peakproof:problem:")
    return members


def post(client: FlaskClient, content: object, **changes: Any) -> TestResponse:
    data = content if isinstance(content, bytes) else orjson.dumps(content)
    return client.post("/releases", **{"data": data, "headers": KEY, "content_type": "application/json", **changes})


def test_a_good_request_reaches_the_handler_parsed(client: FlaskClient, warehouse: Warehouse) -> None:
    answer = post(client, example("wms", "ReleaseRequest"), content_type="application/json; charset=utf-8")
    assert (answer.status_code, answer.content_type) == (201, "application/json")
    assert orjson.loads(answer.data) == example("wms", "Release")
    assert warehouse.seen == [example("wms", "ReleaseRequest")]


@pytest.mark.parametrize("path", ["/nowhere", "/releases/", "//releases", "/releases/%2e%2e%0a", "/static/x.css"])
def test_an_unknown_route(client: FlaskClient, warehouse: Warehouse, path: str) -> None:
    assert problem_of(client.get(path))["key"] == "not-found"
    assert warehouse.seen == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("PUT", "/releases", "POST"), ("HEAD", "/stock", "GET"), ("OPTIONS", "/releases", "POST")],
)
def test_an_unknown_method(client: FlaskClient, method: str, path: str, allow: str) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == allow


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/cloudevents+json", None])
def test_another_content_type(client: FlaskClient, warehouse: Warehouse, content_type: str | None) -> None:
    problem = problem_of(post(client, example("wms", "ReleaseRequest"), content_type=content_type))
    assert problem["key"] == "unsupported-media-type"
    assert warehouse.seen == []


def test_an_oversized_body(client: FlaskClient, warehouse: Warehouse) -> None:
    problem = problem_of(post(client, b" " * 5_001))
    assert (problem["key"], problem["detail"]) == ("body-too-large", "the body is above the limit of 5000 bytes")
    assert warehouse.seen == []


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a": NaN}', b"\xff", b'"\\ud800"', b"[" * 2000])
def test_malformed_json(client: FlaskClient, warehouse: Warehouse, raw: bytes) -> None:
    assert problem_of(post(client, raw))["key"] == "malformed-json"
    assert warehouse.seen == []


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": ""}])
def test_a_missing_key(client: FlaskClient, warehouse: Warehouse, headers: dict[str, str]) -> None:
    problem = problem_of(post(client, example("wms", "ReleaseRequest"), headers=headers))
    assert (problem["key"], problem["parameter"]) == ("idempotency-key-missing", "Idempotency-Key")
    assert warehouse.seen == []


def test_a_key_that_is_too_long(client: FlaskClient) -> None:
    answer = post(client, example("wms", "ReleaseRequest"), headers={"Idempotency-Key": "k" * 256})
    assert (problem_of(answer)["key"], problem_of(answer)["parameter"]) == ("invalid-request", "Idempotency-Key")


def test_an_unknown_field_and_a_wrong_type_are_pointed_to(client: FlaskClient, warehouse: Warehouse) -> None:
    request = example("wms", "ReleaseRequest")
    request["lines"][0] |= {"colour": "red", "quantity": "6"}
    problem = problem_of(post(client, request))
    assert (problem["key"], problem["pointer"]) == ("invalid-request", "/lines/0")
    assert problem["detail"] == "body: /lines/0: Additional properties are not allowed ('colour' was unexpected)"
    assert [error["pointer"] for error in problem["errors"]] == ["/lines/0", "/lines/0/quantity"]
    assert warehouse.seen == []


@pytest.mark.parametrize("content", [[], None, 1, {}])
def test_a_body_that_is_another_thing(client: FlaskClient, content: object) -> None:
    assert problem_of(post(client, content))["key"] == "invalid-request"


@pytest.mark.parametrize("number", ["1.5", "1e400", "100000000001", "18446744073709551616", "-1", "0"])
def test_a_quantity_that_is_none(client: FlaskClient, warehouse: Warehouse, number: str) -> None:
    raw = orjson.dumps(example("wms", "ReleaseRequest")).replace(b'"quantity":6', f'"quantity":{number}'.encode())
    assert post(client, raw).status_code in (400, 422)
    assert warehouse.seen == []


def test_a_whole_number_written_as_a_fraction_is_an_int(client: FlaskClient, warehouse: Warehouse) -> None:
    raw = orjson.dumps(example("wms", "ReleaseRequest")).replace(b'"quantity":6', b'"quantity" : 6.0')
    assert post(client, raw).status_code == 201
    quantity = warehouse.seen[0]["lines"][0]["quantity"]
    assert (quantity, type(quantity)) == (6, int)


def stock_page() -> Response:
    return reply(example("wms", "StockPage"))


def test_query_values_are_typed_and_defaults_filled_in(client: FlaskClient, warehouse: Warehouse) -> None:
    warehouse.answer = stock_page
    assert client.get("/stock").status_code == 200
    assert client.get("/stock?page=2&sku=0123").status_code == 200
    assert warehouse.seen == [{"page": 1}, {"page": 2, "sku": "0123"}]


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("page=1_0", "page"),
        ("page=1&page=2", "page"),
        ("page_size=5001", "page_size"),
        ("colour=red", "colour"),
        ("sku=", "sku"),
        ("sku=%00", "sku"),
    ],
)
def test_a_bad_query(client: FlaskClient, warehouse: Warehouse, text: str, parameter: str) -> None:
    problem = problem_of(client.get(f"/stock?{text}"))
    assert (problem["key"], problem["parameter"]) == ("invalid-request", parameter)
    assert warehouse.seen == []


def test_a_query_where_none_is_known(client: FlaskClient) -> None:
    assert problem_of(client.get("/releases/ful-1?verbose=1"))["parameter"] == "verbose"


def test_repeated_parameters_are_a_list() -> None:
    app = Flask("orders")
    app.add_url_rule(
        "/availability", "availability", lambda: reply({**example("orders", "AvailabilityPage"), **seen()})
    )

    def seen() -> dict[str, object]:
        assert query() == {"sku": ["A", "B"], "page": 1, "page_size": 100}
        return {}

    guard(app, "orders")
    assert app.test_client().get("/availability?sku=A&sku=B").status_code == 200


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda: reply({"release_id": "ful-1"}, 201), "must not answer 201 so"),
        (lambda: reply(example("wms", "Release"), 202), "does not document status 202"),
        (lambda: reply(None, 201), "must not answer 201 so"),
    ],
)
def test_an_answer_that_breaches_the_document_raises(
    client: FlaskClient, warehouse: Warehouse, answer: Callable[[], Response], message: str
) -> None:
    warehouse.answer = answer
    with pytest.raises(ContractBreach, match=f"wms.yaml POST /releases {message}"):
        post(client, example("wms", "ReleaseRequest"))


def test_a_stored_answer_goes_out_byte_for_byte(client: FlaskClient, warehouse: Warehouse) -> None:
    stored = orjson.dumps(example("wms", "Release"), option=orjson.OPT_INDENT_2)
    warehouse.answer = lambda: reply(stored, 200, {"Idempotent-Replayed": "true"})
    answer = post(client, example("wms", "ReleaseRequest"))
    assert (answer.data, answer.headers["Idempotent-Replayed"]) == (stored, "true")


def test_a_stored_refusal_keeps_its_content_type(client: FlaskClient, warehouse: Warehouse) -> None:
    first = problem_of(post(client, {}))
    del first["key"]
    warehouse.answer = lambda: reply(orjson.dumps(first), 422)
    assert problem_of(post(client, example("wms", "ReleaseRequest")))["key"] == "invalid-request"


def refuse(key: str, headers: dict[str, str] | None = None, **extensions: object) -> Callable[[], Response]:
    def answer() -> Response:
        raise ProblemError(key, "for a reason", headers, **extensions)

    return answer


def test_a_refusal_by_a_handler(client: FlaskClient, warehouse: Warehouse) -> None:
    warehouse.answer = refuse("duplicate-reference", existing_id="ful-1")
    answer = post(client, example("wms", "ReleaseRequest"))
    assert orjson.loads(answer.data) == {
        "type": "urn:peakproof:problem:duplicate-reference",
        "title": "The reference exists already",
        "status": 409,
        "detail": "for a reason",
        "existing_id": "ful-1",
    }


def test_retry_after_is_a_promise(client: FlaskClient, warehouse: Warehouse) -> None:
    warehouse.answer = refuse("rate-limited", {"Retry-After": "3"})
    assert post(client, example("wms", "ReleaseRequest")).headers["Retry-After"] == "3"
    warehouse.answer = refuse("rate-limited")
    with pytest.raises(ContractBreach, match="promises the header Retry-After with status 429"):
        post(client, example("wms", "ReleaseRequest"))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (refuse("out-of-stock"), "does not document problem out-of-stock under 409"),
        (refuse("duplicate-reference", colour="red"), "must not answer duplicate-reference so"),
    ],
)
def test_a_refusal_that_is_not_documented_raises(
    client: FlaskClient, warehouse: Warehouse, answer: Callable[[], Response], message: str
) -> None:
    warehouse.answer = answer
    with pytest.raises(ContractBreach, match=message):
        post(client, example("wms", "ReleaseRequest"))


def test_a_long_detail_is_cut_not_a_breach(client: FlaskClient, warehouse: Warehouse) -> None:
    def answer() -> Response:
        raise ProblemError("duplicate-reference", "x" * 5000)

    warehouse.answer = answer
    assert problem_of(post(client, example("wms", "ReleaseRequest")))["detail"] == "x" * 2000


def broken() -> Response:
    raise ZeroDivisionError("by zero")


def test_a_handlers_failure_propagates(client: FlaskClient, warehouse: Warehouse) -> None:
    warehouse.answer = broken
    with pytest.raises(ZeroDivisionError):
        post(client, example("wms", "ReleaseRequest"))


@pytest.mark.parametrize("answer", [broken, lambda: reply({}, 201), refuse("out-of-stock")])
def test_a_hidden_failure_is_an_internal_error(warehouse: Warehouse, answer: Callable[[], Response]) -> None:
    warehouse.answer = answer
    guard(warehouse.app, "wms", hide_failures=True)
    problem = problem_of(post(warehouse.app.test_client(), example("wms", "ReleaseRequest")))
    assert problem["key"] == "internal-error"
    assert "zero" not in problem["detail"]


def test_a_refusal_before_the_edge_is_rendered_too(warehouse: Warehouse) -> None:
    warehouse.app.before_request(refuse("bad-token"))
    guard(warehouse.app, "wms")
    client = warehouse.app.test_client()
    assert problem_of(client.get("/stock"))["key"] == "bad-token"
    assert problem_of(client.get("/nowhere"))["key"] == "bad-token"
    assert warehouse.seen == []


def test_authenticate_is_asked_for_secured_operations_only() -> None:
    asked: list[str] = []

    def authenticate(operation: Operation) -> None:
        asked.append(operation.operation_id)
        raise ProblemError("bad-token", "no token")

    app = Flask("erp")
    app.add_url_rule("/oauth/token", "token", lambda: reply(example("erp", "Token")), methods=["POST"])
    app.add_url_rule("/items", "items", lambda: reply({"items": [], "next_page": None}))
    guard(app, "erp", authenticate=authenticate)
    assert app.test_client().post("/oauth/token", json=example("erp", "TokenRequest")).status_code == 200
    assert problem_of(app.test_client().get("/items"))["key"] == "bad-token"
    assert problem_of(app.test_client().get("/nowhere"))["key"] == "not-found"
    assert asked == ["listItems"]


def test_a_webhook_is_answered_without_a_body_and_gives_its_bytes() -> None:
    app = Flask("orders")
    seen: list[object] = []

    def receive(partner: str) -> Response:
        seen.append((partner, raw_body(), body()["type"], current_operation().operation_id))
        return reply(None, 204)

    app.add_url_rule("/webhooks/<partner>", "receive", receive, methods=["POST"])
    guard(app, "orders")
    raw = orjson.dumps(example("orders", "CloudEvent"), option=orjson.OPT_INDENT_2)
    signed = {"webhook-id": "evt-1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
    send = {"data": raw, "content_type": "application/cloudevents+json"}
    answer = app.test_client().post("/webhooks/wms-east", headers=signed, **send)
    assert (answer.status_code, answer.data, "Content-Type" in answer.headers) == (204, b"", False)
    assert seen == [("wms-east", raw, "inventory.changed", "receiveWebhook")]
    unsigned = app.test_client().post("/webhooks/wms-east", headers={**signed, "webhook-signature": ""}, **send)
    assert problem_of(unsigned)["key"] == "bad-signature"
    assert len(seen) == 1


def test_a_flask_converter_does_not_disturb_the_path() -> None:
    app = Flask("orders")
    answer = {"message_id": 42, "state": "ready"}
    rule = "/operations/dead-letters/<int:message_id>/redrive"
    app.add_url_rule(rule, "redrive", lambda message_id: reply({**answer, "message_id": message_id}), methods=["POST"])
    guard(app, "orders")
    assert app.test_client().post("/operations/dead-letters/42/redrive").get_json() == answer


def test_a_route_outside_the_document(warehouse: Warehouse) -> None:
    warehouse.app.add_url_rule("/__admin/state", "state", lambda: "fine")
    warehouse.app.add_url_rule("/secret", "secret", lambda: "oops")
    guard(warehouse.app, "wms")
    assert warehouse.app.test_client().get("/__admin/state").data == b"fine"
    with pytest.raises(ContractBreach, match=r"serves GET /secret, which wms\.yaml does not know"):
        warehouse.app.test_client().get("/secret")


def test_what_an_application_does_not_serve(warehouse: Warehouse) -> None:
    assert unserved(warehouse.app, "wms") == [
        "wms.yaml POST /releases/{release_id}/cancel",
        "wms.yaml POST /releases/{release_id}/labels",
        "wms.yaml POST /adjustments",
        "wms.yaml POST /receipts",
        "wms.yaml POST /subscriptions",
    ]


def test_the_helpers_need_a_guarded_request(warehouse: Warehouse) -> None:
    with warehouse.app.test_request_context("/releases"), pytest.raises(ContractBreach, match=r"call guard\(\)"):
        body()
