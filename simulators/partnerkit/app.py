"""The Flask frame of every partner: authentication, quota, contract guard, paging."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask import Flask, request

from contracts.edge import ProblemError, environ, guard
from contracts.wire import trace_id_of
from simulators.partnerkit.keys import Keys, hold_keys
from simulators.partnerkit.limits import RateLimit


def create(
    name: str,
    document: str,
    authenticate: Callable[[str], str],
    limit: RateLimit | None = None,
    open_paths: Iterable[str] = (),
    keys: Keys | None = None,
) -> Flask:
    """A Flask application held to the contract `document`.

    `authenticate` takes the Authorization header and gives the client's name or raises a problem; `limit` is then
    counted for that client. Paths in `open_paths` need neither. `keys` is what the vendor knows of Idempotency-Keys.
    """
    app = Flask(name)
    free = tuple(open_paths)

    def admit() -> None:
        asked = environ()
        if free and "/" + asked["PATH_INFO"].lstrip("/") in free:
            return
        client = authenticate(asked.get("HTTP_AUTHORIZATION", ""))
        if limit is not None:
            limit.check(client)

    app.before_request(admit)
    guard(app, document)
    if keys is not None:
        hold_keys(app, keys)
    return app


def correlation_id() -> str:
    """The trace id of this request, or the empty text when the caller sent no traceparent."""
    traceparent = environ().get("HTTP_TRACEPARENT")
    return trace_id_of({"traceparent": traceparent}) if traceparent else ""


def write_key() -> str:
    """The Idempotency-Key of this request."""
    key: str = environ().get("HTTP_IDEMPOTENCY_KEY", "")
    return key


def cap(page_size: int, at_most: int) -> int:
    """A page size within the cap, else the problem `page-size-exceeded`."""
    if 1 <= page_size <= at_most:
        return page_size
    raise ProblemError("page-size-exceeded", f"page_size {page_size} is not within 1 to {at_most}")


def paged(items: Sequence[Any], default: int, at_most: int) -> dict[str, Any]:
    """One page `{items, next_page}` by the query's `page` (from 1) and `page_size`; beyond the end it is empty."""
    page = request.args.get("page", 1, type=int)
    size = cap(request.args.get("page_size", default, type=int), at_most)
    if page < 1:
        raise ProblemError("invalid-request", f"page {page} is below 1: pages count from 1", pointer="/page")
    start = (page - 1) * size
    more = start + size < len(items)
    return {"items": list(items[start : start + size]), "next_page": page + 1 if more else None}
