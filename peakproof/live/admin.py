"""The admin API, on every port under /__admin, in the shape that WireMock's users know; and the pages of a host.

Every answer is JSON but evidence, which is NDJSON. `GET /__admin/health` and the pages need no token.
"""

import hmac
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from contracts.errors import PagesUnavailable
from contracts.evidence import COLUMNS
from contracts.pages import json_of, page_of
from contracts.wire import iso
from peakproof.live.errors import LiveError
from peakproof.live.gateway import HOST, RUN
from peakproof.live.recipe import Recipe
from peakproof.live.run import LiveRun
from peakproof.live.runs import Runs
from peakproof.live.toxics import fault_of, toxic_of
from scenarios.errors import ScenarioError
from scenarios.stage import CONTRACT_OF
from simulators.partnerkit.profile import parse_duration_us
from simulators.partnerkit.webhooks import Delivery

HEALTH = "/__admin/health"
_PAGES = ("/__openapi.json", "/__docs")
_MOST_ROWS = 10_000
_MOST_JOURNAL = 100_000
_MOST_DELAY_MS = 600_000


class _Refused(LiveError):
    """A refusal with its own status; any other LiveError is 422."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def create_admin(runs: Runs, shut_down: Callable[[], None]) -> Flask:
    """The application behind every port; the gateway says for which run and host it is called."""
    app = Flask("admin")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    handlers = _Handlers(runs, shut_down)
    app.before_request(_admit)
    app.register_error_handler(LiveError, _refusal)
    app.register_error_handler(ScenarioError, _refusal)
    app.register_error_handler(PagesUnavailable, lambda error: _problem(501, str(error)))
    app.register_error_handler(HTTPException, _unrouted)
    for method, rule, handler in handlers.routes():
        app.add_url_rule(rule, f"{method} {rule}", handler, methods=[method])
    return app


def _admit() -> None:
    if request.path in (HEALTH, *_PAGES):
        return
    shown, wanted = request.headers.get("Authorization", ""), f"Bearer {_run().secrets.admin}"
    if not hmac.compare_digest(shown.encode(), wanted.encode()):
        raise _Refused(401, "no admin token: send the header Authorization: Bearer with the token told at the start")


def _run() -> LiveRun:
    run: LiveRun = request.environ[RUN]
    return run


def _host() -> str:
    host: str = request.environ[HOST]
    return host


def _asked() -> dict[str, Any]:
    """The body as an object; none is an empty one."""
    raw = request.get_data()
    try:
        asked = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as error:
        raise _Refused(400, f"the body is not JSON: {error}") from error
    if not isinstance(asked, dict):
        raise _Refused(400, f"the body is {type(asked).__name__}, not an object")
    return asked


def _number(name: str, value: object, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise LiveError(f"{name} is {value!r}, not a number from 0 to {most:g}")
    return value


def _only(asked: dict[str, Any], *names: str) -> dict[str, Any]:
    unknown = sorted(asked.keys() - set(names))
    if unknown:
        raise LiveError(f"there is no {unknown[0]!r} here: use {', '.join(names)}")
    return asked


class _Handlers:
    def __init__(self, runs: Runs, shut_down: Callable[[], None]) -> None:
        self._runs = runs
        self._shut_down = shut_down

    def routes(self) -> list[tuple[str, str, Callable[..., Any]]]:
        return [
            ("GET", HEALTH, self.health),
            ("POST", "/__admin/reset", self.reset),
            ("POST", "/__admin/shutdown", self.shut_down),
            ("GET", "/__admin/requests", self.requests),
            ("DELETE", "/__admin/requests", self.forget_requests),
            ("POST", "/__admin/requests/find", self.find),
            ("POST", "/__admin/requests/count", self.count),
            ("POST", "/__admin/requests/remove", self.remove),
            ("GET", "/__admin/settings", self.settings),
            ("POST", "/__admin/settings", self.change_settings),
            ("GET", "/__admin/clock", self.clock),
            ("POST", "/__admin/clock", self.change_clock),
            ("GET", "/__admin/faults", self.faults),
            ("POST", "/__admin/faults", self.add_fault),
            ("DELETE", "/__admin/faults/<name>", self.remove_fault),
            ("POST", "/__admin/faults/heal", self.heal),
            ("GET", "/__admin/state", self.state),
            ("GET", "/__admin/ledger", self.ledger),
            ("GET", "/__admin/webhooks", self.webhooks),
            ("GET", "/__admin/evidence/<kind>", self.evidence),
            ("GET", "/__admin/runs", self.list_runs),
            ("POST", "/__admin/runs", self.make_run),
            ("DELETE", "/__admin/runs/<name>", self.end_run),
            ("GET", "/__openapi.json", self.document),
            ("GET", "/__docs", self.page),
        ]

    def health(self) -> tuple[dict[str, Any], int]:
        failure = _run().world.failure
        if failure is not None:
            return {"status": "unhealthy", "message": str(failure), "host": _host()}, 503
        return {"status": "healthy", "message": f"{_host()} is ready", "host": _host()}, 200

    def reset(self) -> dict[str, Any]:
        _run().reset()
        return {"evidence": str(_run().directory)}

    def shut_down(self) -> dict[str, Any]:
        self._shut_down()
        return {"status": "shutting down"}

    def requests(self) -> dict[str, Any]:
        found = _run().journal.listed(_host())
        limit = request.args.get("limit", len(found), type=int)
        return {"requests": found[: max(0, limit)], "meta": {"total": len(found)}, "requestJournalDisabled": False}

    def forget_requests(self) -> dict[str, Any]:
        _run().journal.clear()
        return {}

    def find(self) -> dict[str, Any]:
        return {"requests": _run().journal.find(_asked(), _host()), "requestJournalDisabled": False}

    def count(self) -> dict[str, Any]:
        return {"count": len(_run().journal.find(_asked(), _host())), "requestJournalDisabled": False}

    def remove(self) -> dict[str, Any]:
        return {"requests": _run().journal.remove(_asked(), _host())}

    def settings(self) -> dict[str, Any]:
        run = _run()
        settings = {
            "fixedDelay": run.fixed_delay_ms,
            "maxRequestJournalEntries": run.journal.limit,
            "integrationUrl": run.integration_url,
        }
        return {"settings": settings}

    def change_settings(self) -> dict[str, Any]:
        asked, run = _only(_asked(), "fixedDelay", "maxRequestJournalEntries", "integrationUrl"), _run()
        delay_ms = int(_number("fixedDelay", asked.get("fixedDelay", run.fixed_delay_ms), _MOST_DELAY_MS))
        entries = asked.get("maxRequestJournalEntries", run.journal.limit)
        limit = int(_number("maxRequestJournalEntries", entries, _MOST_JOURNAL))
        url = asked.get("integrationUrl", run.integration_url)
        if url is not None and not str(url).startswith(("http://", "https://")):
            raise LiveError(f"integrationUrl is {url!r}, not an http address")
        run.point_at(url)
        run.fixed_delay_ms = delay_ms
        run.journal.keep(limit)
        return self.settings()

    def clock(self) -> dict[str, Any]:
        world = _run().world
        now_us = world.clock.now_us()
        return {
            "business": iso(now_us),
            "business_us": now_us,
            "reached_us": world.now_us(),
            "protocol_us": world.protocol.now_us(),
            "speed": world.clock.speed,
            "frozen": world.clock.frozen,
            "segments": world.clock.segments,
        }

    def change_clock(self) -> dict[str, Any]:
        """`freeze` (true or false), `advance` (a duration such as 2h, or microseconds), `speed`; any of them."""
        asked, run = _only(_asked(), "freeze", "advance", "speed"), _run()
        freeze = asked.get("freeze")
        if freeze is not None and not isinstance(freeze, bool):
            raise LiveError(f"freeze is {freeze!r}, not true or false")
        speed = None if "speed" not in asked else float(_number("speed", asked["speed"], 1_000_000))
        try:
            advance_us = parse_duration_us(asked.get("advance", 0))
            if not isinstance(advance_us, int):
                raise LiveError(f"advance is {advance_us!r}: write a duration such as 90s, or microseconds")
            run.world.change_clock(speed, freeze, advance_us)
        except ValueError as error:
            raise LiveError(str(error)) from error
        run.record()
        return self.clock()

    def faults(self) -> dict[str, Any]:
        faults = _run().world.faults
        mine = [one for one in faults.plan if _host() in (one.host, one.source, one.target)]
        return {"faults": [toxic_of(one) for one in mine], "healed": faults.healed}

    def add_fault(self) -> tuple[dict[str, Any], int]:
        world = _run().world
        fault = fault_of(_asked(), _host(), world)
        try:
            world.do(lambda: world.faults.add(fault))
        except ValueError as error:
            raise _Refused(409, str(error)) from error
        return toxic_of(fault), 201

    def remove_fault(self, name: str) -> tuple[str, int]:
        world = _run().world
        try:
            world.do(lambda: world.faults.remove(name))
        except KeyError as error:
            raise _Refused(404, f"there is no fault {name!r}") from error
        return "", 204

    def heal(self) -> dict[str, Any]:
        _run().world.faults.heal()
        return self.faults()

    def state(self) -> dict[str, Any]:
        partner = _run().partner(_host())
        gauges = [
            {"name": name, "sku": sku, "location": location, "value": value}
            for name, sku, location, value in partner.gauges()
        ]
        return {"host": _host(), "quiet": partner.quiet(), "gauges": gauges, "stock": _run().stock(_host())}

    def ledger(self) -> dict[str, Any]:
        """This host's entries, oldest first; `kind` and `limit` (the latest so many) narrow them."""
        kind, limit = request.args.get("kind"), request.args.get("limit", _MOST_ROWS, type=int)
        rows = [row for row in map(orjson.loads, _lines("ledger")) if row["partner"] == _host()]
        chosen = [row for row in rows if kind in (None, row["kind"])]
        return {"entries": chosen[-max(0, min(limit, _MOST_ROWS)) :], "meta": {"total": len(chosen)}}

    def webhooks(self) -> dict[str, Any]:
        hooks = _run().webhooks().get(_host())
        if hooks is None:
            return {"subscriptions": [], "pending": [], "ended": [], "counts": {}}
        counts = {name: getattr(hooks, name) for name in ("emitted", "delivered", "retried", "gave_up")}
        return {
            "subscriptions": [
                {"subscription_id": one.subscription_id, "url": one.url, "types": list(one.types), "active": one.active}
                for one in hooks.subscriptions()
            ],
            "pending": [_delivery(one) for one in hooks.undelivered()],
            "ended": [_delivery(one) for one in hooks.ended()],
            "counts": counts,
        }

    def evidence(self, kind: str) -> Response:
        if kind not in COLUMNS:
            raise _Refused(404, f"there is no evidence {kind!r}: use one of {', '.join(COLUMNS)}")
        return Response(_lines(kind), content_type="application/x-ndjson")

    def list_runs(self) -> dict[str, Any]:
        self._in_first()
        return {"runs": [self._told(run) for run in self._runs.all()]}

    def make_run(self) -> tuple[dict[str, Any], int]:
        """`name`, and what differs from this process's own: `scenario`, `seed`, `speed`, `set` (an object)."""
        self._in_first()
        asked = _only(_asked(), "name", "scenario", "seed", "speed", "set")
        own, changes = self._runs.first.recipe, asked.get("set", {})
        if not isinstance(changes, dict):
            raise LiveError(f'set is {changes!r}, not an object such as {{"network.least": "1ms"}}')
        recipe = Recipe(
            asked.get("scenario", own.scenario),
            (*own.overrides, *((name, str(value)) for name, value in changes.items())),
            int(_number("seed", asked["seed"], 2**53)) if "seed" in asked else own.seed,
            float(_number("speed", asked.get("speed", own.speed), 1_000_000)),
        )
        return self._told(self._runs.make(str(asked.get("name", "")), recipe)), 201

    def end_run(self, name: str) -> tuple[str, int]:
        self._in_first()
        if not self._runs.end(name):
            raise _Refused(404, f"there is no run {name!r} that could be ended")
        return "", 204

    def _in_first(self) -> None:
        if _run().name:
            raise _Refused(403, "runs are made and ended by the admin of the run without a base path")

    def _told(self, run: LiveRun) -> dict[str, Any]:
        return {
            "name": run.name,
            "base_path": f"/r/{run.name}" if run.name else "",
            "evidence": str(run.directory),
            "seed": run.seed,
            "admin_token": run.secrets.admin,
            "tokens": dict(run.secrets.keys.integration_at),
            "clerk_tokens": dict(run.secrets.keys.clerk_at),
        }

    def document(self) -> Response:
        return Response(json_of(CONTRACT_OF[_host()]), content_type="application/json")

    def page(self) -> Response:
        return Response(page_of(CONTRACT_OF[_host()]), content_type="text/html; charset=utf-8")


def _lines(kind: str) -> Iterator[bytes]:
    """The rows of one kind so far, line by line."""
    run = _run()
    run.world.evidence.flush()
    path = run.directory / f"{kind}.ndjson"

    def read() -> Iterator[bytes]:
        with path.open("rb") as file:
            yield from file

    return read()


def _delivery(one: Delivery) -> dict[str, Any]:
    return {
        "id": one.event_id,
        "type": one.type,
        "subject": one.subject,
        "url": one.subscription.url,
        "attempts": one.attempts,
        "statuses": one.statuses,
        "next_attempt_us": one.due_at_us,
    }


def _refusal(error: Exception) -> Response:
    status = error.status if isinstance(error, _Refused) else 422
    return _problem(status, str(error))


def _unrouted(error: HTTPException) -> Response:
    return _problem(error.code or 500, f"{request.method} {request.path}: {error.description}")


def _problem(status: int, detail: str) -> Response:
    text = orjson.dumps({"type": "about:blank", "title": "Refused", "status": status, "detail": detail})
    return Response(text, status, content_type="application/problem+json")
