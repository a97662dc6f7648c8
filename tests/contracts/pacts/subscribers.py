"""What the storefront and the customer portal do with events, as their own teams would write it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from contracts.wire import parse_iso, sign_webhook, verify_webhook

SECRET = "secret-of-the-subscriber"
NOW_S = 1_795_791_600

Data = Mapping[str, Any]


class Subscriber:
    """Takes signed events at its URL, each once however often it comes."""

    def __init__(self, **handlers: Callable[[Data], None]) -> None:
        self.message = b""
        self._handlers = handlers
        self._taken: set[str] = set()

    def take(self) -> None:
        """Have the message of the pact delivered, as its sender would deliver it."""
        event_id = orjson.loads(self.message)["id"]
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(NOW_S),
            "webhook-signature": sign_webhook(SECRET, event_id, NOW_S, self.message),
        }
        self.receive(headers, self.message)

    def receive(self, headers: Mapping[str, str], body: bytes) -> None:
        """One delivery. BadSignature where it is not from the integration."""
        names = ("webhook-id", "webhook-timestamp")
        event_id, at = (headers[name] for name in names)
        verify_webhook(SECRET, event_id, at, body, headers["webhook-signature"], now_s=NOW_S)
        event = orjson.loads(body)
        if event["id"] not in self._taken:
            self._handlers[event["type"].replace(".", "_")](event["data"])
            self._taken.add(event["id"])


class Shelves(Subscriber):
    """The storefront's: what its pages say is there, and what it writes to who ordered."""

    def __init__(self) -> None:
        super().__init__(order_accepted=self._confirm, availability_changed=self._restock)
        self.available: dict[str, int] = {}
        self.mails: list[str] = []
        self._as_of_us: dict[str, int] = {}

    def _confirm(self, data: Data) -> None:
        now, later = (sum(line[name] for line in data["lines"]) for name in ("confirmed", "backordered"))
        total = f"{data['total_minor'] / 100:.2f} {data['currency']}"
        customer, reference = data["customer_id"], data["order_reference"]
        self.mails.append(f"{customer}: {reference} is accepted, {total}; {now} ship now, {later} later")

    def _restock(self, data: Data) -> None:
        sku, as_of_us = data["sku"], parse_iso(data["as_of"])
        if as_of_us > self._as_of_us.get(sku, 0):
            self._as_of_us[sku] = as_of_us
            self.available[sku] = data["available"]


@dataclass
class Page:
    """What the portal shows of one order."""

    version: int = 0
    status: str = ""
    waiting: dict[int, int] = field(default_factory=dict)
    shipped: dict[int, int] = field(default_factory=dict)
    cancelled: dict[int, int] = field(default_factory=dict)
    parcels: list[str] = field(default_factory=list)
    invoices: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Pages(Subscriber):
    """The portal's: the page of each order. A newer event may overtake an older one, whose status is then no news."""

    def __init__(self) -> None:
        super().__init__(
            order_backordered=self._wait,
            order_cancelled=self._cancel,
            order_shipped=self._ship,
            order_invoiced=self._bill,
        )
        self.orders: dict[str, Page] = {}

    def _turn(self, data: Data) -> tuple[Page, bool]:
        """The order's page, and whether this is the newest of it."""
        page = self.orders.setdefault(data["order_id"], Page())
        newest = data["version"] >= page.version
        if newest:
            page.version, page.status = data["version"], data["status"]
        return page, newest

    def _wait(self, data: Data) -> None:
        page, newest = self._turn(data)
        if newest:
            page.waiting.update({line["line_no"]: line["backordered"] for line in data["lines"]})

    def _cancel(self, data: Data) -> None:
        page, _ = self._turn(data)
        page.cancelled.update({line["line_no"]: line["cancelled"] for line in data["lines"]})
        page.notes.append(data["reason"] or "no reason was given")

    def _ship(self, data: Data) -> None:
        page, _ = self._turn(data)
        page.parcels += [parcel["tracking_number"] for parcel in data["parcels"]]
        for line in data["lines"]:
            page.shipped[line["line_no"]] = page.shipped.get(line["line_no"], 0) + line["quantity"]

    def _bill(self, data: Data) -> None:
        page, _ = self._turn(data)
        page.invoices[data["invoice_id"]] = f"{data['total_minor'] / 100:.2f} {data['currency']}"
