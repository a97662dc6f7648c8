"""The short way answers as Flask itself does."""

from collections.abc import Callable
from io import BytesIO
from typing import Any
from wsgiref.types import WSGIEnvironment

import orjson
import pytest
from flask import Blueprint, Flask, Response, after_this_request, current_app, g, has_request_context, request
from flask.typing import ResponseReturnValue

from contracts.edge import ProblemError, body, guard, query, reply
from contracts.short_way import Context, current, take_short_way

Answer = tuple[str, dict[str, str], bytes]

LONG_WAY: dict[str, Any] = {"werkzeug.debug.preserve_context": lambda context: None}
RELEASE: dict[str, Any] = {
    "release_id": "ful-1",
    "customer_id": "C1",
    "order_reference": "PO-1",
    "service": "standard",
    "ship_to": {"name": "A", "street": "B", "city": "C", "postcode": "D", "country": "GB"},
    "lines": [{"line_no": 1, "sku": "S", "quantity": 2}],
}


def environ_of(method: str, path: str, payload: bytes = b"", **more: Any) -> WSGIEnvironment:
    path, _, asked = path.partition("?")
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": asked,
        "SERVER_NAME": "here",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(payload)),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(payload),
        "wsgi.errors": BytesIO(),
        **more,
    }


def asked(app: Flask, method: str, path: str, payload: bytes = b"", **more: Any) -> Answer:
    started: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Callable[[bytes], object]:
        started[:] = [status, dict(headers)]
        return lambda data: None

    text = b"".join(app.wsgi_app(environ_of(method, path, payload, **more), start))
    return started[0], started[1], text


@pytest.fixture
def app() -> Flask:
    """Some of a warehouse. `seen` in its config is the way each handled request came."""
    app = Flask("warehouse", static_folder=None)
    app.config["seen"] = []

    def released() -> dict[str, Any]:
        lines = [{**line, "cancelled": 0, "picked": 0, "short": 0, "shipped": 0} for line in RELEASE["lines"]]
        return {name: RELEASE[name] for name in ("release_id", "customer_id", "order_reference")} | {
            "status": "received",
            "lines": lines,
            "parcels": [],
        }

    def create() -> Response:
        app.config["seen"].append((type(current()) is Context, body()))
        return reply(released(), 201)

    def read(release_id: str) -> Response:
        app.config["seen"].append((type(current()) is Context, release_id))
        if release_id == "none":
            raise ProblemError("not-found", "there is none")
        if release_id == "broken":
            raise ValueError("broken")
        return reply(released())

    def stock() -> Response:
        app.config["seen"].append((type(current()) is Context, query()))
        return reply({"as_of_sequence": 1, "items": [], "next_page": None})

    app.add_url_rule("/releases", "create", create, methods=["POST"])
    app.add_url_rule("/releases/<release_id>", "read", read)
    app.add_url_rule("/stock", "stock", stock)
    guard(app, "wms", max_body_bytes=5_000, hide_failures=True)
    return app


@pytest.mark.parametrize(
    ("method", "path", "payload", "more"),
    [
        ("GET", "/stock", b"", {}),
        ("GET", "/stock?page=2&page_size=10", b"", {}),
        ("GET", "/stock?sku=A%26B+C&&page=", b"", {}),
        ("GET", "/stock?sku=A=B", b"", {}),
        ("GET", "/stock?sku=A&sku=B", b"", {}),
        ("GET", "/stock?other", b"", {}),
        ("get", "/stock", b"", {}),
        ("HEAD", "/stock", b"", {}),
        ("OPTIONS", "/stock", b"", {}),
        ("DELETE", "/stock", b"", {}),
        ("GET", "/nowhere", b"", {}),
        ("GET", "/stock/", b"", {}),
        ("GET", "//stock", b"", {}),
        ("GET", "/releases/ful-1", b"", {}),
        ("GET", "/releases/none", b"", {}),
        ("GET", "/releases/broken", b"", {}),
        ("GET", "/releases/\xc3\xa9", b"", {}),
        ("POST", "/releases", orjson.dumps(RELEASE), {"HTTP_IDEMPOTENCY_KEY": "key-1"}),
        ("POST", "/releases", orjson.dumps(RELEASE), {}),
        ("POST", "/releases", b"{}", {"HTTP_IDEMPOTENCY_KEY": "key-1"}),
        ("POST", "/releases", b"{", {"HTTP_IDEMPOTENCY_KEY": "key-1"}),
        ("POST", "/releases", b" " * 6_000, {"HTTP_IDEMPOTENCY_KEY": "key-1"}),
        ("POST", "/releases", orjson.dumps(RELEASE), {"HTTP_IDEMPOTENCY_KEY": "key-1", "CONTENT_LENGTH": "9"}),
        ("POST", "/releases", orjson.dumps(RELEASE), {"HTTP_IDEMPOTENCY_KEY": "key-1", "CONTENT_LENGTH": ""}),
        ("POST", "/releases", b"<a/>", {"HTTP_IDEMPOTENCY_KEY": "key-1", "CONTENT_TYPE": "text/xml"}),
    ],
)
def test_both_ways_answer_alike(app: Flask, method: str, path: str, payload: bytes, more: dict[str, str]) -> None:
    long = asked(app, method, path, payload, **more, **LONG_WAY)
    short = [asked(app, method, path, payload, **more) for _ in range(3)]
    assert short == [long] * 3
    seen = app.config["seen"]
    assert [handled for _, handled in seen] == [seen[0][1]] * 4 if seen else long[0] >= "4"


def test_from_its_second_request_on_a_route_takes_the_short_way(app: Flask) -> None:
    for _ in range(3):
        asked(app, "GET", "/stock")
    assert [is_short for is_short, _ in app.config["seen"]] == [False, True, True]


def plain(app: Flask) -> Flask:
    take_short_way(app)
    asked(app, "GET", "/nowhere")
    return app


def test_what_flask_offers_a_view_is_there() -> None:
    app = Flask("plain", static_folder=None)

    @app.get("/things/<int:number>")
    def read(number: int) -> ResponseReturnValue:
        g.number = number
        after_this_request(lambda response: response.headers.set("X-Way", request.method) or response)
        shown = (request.path, request.args["a"], request.endpoint, request.view_args, g.number, current_app.name)
        return {"shown": shown, "short": type(current()) is Context}, 202

    plain(app)
    answers = [asked(app, "GET", "/things/7?a=b") for _ in range(2)]
    assert [orjson.loads(text)["short"] for _, _, text in answers] == [False, True]
    assert orjson.loads(answers[1][2])["shown"] == ["/things/7", "b", "read", {"number": 7}, 7, "plain"]
    assert [(status, headers["X-Way"]) for status, headers, _ in answers] == [("202 ACCEPTED", "GET")] * 2
    assert not has_request_context() and not g


def test_functions_of_blueprints_run_in_flasks_order() -> None:
    app = Flask("nested", static_folder=None)
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    order: list[str] = []

    def told(word: str) -> Callable[..., Any]:
        def tell(response: Any = None) -> Any:
            order.append(word)
            return response

        return tell

    for name, scope in (("app", app), ("outer", outer), ("inner", inner)):
        scope.before_request(told(f"before {name}"))
        scope.after_request(told(f"after {name} 1"))
        scope.after_request(told(f"after {name} 2"))
    inner.add_url_rule("/here", "here", lambda: "here")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    plain(app)
    order.clear()
    asked(app, "GET", "/here")
    long = order.copy()
    order.clear()
    asked(app, "GET", "/here")
    assert order == long
    assert len(long) == 9


def test_an_answer_of_a_before_function_is_the_answer() -> None:
    app = Flask("closed", static_folder=None)
    app.add_url_rule("/here", "here", lambda: "here")
    app.before_request(lambda: ("closed", 403))
    plain(app)
    assert [asked(app, "GET", "/here")[::2] for _ in range(2)] == [("403 FORBIDDEN", b"closed")] * 2


def test_an_exception_gets_out_unless_failures_are_hidden() -> None:
    app = Flask("open", static_folder=None)
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.get("/here")
    def here() -> str:
        raise ValueError(f"short: {type(current()) is Context}")

    plain(app)
    for is_short in (False, True):
        with pytest.raises(ValueError, match=f"short: {is_short}"):
            asked(app, "GET", "/here")
    assert not has_request_context()


def test_an_application_with_teardown_keeps_to_flasks_way() -> None:
    app = Flask("torn", static_folder=None)
    ended: list[object] = []
    app.add_url_rule("/here", "here", lambda: str(type(current()) is Context))
    app.teardown_request(ended.append)
    plain(app)
    ended.clear()
    assert [asked(app, "GET", "/here")[2] for _ in range(2)] == [b"False", b"False"]
    assert ended == [None, None]
