"""What the shop offers over HTTP: orders, availability, and the door for the warehouse's webhooks."""

import base64
import hashlib
import hmac
import json
import sqlite3
from datetime import UTC, datetime
from typing import Any, Protocol

from flask import Flask, Response, request

from .partners import WAREHOUSE, Clock, Partners
from .store import Store, put_job, set_status
from .worker import Signal

PROBLEM = "urn:peakproof:problem:"
UNUSED_NODES = ("wms-west", "threepl")


class Ids(Protocol):
    def new(self, kind: str) -> str: ...


class Refused(Exception):
    """A problem+json answer."""

    def __init__(self, status: int, problem: str, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"type": PROBLEM + problem, "title": problem, "status": status, "detail": detail, **members}


class Shop:
    """The rules. Every method is one transaction, and calls nobody while it is open."""

    def __init__(
        self, store: Store, partners: Partners, clock: Clock, ids: Ids, secrets: dict[str, str], wake: Signal
    ) -> None:
        self._store = store
        self._partners = partners
        self._clock = clock
        self._ids = ids
        self._secrets = secrets
        self._wake = wake

    def read_reference_data(self) -> None:
        """Customers, items, prices and tax rates, once."""
        self._customers = {row["customer_id"]: row for row in self._partners.all_of("erp", "/customers")}
        self._items = {row["sku"]: row for row in self._partners.all_of("erp", "/items")}
        self._prices = {
            (row["price_list"], row["sku"]): row["unit_price_minor"]
            for row in self._partners.all_of("erp", "/price-lists")
            if row["valid_to"] is None
        }
        self._tax_rates = {
            (row["jurisdiction"], row["tax_category"]): row["rate_bp"]
            for row in self._partners.all_of("erp", "/tax-rates")
        }

    def read_stock(self) -> None:
        """The warehouse's stock as of now; from here on its webhooks move it."""
        sequence, items = self._partners.stock()
        with self._store.transaction() as tx:
            known = {row["sku"]: row["reserved"] for row in tx.execute("SELECT sku, reserved FROM stock")}
            rows = [(item["sku"], item["on_hand"], item["held"], known.get(item["sku"], 0)) for item in items]
            tx.execute("DELETE FROM stock")
            tx.executemany("INSERT INTO stock VALUES (?, ?, ?, ?)", rows)
            tx.execute("DELETE FROM stock_as_of")
            tx.execute("INSERT INTO stock_as_of VALUES (?)", (sequence,))

    def place_order(self, key: str, asked: dict[str, Any], trace: str) -> tuple[dict[str, Any], bool]:
        """The order, and whether it was accepted under this key before."""
        fingerprint = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        with self._store.transaction() as tx:
            kept = tx.execute("SELECT * FROM keys WHERE idempotency_key = ?", (key,)).fetchone()
            if kept is not None:
                if kept["fingerprint"] != fingerprint:
                    raise Refused(422, "idempotency-key-reused", "this key came with another order")
                return json.loads(kept["answer"]), True
            order = self._accept(tx, asked, trace)
            tx.execute("INSERT INTO keys VALUES (?, ?, ?)", (key, fingerprint, json.dumps(order)))
        self._wake.set()
        return order, False

    def _accept(self, tx: sqlite3.Connection, asked: dict[str, Any], trace: str) -> dict[str, Any]:
        customer_id, reference = asked["customer_id"], asked["order_reference"]
        used = "SELECT order_id FROM orders WHERE customer_id = ? AND order_reference = ?"
        standing = tx.execute(used, (customer_id, reference)).fetchone()
        if standing is not None:
            detail = f"{reference} is order {standing['order_id']}"
            raise Refused(409, "order-reference-used", detail, existing_order_id=standing["order_id"])
        customer = self._customers.get(customer_id)
        if customer is None:
            raise Refused(422, "unknown-customer", f"no customer {customer_id}")
        lines = [self._priced(customer, line) for line in asked["lines"]]
        for line in lines:
            self._reserve(tx, line)
        net = sum(line["ordered"] * line["unit_price_minor"] for line in lines)
        tax = sum(
            (line["ordered"] * line["unit_price_minor"] * line["tax_rate_bp"] + 5_000) // 10_000 for line in lines
        )
        order_id = self._ids.new("ord")
        tx.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, 'accepted', 1, ?, ?, ?, ?, NULL)",
            (
                *(order_id, customer_id, reference, asked["currency"], asked["service"], json.dumps(asked["ship_to"])),
                *(_timestamp(self._clock.now_us()), net, tax, trace),
            ),
        )
        fields = ("line_no", "sku", "ordered", "ordered", "unit_price_minor", "tax_rate_bp")
        values = [(order_id, *(line[field] for field in fields)) for line in lines]
        tx.executemany("INSERT INTO lines VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?)", values)
        put_job(tx, "book", order_id, "", self._clock.now_us())
        return _order(tx, order_id)

    def _priced(self, customer: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
        item = self._items.get(line["sku"])
        if item is None:
            raise Refused(422, "unknown-sku", f"no item {line['sku']}")
        price = self._prices.get((customer["price_list"], line["sku"]))
        if price is None:
            raise Refused(422, "no-contract-price", f"no price for {line['sku']}")
        if line.get("unit_price_minor", price) != price:
            raise Refused(422, "price-mismatch", f"{line['sku']} costs {price}")
        factors = {unit["unit"]: unit["factor"] for unit in item["units"]}
        return {
            "line_no": line["line_no"],
            "sku": line["sku"],
            "ordered": line["quantity"] * factors[line["unit"]],
            "unit_price_minor": price,
            "tax_rate_bp": self._tax_rates[(customer["tax_jurisdiction"], item["tax_category"])],
        }

    def _reserve(self, tx: sqlite3.Connection, line: dict[str, Any]) -> None:
        reserve = "UPDATE stock SET reserved = reserved + :ordered"
        enough = "WHERE sku = :sku AND on_hand - held - reserved >= :ordered"
        taken = tx.execute(f"{reserve} {enough}", {"ordered": line["ordered"], "sku": line["sku"]})
        if taken.rowcount == 0:
            raise Refused(409, "out-of-stock", f"not enough of {line['sku']}")

    def order(self, order_id: str) -> dict[str, Any]:
        """The order with its parcels and invoices."""
        with self._store.transaction() as tx:
            if tx.execute("SELECT 1 FROM orders WHERE order_id = ?", (order_id,)).fetchone() is None:
                raise Refused(404, "not-found", f"no order {order_id}")
            parcels = tx.execute("SELECT parcel_id, tracking_number FROM parcels WHERE order_id = ?", (order_id,))
            invoices = tx.execute("SELECT invoice_id FROM shipments WHERE order_id = ?", (order_id,)).fetchall()
            return _order(tx, order_id) | {
                "fulfillments": [],
                "parcels": [{**dict(parcel), "tracking_status": None} for parcel in parcels],
                "invoices": [row["invoice_id"] for row in invoices if row["invoice_id"] is not None],
                "timeline": [],
            }

    def find(self, customer_id: str, reference: str) -> list[dict[str, Any]]:
        with self._store.transaction() as tx:
            found = "SELECT order_id FROM orders WHERE customer_id = ? AND order_reference = ?"
            return [_order(tx, row["order_id"]) for row in tx.execute(found, (customer_id, reference)).fetchall()]

    def availability(self, skus: list[str]) -> dict[str, Any]:
        with self._store.transaction() as tx:
            rows = tx.execute(
                "SELECT sku, max(on_hand - held - reserved, 0) AS free FROM stock ORDER BY sku"
            ).fetchall()
        items = [
            {"sku": row["sku"], "available": max(row["free"], 0), "nodes": _nodes(max(row["free"], 0))}
            for row in rows
            if not skus or row["sku"] in skus
        ]
        return {"items": items, "as_of": _timestamp(self._clock.now_us()), "next_page": None}

    def receive(self, headers: Any, body: bytes) -> None:
        """One webhook of the warehouse, once."""
        webhook_id = headers.get("webhook-id", "")
        signed = f"{webhook_id}.{headers.get('webhook-timestamp', '')}.".encode() + body
        digest = hmac.digest(self._secrets[WAREHOUSE].encode(), signed, hashlib.sha256)
        if "v1," + base64.b64encode(digest).decode() not in headers.get("webhook-signature", "").split():
            raise Refused(401, "bad-signature", "no signature fits")
        event = json.loads(body)
        with self._store.transaction() as tx:
            if tx.execute("INSERT OR IGNORE INTO inbox VALUES (?)", (webhook_id,)).rowcount == 0:
                return
            if "stock" in event["data"]:
                self._move_stock(tx, event["data"]["stock"])
            effect = {"release.picked": self._picked, "release.packed": self._packed, "release.shipped": self._shipped}
            if event["type"] in effect:
                effect[event["type"]](tx, _order_of(tx, event["data"]), event["data"])
        self._wake.set()

    def _move_stock(self, tx: sqlite3.Connection, stock: dict[str, Any]) -> None:
        if stock["sequence"] <= tx.execute("SELECT sequence FROM stock_as_of").fetchone()["sequence"]:
            return  # in the numbers that were read at the start
        move = "UPDATE stock SET on_hand = on_hand + :on_hand_delta, held = held + :held_delta WHERE sku = :sku"
        tx.executemany(move, stock["deltas"])

    def _picked(self, tx: sqlite3.Connection, order_id: str, data: dict[str, Any]) -> None:
        for line in data["lines"]:
            self._settle(tx, order_id, line, "short", line["short"])
        _close_if_ended(tx, order_id)

    def _packed(self, tx: sqlite3.Connection, order_id: str, data: dict[str, Any]) -> None:
        for parcel in data["parcels"]:
            row = (parcel["parcel_id"], order_id, data["release_id"], parcel["weight_g"], json.dumps(parcel["lines"]))
            tx.execute("INSERT INTO parcels VALUES (?, ?, ?, ?, ?, NULL)", row)
            put_job(tx, "label", order_id, parcel["parcel_id"], self._clock.now_us())

    def _shipped(self, tx: sqlite3.Connection, order_id: str, data: dict[str, Any]) -> None:
        for line in data["lines"]:
            self._settle(tx, order_id, line, "shipped", line["quantity"])
        numbers = json.dumps([parcel["tracking_number"] for parcel in data["parcels"]])
        row = (data["shipment_id"], order_id, data["shipped_at"], numbers, json.dumps(data["lines"]))
        tx.execute("INSERT INTO shipments VALUES (?, ?, ?, ?, ?, NULL)", row)
        put_job(tx, "confirm", order_id, data["shipment_id"], self._clock.now_us())
        set_status(tx, order_id, "shipped")

    def _settle(self, tx: sqlite3.Connection, order_id: str, line: dict[str, Any], as_what: str, quantity: int) -> None:
        """Take a quantity off what is promised and reserved, as `short` or as `shipped`."""
        change = f"{as_what} = {as_what} + :quantity, confirmed = max(confirmed - :quantity, 0)"
        which = {"quantity": quantity, "order_id": order_id, "line_no": line["line_no"]}
        tx.execute(f"UPDATE lines SET {change} WHERE order_id = :order_id AND line_no = :line_no", which)
        tx.execute("UPDATE stock SET reserved = max(reserved - ?, 0) WHERE sku = ?", (quantity, line["sku"]))


def routes(app: Flask, shop: Shop, channel_tokens: dict[str, str]) -> None:
    """The routes of the order API that this shop serves."""

    @app.before_request
    def authenticate() -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not request.path.startswith("/webhooks/") and token not in channel_tokens:
            raise Refused(401, "bad-token", "no channel has this token")

    @app.errorhandler(Refused)
    def refuse(error: Refused) -> Response:
        return Response(json.dumps(error.body), error.status, content_type="application/problem+json")

    @app.post("/orders")
    def place_order() -> Response:
        key = request.headers.get("Idempotency-Key")
        if not key:
            raise Refused(400, "idempotency-key-missing", "send an Idempotency-Key")
        order, is_replay = shop.place_order(key, request.get_json(), request.headers.get("traceparent", ""))
        headers = {"Location": f"/orders/{order['order_id']}"} | ({"Idempotent-Replayed": "true"} if is_replay else {})
        return Response(json.dumps(order), 201, headers, content_type="application/json")

    @app.get("/orders/<order_id>")
    def read_order(order_id: str) -> dict[str, Any]:
        return shop.order(order_id)

    @app.get("/orders")
    def find_orders() -> dict[str, Any]:
        return {"items": shop.find(request.args["customer_id"], request.args["order_reference"])}

    @app.post("/orders/<order_id>/cancel")
    def cancel_order(order_id: str) -> Response:
        raise Refused(
            409, "too-late-to-cancel", f"{shop.order(order_id)['order_id']} is with the warehouse: send it back"
        )

    @app.get("/availability")
    def list_availability() -> dict[str, Any]:
        return shop.availability(request.args.getlist("sku"))

    @app.post("/webhooks/wms-east")
    def receive_webhook() -> Response:
        shop.receive(request.headers, request.get_data())
        return Response(status=204)


def _order(tx: sqlite3.Connection, order_id: str) -> dict[str, Any]:
    row = dict(tx.execute("SELECT * FROM orders WHERE order_id = ?", (order_id,)).fetchone())
    query = "SELECT * FROM lines WHERE order_id = ? ORDER BY line_no"
    lines = [{**dict(line), "backordered": 0, "cancelled": 0} for line in tx.execute(query, (order_id,))]
    for line in lines:
        del line["order_id"]
    told = ("order_id", "customer_id", "order_reference", "status", "version", "currency", "net_minor", "tax_minor")
    total_minor = row["net_minor"] + row["tax_minor"]
    rest = {"total_minor": total_minor, "accepted_at": row["accepted_at"], "lines": lines}
    return {name: row[name] for name in told} | rest


def _nodes(free: int) -> list[dict[str, Any]]:
    """Per place that could stock an item; this shop sells from one of them alone."""
    return [{"node": WAREHOUSE, "available": free}, *({"node": node, "available": 0} for node in UNUSED_NODES)]


def _order_of(tx: sqlite3.Connection, data: dict[str, Any]) -> str:
    found = "SELECT order_id FROM orders WHERE customer_id = :customer_id AND order_reference = :order_reference"
    order_id: str = tx.execute(found, data).fetchone()["order_id"]
    return order_id


def _close_if_ended(tx: sqlite3.Connection, order_id: str) -> None:
    """An order of which nothing could be found ends without a shipment."""
    totals = "SELECT sum(confirmed) AS open, sum(shipped) AS shipped FROM lines WHERE order_id = ?"
    row = tx.execute(totals, (order_id,)).fetchone()
    if row["open"] == 0 and row["shipped"] == 0:
        set_status(tx, order_id, "closed")


def _timestamp(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
