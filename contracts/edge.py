"""Holds a Flask application to its OpenAPI document, in both directions.

`guard(app, "erp")` refuses what the document does not allow before a handler sees it, and `reply` refuses to answer
what the document does not promise. Handlers take the request from `body()` and `query()`, answer by `reply(...)`, and
refuse by raising ProblemError.

Order at the edge: the application's own `before_request` functions that were registered before `guard`, which is where
it may authenticate, then route (404), method (405), `authenticate` of guard for operations that the document secures,
headers, path and query, content type (415), size (413), JSON (400), body (422). A blueprint's `before_request` comes
after all of these.

A handler's unexpected exception is never swallowed: it propagates to whoever runs the application, unless
`hide_failures` turns it into a 500 problem. A plain Flask Response that a handler returns is not checked: simulators
misbehave that way. Routes under `/__` are outside every contract.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson
from flask import Flask, Request, Response, request
from flask.globals import request_ctx
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from contracts.errors import ContractBreach, ProblemError
from contracts.problems import kind_of
from contracts.short_way import Context, current, take_short_way
from contracts.validation import AnswerSpec, Checker, Contract, Operation, QueryParameter, Violation, template_of, told

__all__ = [
    "ContractBreach",
    "ProblemError",
    "body",
    "current_operation",
    "environ",
    "guard",
    "query",
    "raw_body",
    "reply",
    "unserved",
]

Authenticate = Callable[[Operation], None]

_EXCHANGE = "contracts.exchange"
_OUTSIDE = "/__"
_PROBLEM_JSON = "application/problem+json"
_LONGEST_DETAIL = 2000
_BODILESS = (204, 304)
_ENCODED = re.compile(r"[%+]|[^\x00-\x7f]")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
# A JSON number with a fraction or exponent, after a key or inside an array. It may also hit inside a string, which
# costs one needless walk.
_FRACTION = re.compile(rb'(?:"\s*:|[\[,])\s*-?[0-9]+[.eE]')
# RFC 9110 asks of every 401 how to authenticate.
_CHALLENGES = {
    "bad-token": "Bearer",
    "token-expired": 'Bearer error="invalid_token"',
    "bad-credentials": 'Bearer error="invalid_client"',
    "bad-signature": "Webhook-Signature",
}
_HTTP_PROBLEMS = {
    400: "malformed-json",
    404: "not-found",
    413: "body-too-large",
    415: "unsupported-media-type",
}


@dataclass(slots=True)
class _Exchange:
    """What the edge knows of the request in work."""

    operation: Operation
    raw: bytes = b""
    body: Any = None
    query: dict[str, Any] = field(default_factory=dict)


def guard(
    app: Flask,
    document: str,
    *,
    max_body_bytes: int = 1_000_000,
    authenticate: Authenticate | None = None,
    hide_failures: bool = False,
) -> None:
    """Hold `app` to the document of that name (orders, erp, wms, threepl, carrier). Call it before serving.

    `authenticate` is called with the operation wherever the document demands a token, and refuses by ProblemError.
    `hide_failures`: answer 500 internal-error to an unexpected exception, logged, instead of letting it propagate.
    """
    contract = Contract.load(document)
    operations: dict[tuple[str, str], Operation | None] = {}
    take_short_way(app)
    app.config["PROPAGATE_EXCEPTIONS"] = not hide_failures
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.url_map.merge_slashes = False

    def check() -> None:
        at = current()
        rule = at.url_rule
        if rule is None:
            raise _unrouted(contract, request)
        environ = at.environ
        route = (rule.rule, environ["REQUEST_METHOD"].upper())
        if route not in operations:
            operations[route] = _operation_at(contract, *route, rule.endpoint)
        operation = operations[route]
        if operation is None:
            return
        environ[_EXCHANGE] = exchange = _Exchange(operation)
        if authenticate is not None and operation.secured:
            authenticate(operation)
        if operation.headers:
            _check_headers(operation, environ)
        if operation.path_values is not None:
            _check_path(operation.path_values, at)
        if operation.query or environ.get("QUERY_STRING"):
            exchange.query = _checked_query(operation, environ)
        if operation.body is not None:
            _read_body(exchange, operation.body, environ, max_body_bytes)

    def on_problem(error: ProblemError) -> Response:
        return _problem_response(error, _operation_in_work(contract, request_ctx.request))

    def on_http_exception(error: HTTPException) -> Response:
        return _http_problem(error, contract)

    app.before_request(check)
    app.register_error_handler(ProblemError, on_problem)
    app.register_error_handler(HTTPException, on_http_exception)


def body() -> Any:
    """The validated JSON of the request in work, parsed once; None for an operation that takes no body."""
    return _exchange().body


def raw_body() -> bytes:
    """The very bytes of the body, which signatures are made over."""
    return _exchange().raw


def query() -> dict[str, Any]:
    """The validated query parameters: integers as int, repeated ones as list, defaults of the document filled in."""
    return _exchange().query


def current_operation() -> Operation:
    """The operation in work; ContractBreach outside a guarded request."""
    return _exchange().operation


def environ() -> WSGIEnvironment:
    """The WSGI environment of the request in work, where a header is looked up faster than in `flask.request`."""
    return current().environ


def reply(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to the operation in work; ContractBreach when its document does not allow it.

    `body` is a Python object, None for no body, or bytes: JSON that was answered before and is sent again unchanged.
    """
    operation = _exchange().operation
    spec = operation.answer(status)
    if spec.checker is None:
        if body is not None:
            raise ContractBreach(f"{operation} answers {status} without a body, not {body!r}")
        return _response(operation, spec, b"", headers)
    if isinstance(body, bytes):
        parsed, text = orjson.loads(body), body
    else:
        parsed, text = body, orjson.dumps(body)
    if not spec.checker.fits(parsed):
        raise ContractBreach(f"{operation} must not answer {status} so: {told(spec.checker.violations(parsed))}")
    return _response(operation, spec, text, headers)


def unserved(app: Flask, document: str) -> list[str]:
    """The operations of a document that an application has no route for, for a test that wants none."""
    served = {(method, template_of(rule.rule)) for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    operations = Contract.load(document).operations
    return [str(operation) for operation in operations if (operation.method, operation.path) not in served]


def _exchange() -> _Exchange:
    found: _Exchange | None = current().environ.get(_EXCHANGE)
    if found is None:
        raise ContractBreach(f"{request.path} is not a guarded request: call guard() on its application")
    return found


def _unrouted(contract: Contract, current: Request) -> ProblemError:
    methods = contract.methods(contract.route_of(current.path))
    if methods and current.method not in methods:
        return _method_not_allowed(current.method, current.path, methods)
    return ProblemError("not-found", f"there is no {current.path[:200]!r} here")


def _method_not_allowed(method: str, path: str, methods: list[str]) -> ProblemError:
    return ProblemError("method-not-allowed", f"{path} has no {method}", {"Allow": ", ".join(methods)})


def _operation_at(contract: Contract, rule: str, method: str, endpoint: str | None) -> Operation | None:
    """The operation of a route; None for a route that is outside every contract."""
    if rule.startswith(_OUTSIDE):
        return None
    methods = contract.methods(rule)
    if method in methods:
        return contract.operation(method, rule)
    if methods:
        raise _method_not_allowed(method, rule, methods)
    if endpoint == "static":  # Flask adds this route by itself
        raise ProblemError("not-found", "nothing static is served here")
    raise ContractBreach(f"the application serves {method} {rule}, which {contract.name}.yaml does not know")


def _check_headers(operation: Operation, environ: WSGIEnvironment) -> None:
    for header in operation.headers:
        value = environ.get(header.environ_key)
        if not value:
            if header.required:
                raise ProblemError(header.missing_problem, f"send the header {header.name}", parameter=header.name)
        elif not header.checker.fits(value):
            raise _invalid(f"header {header.name}", header.checker.violations(value), parameter=header.name)


def _check_path(path_values: Checker, at: Context | Request) -> None:
    # A Flask converter may have made an int of it; the document describes the text in the path.
    values = {name: str(value) for name, value in (at.view_args or {}).items()}
    if not path_values.fits(values):
        raise ProblemError("not-found", f"{request.path[:200]!r} has no identifier that could exist")


def _checked_query(operation: Operation, environ: WSGIEnvironment) -> dict[str, Any]:
    given = _given(environ.get("QUERY_STRING", ""))
    values: dict[str, Any] = {}
    for parameter in operation.query:
        if parameter.name in given:
            values[parameter.name] = _coerced(parameter, given.pop(parameter.name))
    if given:
        name = min(given)
        raise ProblemError("invalid-request", f"query: there is no parameter {name[:100]!r}", parameter=name[:100])
    if operation.query_values is not None and not operation.query_values.fits(values):
        violations = operation.query_values.violations(values)
        named = violations[0].pointer.split("/")[1:2]
        raise _invalid("query", violations, parameter="".join(named))
    return {**operation.query_defaults, **values}


def _given(query_string: str) -> dict[str, list[str]]:
    """The parameters after `?` as Werkzeug reads them, each with all its texts."""
    given: dict[str, list[str]] = {}
    if not _ENCODED.search(query_string):
        for pair in query_string.split("&"):
            if pair:
                name, _, value = pair.partition("=")
                given.setdefault(name, []).append(value)
        return given
    text = query_string.encode("latin1").decode()
    for name, value in parse_qsl(text, keep_blank_values=True, errors="werkzeug.url_quote"):
        given.setdefault(name, []).append(value)
    return given


def _coerced(parameter: QueryParameter, texts: list[str]) -> object:
    """The value of one parameter by its kind; a text of another kind stays as it is, for the schema to refuse."""
    if parameter.kind == "array":
        return texts
    if len(texts) > 1:
        name = parameter.name
        raise ProblemError("invalid-request", f"query: {name} is given {len(texts)} times", parameter=name)
    text = texts[0]
    if parameter.kind == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if parameter.kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _read_body(exchange: _Exchange, checker: Checker, environ: WSGIEnvironment, at_most: int) -> None:
    media_types = exchange.operation.media_types
    content_type = environ.get("CONTENT_TYPE") or ""
    if content_type not in media_types and request.mimetype not in media_types:
        accepted = " or ".join(media_types)
        raise ProblemError("unsupported-media-type", f"the body is {content_type[:100]!r}, send {accepted}")
    exchange.raw = raw = _whole_body(environ, at_most)
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ProblemError("malformed-json", f"{error} (the body has {len(raw)} bytes)") from error
    if _FRACTION.search(raw):
        parsed = _with_whole_numbers(parsed)
    if not checker.fits(parsed):
        violations = checker.violations(parsed)
        raise _invalid("body", violations, pointer=violations[0].pointer)
    exchange.body = parsed


def _whole_body(environ: WSGIEnvironment, at_most: int) -> bytes:
    """The bytes of the body. Werkzeug refuses what is longer than MAX_CONTENT_LENGTH, and reads a body that is still to
    come; one that lies there whole is taken as it is."""
    source, length = environ["wsgi.input"], environ.get("CONTENT_LENGTH", "")
    if type(source) is BytesIO and source.tell() == 0 and length.isdecimal() and int(length) <= at_most:
        raw = source.getvalue()
        if len(raw) == int(length):
            return raw
    return request.get_data()


def _with_whole_numbers(node: Any) -> Any:
    """The same JSON with 2.0 as 2: to JSON Schema both are integers, to Python arithmetic they are not."""
    if isinstance(node, dict):
        return {name: _with_whole_numbers(child) for name, child in node.items()}
    if isinstance(node, list):
        return [_with_whole_numbers(child) for child in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node


def _invalid(where: str, violations: list[Violation], **place: str) -> ProblemError:
    errors = [{"pointer": violation.pointer, "message": violation.message} for violation in violations]
    extensions: dict[str, Any] = {"errors": errors, **place}
    return ProblemError("invalid-request", f"{where}: {told(violations[:1])}", **extensions)


def _operation_in_work(contract: Contract, current: Request) -> Operation | None:
    """The operation, also where a `before_request` function refused before the edge came to it."""
    exchange: _Exchange | None = current.environ.get(_EXCHANGE)
    if exchange is not None:
        return exchange.operation
    if current.url_rule is None or current.method not in contract.methods(current.url_rule.rule):
        return None
    return contract.operation(current.method, current.url_rule.rule)


def _problem_response(error: ProblemError, operation: Operation | None) -> Response:
    kind = kind_of(error.key)
    detail = error.detail[:_LONGEST_DETAIL]
    members = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": detail, **error.extensions}
    text = orjson.dumps(members)
    headers = error.headers
    if error.key in _CHALLENGES:
        headers = {"WWW-Authenticate": _CHALLENGES[error.key], **headers}
    if operation is None:
        return _plain_response(text, kind.status, _PROBLEM_JSON, headers)
    spec = operation.answer(kind.status)
    if error.key not in spec.problems:
        known = ", ".join(spec.problems) or "none"
        raise ContractBreach(f"{operation} does not document problem {error.key} under {kind.status}, only {known}")
    if spec.checker is not None and not spec.checker.fits(members):
        raise ContractBreach(f"{operation} must not answer {error.key} so: {told(spec.checker.violations(members))}")
    return _response(operation, spec, text, headers)


def _http_problem(error: HTTPException, contract: Contract) -> Response:
    """Flask's own refusals as problems. It comes here with 500 only when failures are hidden."""
    current = request_ctx.request
    if error.code == 500:
        return _problem_response(ProblemError("internal-error", "the failure is logged, with its trace"), None)
    if error.code not in _HTTP_PROBLEMS:
        said = f"{current.method} {current.path} ended in {error!r}: raise ProblemError instead"
        raise ContractBreach(said) from error
    detail = f"{error.description}"
    if error.code == 413:
        detail = f"the body is above the limit of {current.max_content_length} bytes"
    problem = ProblemError(_HTTP_PROBLEMS[error.code], detail)
    return _problem_response(problem, _operation_in_work(contract, current))


def _response(operation: Operation, spec: AnswerSpec, text: bytes, headers: Mapping[str, str] | None) -> Response:
    for name in spec.required_headers:
        if headers is None or name not in headers:
            raise ContractBreach(f"{operation} promises the header {name} with status {spec.status}")
    return _plain_response(text, spec.status, spec.media_type, headers)


def _plain_response(text: bytes, status: int, media_type: str, headers: Mapping[str, str] | None) -> Response:
    return _Answer(text, status, media_type, headers or {})


class _Answer(Response):
    """An answer that is whole when it is made, so that nothing has to be worked out when it is sent. Werkzeug's
    `headers` are made when they are asked for."""

    def __init__(self, text: bytes, status: int, media_type: str, headers: Mapping[str, str]) -> None:
        """As Werkzeug's own constructor leaves it, with the length told."""
        fields = [("Content-Type", media_type)] if media_type else []
        if status not in _BODILESS:
            fields.append(("Content-Length", str(len(text))))
        self._fields = fields
        self._headers: Headers | None = None
        self._status, self._status_code = _status_line(status), status
        self.response = [text]
        self.direct_passthrough = False
        self._on_close = []
        for name, value in headers.items():
            self.headers[name] = value

    @property
    def headers(self) -> Headers:  # type: ignore[override]
        if self._headers is None:
            self._headers = Headers(self._fields)
        return self._headers

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD" or self._on_close or type(self.response) is not list:
            return super().__call__(environ, start_response)
        start_response(self._status, self._fields if self._headers is None else self._headers.to_wsgi_list())
        return self.response


@cache
def _status_line(status: int) -> str:
    return f"{status} {HTTP_STATUS_CODES[status].upper()}"
