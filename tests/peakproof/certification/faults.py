"""Deliberate faults of a partner, each a layer around a good one."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from io import BytesIO
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import orjson

from contracts.wire import sign_webhook
from peakproof.live.sandbox import Sandbox
from tests.peakproof.certification.partners import Answered, Wrap, answer_of, reply

Change = Callable[[WSGIEnvironment, Callable[[], Answered]], Answered]


def layer(change: Change) -> Wrap:
    """A layer that may answer by itself, or change what the application answers."""

    def wrap(app: WSGIApplication) -> WSGIApplication:
        def broken(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            return reply(change(environ, lambda: answer_of(app, environ)), start_response)

        return broken

    return wrap


def body_of(environ: WSGIEnvironment) -> dict[str, Any]:
    """The JSON of a request, which stays readable; {} for anything else."""
    raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = BytesIO(raw)
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def send_instead(environ: WSGIEnvironment, body: dict[str, Any]) -> None:
    raw = orjson.dumps(body)
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(raw), str(len(raw))


def changed(answered: Answered, change: Callable[[dict[str, Any]], None]) -> Answered:
    parsed = orjson.loads(answered.body)
    change(parsed)
    return Answered(answered.status, answered.headers, orjson.dumps(parsed))


def is_post(environ: WSGIEnvironment, path: str) -> bool:
    return (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("POST", path)


def booked_anew(environ: WSGIEnvironment, call: Callable[[], Answered], number: int) -> Answered:
    """Book a release that is known once more, under a name that only the partner sees."""
    body = body_of(environ)
    release_id = body["release_id"]
    send_instead(environ, {**body, "release_id": f"{release_id}.again{number}"})
    environ["HTTP_IDEMPOTENCY_KEY"] += f".again{number}"
    return changed(call(), lambda answer: answer.update(release_id=release_id))


def forgets_idempotency() -> Wrap:
    seen: Counter[str] = Counter()

    def change(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
        body = body_of(environ)
        if not is_post(environ, "/releases") or "lines" not in body:
            return call()
        seen[environ["HTTP_IDEMPOTENCY_KEY"]] += 1
        again = seen[environ["HTTP_IDEMPOTENCY_KEY"]] - 1
        return booked_anew(environ, call, again) if again else call()

    return layer(change)


def books_twice_at_once() -> Wrap:
    """Looks whether a key is known before it notes it: two at the same moment both find nothing."""
    lock = threading.Condition()
    in_work: Counter[str] = Counter()

    def change(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
        if not is_post(environ, "/releases"):
            return call()
        key = environ["HTTP_IDEMPOTENCY_KEY"]
        with lock:
            in_work[key] += 1
            number = in_work[key]
            lock.notify_all()
            crowded = lock.wait_for(lambda: in_work[key] > 1, timeout=0.05)
        try:
            return booked_anew(environ, call, number) if crowded and number > 1 else call()
        finally:
            with lock:
                in_work[key] -= 1

    return layer(change)


def fails_on_unknown_ids(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
    answered = call()
    if answered.status != 404 or environ["REQUEST_METHOD"] != "GET":
        return answered
    body = {
        "type": "urn:peakproof:problem:internal-error",
        "title": "Failed",
        "status": 500,
        "detail": "null reference",
    }
    return Answered(500, answered.headers, orjson.dumps(body))


def ignores_tokens(box: Sandbox, host: str, but: Collection[str] = ()) -> Wrap:
    """Any token is as good as the right one, except those of `but`."""

    def change(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
        given = environ.get("HTTP_AUTHORIZATION", "")
        if given not in but and environ["PATH_INFO"] != "/oauth/token":
            environ["HTTP_AUTHORIZATION"] = box.headers(host)["Authorization"]
        return call()

    return layer(change)


def cursor_loops(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
    answered = call()
    if environ["PATH_INFO"] != "/stock" or answered.status != 200:
        return answered
    return changed(answered, lambda page: page.update(next_page=2) if page["next_page"] else None)


def wrong_content_type(_environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
    answered = call()
    if answered.status < 400:
        return answered
    return Answered(answered.status, {**answered.headers, "Content-Type": "text/html"}, b"<h1>Error</h1>")


def stock_stays(sku: str) -> Wrap:
    first: dict[str, int] = {}

    def put_back(page: dict[str, Any]) -> None:
        for item in page["items"]:
            item["on_hand"] = first.setdefault(item["sku"], item["on_hand"])

    def change(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
        answered = call()
        if environ["PATH_INFO"] != "/stock" or environ.get("QUERY_STRING") != f"sku={sku}":
            return answered
        return changed(answered, put_back)

    return layer(change)


def cancels_what_has_shipped(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
    answered = call()
    if not environ["PATH_INFO"].endswith("/cancel") or answered.status != 409 or b"is shipped" not in answered.body:
        return answered
    lines = [{"line_no": 1, "sku": "22423", "quantity": 3, "cancelled": 3, "picked": 0, "short": 0, "shipped": 0}]
    body = {
        "release_id": environ["PATH_INFO"].split("/")[2], "customer_id": "C-1001", "order_reference": "PO-1",
        "status": "cancelled", "lines": lines, "parcels": [],
    }  # fmt: skip
    return Answered(200, {"Content-Type": "application/json"}, orjson.dumps(body))


def dishonest_retry_after(box: Sandbox) -> Wrap:
    """More than a dozen reads within a second bar the caller for a minute, whatever Retry-After says."""
    recent: deque[int] = deque(maxlen=13)
    barred_until_us = [0]

    def change(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
        now_us = box.now_us()
        recent.append(now_us)
        if len(recent) == recent.maxlen and now_us - recent[0] < 1_000_000:
            barred_until_us[0] = now_us + 60_000_000
        if now_us >= barred_until_us[0]:
            return call()
        body = {"type": "urn:peakproof:problem:rate-limited", "title": "Slow", "status": 429, "detail": "later"}
        headers = {"Content-Type": "application/problem+json", "Retry-After": "2"}
        return Answered(429, headers, orjson.dumps(body))

    return layer(change)


def tells_too_much(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
    answered = call()
    if (
        environ["REQUEST_METHOD"] != "GET"
        or not environ["PATH_INFO"].startswith("/releases/")
        or answered.status != 200
    ):
        return answered
    return changed(answered, lambda release: release.update(internal_note="as agreed by phone"))


def invoices_twice(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
    answered = call()
    if not is_post(environ, "/invoices") or answered.status != 200:
        return answered
    headers = {name: value for name, value in answered.headers.items() if name != "Idempotent-Replayed"}
    again = Answered(201, headers, answered.body)
    return changed(again, lambda invoice: invoice.update(invoice_id=invoice["invoice_id"] + "-B"))


def charges_more(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
    answered = call()
    if not is_post(environ, "/labels") or answered.status not in (200, 201):
        return answered
    return changed(answered, lambda label: label.update(amount_minor=label["amount_minor"] + 50))


def shapeless(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
    answered = call()
    if environ["PATH_INFO"].startswith("/stock") or answered.status >= 400:
        return answered
    return Answered(answered.status, answered.headers, b'{"lines": null, "status": 7, "items": 3}')


def no_stock_listed(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
    answered = call()
    if environ["PATH_INFO"] != "/stock" or environ.get("QUERY_STRING", "").startswith("sku=") or answered.status != 200:
        return answered
    return changed(answered, lambda page: page.update(items=[]))


def knows_any_release(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
    if environ["REQUEST_METHOD"] != "GET" or not environ["PATH_INFO"].startswith("/releases/CERT-"):
        return call()
    line = {"line_no": 1, "sku": "85123A", "quantity": 6, "cancelled": 0, "picked": 0, "short": 0, "shipped": 0}
    body = {
        "release_id": environ["PATH_INFO"].rsplit("/", 1)[1], "customer_id": "C-1001", "order_reference": "PO-4711",
        "status": "received", "lines": [line], "parcels": [],
    }  # fmt: skip
    return Answered(200, {"Content-Type": "application/json"}, orjson.dumps(body))


def fails_on_stock(environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
    """Any read of stock but the one that certification begins with ends in 500."""
    if environ["PATH_INFO"] != "/stock" or environ.get("QUERY_STRING") == "sku=85123A":
        return call()
    body = {
        "type": "urn:peakproof:problem:internal-error",
        "title": "Failed",
        "status": 500,
        "detail": "null reference",
    }
    return Answered(500, {"Content-Type": "application/problem+json"}, orjson.dumps(body))


def unsigned(app: WSGIApplication) -> WSGIApplication:
    def without(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.pop("HTTP_WEBHOOK_SIGNATURE", None)
        return app(environ, start_response)

    return without


class ChangingIds:
    """A sender that names an event anew at each attempt: it learns secrets at the API and signs anew on the way."""

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}

    def api(self, environ: WSGIEnvironment, call: Callable[[], Answered]) -> Answered:
        if is_post(environ, "/subscriptions"):
            body = body_of(environ)
            self._secrets["/" + body["url"].split("/", 3)[3]] = body["secret"]
        return call()

    def on_the_way(self, app: WSGIApplication) -> WSGIApplication:
        def renamed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            event = {**body_of(environ), "id": f"{environ['HTTP_WEBHOOK_ID']}-{environ['HTTP_X_ATTEMPT']}"}
            send_instead(environ, event)
            environ["HTTP_WEBHOOK_ID"] = event["id"]
            stamp, secret = int(environ["HTTP_WEBHOOK_TIMESTAMP"]), self._secrets[environ["PATH_INFO"]]
            environ["HTTP_WEBHOOK_SIGNATURE"] = sign_webhook(secret, event["id"], stamp, orjson.dumps(event))
            return app(environ, start_response)

        return renamed


def never_again(app: WSGIApplication) -> WSGIApplication:
    """Second attempts never arrive."""

    def once(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["HTTP_X_ATTEMPT"] == "1":
            return app(environ, start_response)
        start_response("204 No Content", [])
        return [b""]

    return once


def deaf_to_gone(app: WSGIApplication) -> WSGIApplication:
    """410 reaches the sender as any other failure."""

    def failing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answered = answer_of(app, environ)
        answered.status = 500 if answered.status == 410 else answered.status
        return reply(answered, start_response)

    return failing
