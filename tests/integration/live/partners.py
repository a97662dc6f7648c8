"""Partners on one real port, as simple as can be, that never recognize a repetition where a careful client need not
rely on it: whoever books, releases or buys a label twice finds it twice in the ledger.

`/erp`, `/wms-east`, `/wms-west`, `/threepl` and `/carrier` are their base URLs. A released order is picked and packed
at once, and shipped when its labels are there; webhooks are repeated until they are acknowledged.
"""

import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.serving import make_server

from contracts.wire import iso, sign_webhook

SECRET = "webhook-secret"
SKUS = tuple(f"SKU{number}" for number in range(10))
CUSTOMERS = tuple(f"C{number}" for number in range(20))
_WEBHOOK_TRIES = 400
_WEBHOOK_PAUSE_S = 0.1


@dataclass
class Partners:
    """What they know and did. `ledger` has one entry (kind, business reference) per effect."""

    on_hand: int = 1_000_000
    integration: str = ""
    ledger: list[tuple[str, str]] = field(default_factory=list)
    undelivered: list[str] = field(default_factory=list)
    _seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    _sold: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    _releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    _labels: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _sequence: int = 0

    def note(self, kind: str, reference: str) -> int:
        """An effect; the answer is its number."""
        with self._lock:
            self.ledger.append((kind, reference))
            return len(self.ledger)

    def count(self, kind: str) -> dict[str, int]:
        """How often each reference has had this kind of effect."""
        counts: dict[str, int] = {}
        with self._lock:
            for found, reference in self.ledger:
                if found == kind:
                    counts[reference] = counts.get(reference, 0) + 1
        return counts

    def once_per_key(self, kind: str, reference: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Where even a careful client relies on its key: the first answer is given again."""
        key = f"{kind} {request.headers['Idempotency-Key']}"
        with self._lock:
            if key not in self._seen:
                self.note(kind, reference)
                self._seen[key] = answer
            return self._seen[key]

    def tell(self, partner: str, event_type: str, data: dict[str, Any]) -> None:
        """Send an event until it is acknowledged."""
        now_us = time.time_ns() // 1_000
        event_id = f"{partner}.{event_type}.{data.get('release_id', '')}.{self.note('event', event_type)}"
        event = {
            "specversion": "1.0", "id": event_id, "source": partner, "type": event_type, "time": iso(now_us),
            "subject": data["release_id"], "datacontenttype": "application/json", "data": data,
        }  # fmt: skip
        body = orjson.dumps(event)
        for _ in range(_WEBHOOK_TRIES):
            at_s = int(time.time())
            headers = {
                "Content-Type": "application/cloudevents+json", "webhook-id": event_id,
                "webhook-timestamp": str(at_s), "webhook-signature": sign_webhook(SECRET, event_id, at_s, body),
            }  # fmt: skip
            asked = urllib.request.Request(f"{self.integration}/webhooks/{partner}", body, headers, method="POST")
            try:
                with urllib.request.urlopen(asked, timeout=5):
                    return
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    self.undelivered.append(f"{event_id}: {error.code} {error.read()!r}")
                    return
            except OSError:
                pass
            time.sleep(_WEBHOOK_PAUSE_S)
        self.undelivered.append(event_id)

    def handle_release(self, node: str, body: dict[str, Any]) -> None:
        """Pick and pack."""
        named = {name: body[name] for name in ("release_id", "customer_id", "order_reference")}
        picked = [{**line, "picked": line["quantity"], "short": 0, "reason": None} for line in body["lines"]]
        for line in picked:
            del line["quantity"]
        self.tell(node, "release.picked", {**named, "sequence": 1, "lines": picked})
        parcel = {"parcel_id": f"{body['release_id']}.P1", "weight_g": 500, "lines": body["lines"]}
        self.tell(node, "release.packed", {**named, "sequence": 2, "parcels": [parcel]})

    def ship(self, node: str, release_id: str, parcels: list[dict[str, Any]]) -> None:
        """Send it off."""
        body = self._releases[release_id]
        self.note("shipment", release_id)
        with self._lock:
            self._sequence += 1
            sequence = self._sequence
        deltas = [{"sku": line["sku"], "on_hand_delta": -line["quantity"], "held_delta": 0} for line in body["lines"]]
        self.tell(node, "release.shipped", {
            **{name: body[name] for name in ("release_id", "customer_id", "order_reference")},
            "sequence": 3, "shipment_id": f"S-{release_id}", "shipped_at": iso(time.time_ns() // 1_000),
            "lines": body["lines"],
            "parcels": [{**parcel, "lines": body["lines"]} for parcel in parcels],
            "stock": {"sequence": sequence, "deltas": deltas},
        })  # fmt: skip


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, content_type="application/json")


def _missing() -> Response:
    return Response(
        orjson.dumps({"type": "urn:peakproof:problem:not-found", "title": "none", "status": 404, "detail": "none"}),
        404,
        content_type="application/problem+json",
    )


def _reference_data(app: Flask) -> None:
    epoch = iso(0)
    customers = [
        {"customer_id": name, "name": name, "status": "active", "segment": "retail", "country": "GB",
         "tax_jurisdiction": "GB", "currency": "GBP", "price_list": "STD", "credit_limit_minor": 10**12,
         "credit_exposure_minor": 0, "updated_at": epoch}
        for name in CUSTOMERS
    ]  # fmt: skip
    items = [
        {"sku": sku, "description": "", "status": "active", "tax_category": "standard", "weight_g": 100,
         "units": [{"unit": "EA", "factor": 1}], "updated_at": epoch}
        for sku in SKUS
    ]  # fmt: skip
    prices = [
        {"price_list": "STD", "sku": sku, "currency": "GBP", "unit_price_minor": 100, "valid_from": epoch,
         "valid_to": None, "updated_at": epoch}
        for sku in SKUS
    ]  # fmt: skip
    rates = [{"jurisdiction": "GB", "tax_category": "standard", "rate_bp": 2000, "updated_at": epoch}]
    for name, rows in (("customers", customers), ("items", items), ("price-lists", prices), ("tax-rates", rates)):
        app.add_url_rule(f"/erp/{name}", name, lambda rows=rows: _json({"items": rows, "next_page": None}))


def _erp(app: Flask, partners: Partners) -> None:
    @app.post("/erp/oauth/token")
    def token() -> Response:
        return _json({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})

    @app.post("/erp/sales-orders")
    def book() -> Response:
        body = request.get_json()
        order = {"erp_order_id": f"E{partners.note('booking', body['order_id'])}", "lines": body["lines"]}
        partners._sold[body["customer_id"], body["order_reference"]] = order
        return _json(order, 201)

    @app.get("/erp/sales-orders")
    def find() -> Response:
        found = partners._sold.get((request.args["customer_id"], request.args["order_reference"]))
        return _json({"items": [found] if found else [], "next_page": None})

    @app.post("/erp/shipments")
    def confirm() -> Response:
        shipment_id = request.get_json()["shipment_id"]
        return _json(partners.once_per_key("confirmation", shipment_id, {"shipment_id": shipment_id}), 201)

    @app.post("/erp/invoices")
    def invoice() -> Response:
        shipment_id = request.get_json()["shipment_id"]
        return _json(partners.once_per_key("invoice", shipment_id, {"invoice_id": f"I-{shipment_id}"}), 201)


def _nodes(app: Flask, partners: Partners) -> None:
    @app.get("/<node>/stock")
    def stock(node: str) -> Response:
        with partners._lock:
            on_hand = partners.on_hand if node == "wms-east" else 0
            shipped: dict[str, int] = {}
            for kind, reference in partners.ledger:
                if kind == "shipment":
                    for line in partners._releases[reference]["lines"]:
                        shipped[line["sku"]] = shipped.get(line["sku"], 0) + line["quantity"]
            rows = [
                {"sku": sku, "on_hand": on_hand - (shipped.get(sku, 0) if on_hand else 0), "held": 0} for sku in SKUS
            ]
            return _json({"items": rows, "as_of_sequence": partners._sequence, "next_page": None})

    @app.post("/<node>/subscriptions")
    def subscribe(node: str) -> Response:
        return _json({"subscription_id": f"sub-{node}"}, 201)

    @app.post("/<node>/releases")
    def release(node: str) -> Response:
        body = request.get_json()
        partners.note("release", body["release_id"])
        partners._releases[body["release_id"]] = body
        threading.Thread(target=partners.handle_release, args=(node, body), daemon=True).start()
        return _json({"release_id": body["release_id"], "lines": body["lines"]}, 201)

    @app.get("/<node>/releases/<release_id>")
    def read(node: str, release_id: str) -> Response:
        body = partners._releases.get(release_id)
        return _json({"release_id": release_id, "lines": body["lines"]}) if body else _missing()

    @app.post("/<node>/releases/<release_id>/labels")
    def attach(node: str, release_id: str) -> Response:
        parcels = request.get_json()["parcels"]
        key = f"labels {release_id}"
        with partners._lock:
            is_new = key not in partners._seen
            partners._seen[key] = {}
        if is_new:
            threading.Thread(target=partners.ship, args=(node, release_id, parcels), daemon=True).start()
        return _json({"release_id": release_id, "lines": partners._releases[release_id]["lines"]})

    @app.get("/threepl/fulfillment-orders")
    def changes() -> Response:
        return _json({"items": [], "latest_change": 0})


def _carrier(app: Flask, partners: Partners) -> None:
    @app.post("/carrier/labels")
    def buy() -> Response:
        reference = request.get_json()["label_reference"]
        number = partners.note("label", reference)
        label = {"label_id": f"L{number}", "tracking_number": f"T{number}", "status": "active"}
        partners._labels.setdefault(reference, []).append(label)
        return _json(label, 201)

    @app.get("/carrier/labels")
    def labels() -> Response:
        return _json({"items": partners._labels.get(request.args["label_reference"], []), "next_page": None})


@contextmanager
def serving(partners: Partners, port: int = 0) -> Iterator[str]:
    """Serve them on a port of the loopback, 0 for a free one; the URL without a path."""
    app = Flask("partners")
    _reference_data(app)
    _erp(app, partners)
    _carrier(app, partners)
    _nodes(app, partners)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
