"""The whole integration behind its WSGI door, on fake ports, with reference data and stock in place."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from werkzeug.test import Client

from contracts.wire import iso, sign_webhook
from integration.bootstrap import Application, build
from integration.process.reference import ReferenceSync
from integration.settings import Settings
from integration.storage.tables import audit, outbox

EAST, WEST = "wms-east", "wms-west"
HEADERS = {"Authorization": "Bearer portal-token", "Content-Type": "application/json"}
ADDRESS = {"name": "Gift Shop", "street": "1 High St", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}
EPOCH = iso(0)


class Erp:
    """Reference data of one customer per kind, three items, prices and tax."""

    def customers(self, changed_since: str | None) -> Iterator[dict[str, Any]]:
        base = {
            "name": "Gift Shop", "status": "active", "segment": "retail", "country": "GB", "tax_jurisdiction": "GB",
            "currency": "GBP", "price_list": "STD", "credit_limit_minor": 100_000, "credit_exposure_minor": 0,
            "updated_at": EPOCH,
        }  # fmt: skip
        yield {**base, "customer_id": "C1"}
        yield {**base, "customer_id": "BLOCKED", "status": "blocked"}
        yield {**base, "customer_id": "NOWHERE", "tax_jurisdiction": "XX"}

    def items(self, changed_since: str | None) -> Iterator[dict[str, Any]]:
        units = [{"unit": "EA", "factor": 1}, {"unit": "CS", "factor": 12}]
        base = {"description": "", "status": "active", "tax_category": "standard", "units": units, "weight_g": 100,
                "updated_at": EPOCH}  # fmt: skip
        yield {**base, "sku": "A"}
        yield {**base, "sku": "B", "units": units[:1]}
        yield {**base, "sku": "UNPRICED"}
        yield {**base, "sku": "GONE", "status": "discontinued"}

    def prices(self, changed_since: str | None) -> Iterator[dict[str, Any]]:
        base = {"price_list": "STD", "currency": "GBP", "valid_from": EPOCH, "valid_to": None, "updated_at": EPOCH}
        yield {**base, "sku": "A", "unit_price_minor": 255}
        yield {**base, "sku": "B", "unit_price_minor": 3}
        yield {**base, "sku": "UNPRICED", "unit_price_minor": 1, "valid_to": iso(1)}

    def tax_rates(self, changed_since: str | None) -> Iterator[dict[str, Any]]:
        yield {"jurisdiction": "GB", "tax_category": "standard", "rate_bp": 2000, "updated_at": EPOCH}


@dataclass
class Shop:
    """The application with a client to call it."""

    application: Application
    client: Client
    ports: Any

    def order(self, *lines: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        numbered = [{"line_no": number, "unit": "EA", **line} for number, line in enumerate(lines, 1)]
        return {
            "customer_id": "C1", "order_reference": "PO-1", "currency": "GBP", "fill_policy": "fill_available",
            "service": "standard", "ship_to": ADDRESS, "lines": numbered, **changes,
        }  # fmt: skip

    def post(self, path: str, body: object, key: str = "k1", **headers: str) -> Any:
        sent = {**HEADERS, "Idempotency-Key": key, **headers}
        return self.client.post(path, data=orjson.dumps(body), headers={n: v for n, v in sent.items() if v})

    def get(self, path: str, token: str = "portal-token") -> Any:
        return self.client.get(path, headers={"Authorization": f"Bearer {token}"})

    def webhook(self, partner: str, event_type: str, data: object, event_id: str = "e1", **changes: Any) -> Any:
        event = {
            "specversion": "1.0", "id": event_id, "source": partner, "type": event_type,
            "time": iso(self.ports.clock.now_us()), "subject": "A", "datacontenttype": "application/json",
            "data": data, **changes.get("envelope", {}),
        }  # fmt: skip
        body = orjson.dumps(event)
        at_s = changes.get("at_s", self.ports.clock.now_us() // 1_000_000)
        headers = {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": event_id,
            "webhook-timestamp": str(at_s),
            "webhook-signature": sign_webhook(changes.get("secret", "s-east"), event_id, at_s, body),
        }
        return self.client.post(f"/webhooks/{partner}", data=body, headers=headers)

    def stock(self, node: str, as_of: int, **on_hand: int) -> None:
        rows = [{"sku": sku, "on_hand": quantity, "held": 0} for sku, quantity in on_hand.items()]
        with self.application.database.write() as tx:
            self.application.inventory.take_snapshot(tx, node, as_of, rows)

    def load_reference(self, after: Callable[[], None] = lambda: None) -> None:
        ReferenceSync(self.application.database, self.ports.clock, Erp(), after).synchronize()

    def messages(self) -> list[tuple[str, str, str]]:
        with self.application.database.read() as tx:
            return [(row.lane, row.kind, row.business_key) for row in tx.rows(select(outbox))]

    def audited(self) -> list[str]:
        with self.application.database.read() as tx:
            return [row.event for row in tx.rows(select(audit.c.event).order_by(audit.c.audit_id))]


def make_shop(ports: Any, database_url: str, **settings: Any) -> Shop:
    given = Settings(
        database_url=database_url,
        sqlite_synchronous="OFF",
        channel_tokens={"portal-token": "portal", "edi-token": "edi", "ops-token": "operations"},
        credentials={"webhook:wms-east": "s-east"},
        hide_failures=False,
    )
    application = build(ports, given.updated(settings))
    return Shop(application, Client(application.wsgi), ports)


@pytest.fixture
def bare_shop(ports: Any, database_url: str) -> Shop:
    """Nothing has been read from any partner yet."""
    return make_shop(ports, database_url)


@pytest.fixture
def open_shop(ports: Any, database_url: str) -> Callable[..., Shop]:
    """Opens a shop with other settings: reference data loaded, stock read from every node."""

    def opened(**settings: Any) -> Shop:
        shop = make_shop(ports, database_url, **settings)
        shop.load_reference()
        shop.stock(EAST, 1, A=10, B=100)
        shop.stock(WEST, 1, A=4)
        shop.stock("threepl", 1)
        return shop

    return opened


@pytest.fixture
def shop(open_shop: Callable[..., Shop]) -> Shop:
    return open_shop()
