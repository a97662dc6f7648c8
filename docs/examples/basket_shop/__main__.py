"""`python -m basket_shop`: the corner shop's rules behind an API of baskets, on Flask's own threaded server."""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from corner_shop.partners import Partners
from corner_shop.shop import Refused, Shop
from corner_shop.store import Store
from corner_shop.worker import Worker
from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue

PARTNERS = ("erp", "wms-east", "carrier")


class WallClock:
    """Protocol time: what the shop waits for are partners."""

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def sleep(self, duration_us: int) -> None:
        time.sleep(duration_us / 1e6)


class BusinessClock(WallClock):
    """Business time, as the environment tells it: when an order was placed, and when work is due."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._shown_us = int(environment["PEAKPROOF_BUSINESS_US"])
        self._at_us = int(environment["PEAKPROOF_BUSINESS_AT_US"])
        self._speed = float(environment["PEAKPROOF_SPEED"])

    def now_us(self) -> int:
        return self._shown_us + round((time.time_ns() // 1_000 - self._at_us) * self._speed)


class Wake:
    """Wakes the worker."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def wait(self, timeout_us: int | None = None) -> bool:
        woken = self._event.wait(None if timeout_us is None else timeout_us / 1e6)
        self._event.clear()
        return woken


class Threads:
    """Background work."""

    def spawn(self, name: str, function: Callable[..., object], *arguments: object) -> None:
        threading.Thread(target=function, args=arguments, name=name, daemon=True).start()

    def signal(self) -> Wake:
        return Wake()


class Ids:
    """Identifiers that nobody has drawn before."""

    def new(self, kind: str) -> str:
        return f"{kind}-{uuid4().hex[:20]}x"


def routes(app: Flask, shop: Shop, tokens: Mapping[str, str]) -> None:
    """The shop's own API: baskets in, baskets and shelves out."""

    @app.before_request
    def admit() -> ResponseReturnValue | None:
        if request.path.startswith("/hooks/") or request.headers.get("X-Api-Key") in tokens:
            return None
        return jsonify(reason="who is it?"), 401

    @app.errorhandler(Refused)
    def refuse(error: Refused) -> ResponseReturnValue:
        return jsonify(reason=error.body["title"], basket=error.body.get("existing_order_id")), 400

    @app.put("/baskets/<key>")
    def put_basket(key: str) -> ResponseReturnValue:
        order, again = shop.place_order(key, request.get_json(), request.headers.get("traceparent", ""))
        return jsonify(taken=order, again=again)

    @app.get("/baskets/<order_id>")
    def basket(order_id: str) -> ResponseReturnValue:
        return jsonify(taken=shop.order(order_id), again=False)

    @app.get("/baskets")
    def baskets() -> ResponseReturnValue:
        return jsonify(shop.find(request.args["customer"], request.args["reference"]))

    @app.get("/shelves")
    def shelves() -> ResponseReturnValue:
        return jsonify({item["sku"]: item["available"] for item in shop.availability([])["items"]})

    @app.post("/hooks/wms-east")
    def receive_webhook() -> Response:
        shop.receive(request.headers, request.get_data())
        return Response(status=204)


def main(environment: Mapping[str, str]) -> None:
    """Serve for ever where PEAKPROOF_PUBLIC_URL says."""
    prefixes = {partner: f"PEAKPROOF_{partner.upper().replace('-', '_')}" for partner in PARTNERS}
    urls = {partner: environment[f"{prefix}_URL"] for partner, prefix in prefixes.items()}
    credentials = {partner: environment[f"{prefix}_CREDENTIAL"] for partner, prefix in prefixes.items()}
    secrets = {"wms-east": environment["PEAKPROOF_WMS_EAST_WEBHOOK_SECRET"]}
    public_url = environment["PEAKPROOF_PUBLIC_URL"]
    with tempfile.TemporaryDirectory() as scratch:
        store, talk = Store(str(Path(scratch) / "shop.db")), Partners(urls, credentials, WallClock())
        clock = BusinessClock(environment)
        worker = Worker(store, talk, clock, Threads(), stable_release_ids=True)
        shop = Shop(store, talk, clock, Ids(), secrets, worker.wake)
        talk.subscribe(f"{public_url}/hooks/wms-east", secrets["wms-east"])
        shop.read_reference_data()
        shop.read_stock()
        app = Flask("basket_shop")
        tokens = {value: name for name, value in environment.items() if name.startswith("PEAKPROOF_CHANNEL_")}
        routes(app, shop, tokens)
        Threads().spawn("worker", worker.run)
        app.run("127.0.0.1", urlsplit(public_url).port, threaded=True)


logging.getLogger("werkzeug").setLevel(logging.WARNING)
if __name__ == "__main__":
    main(os.environ)
