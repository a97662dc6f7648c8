"""The integration as it takes webhooks: its own application behind its own door, with one order under way."""

from pathlib import Path
from typing import Any

import orjson

from contracts.wire import sign_webhook
from tests.integration.conftest import FakeClock, FakeIds, FakePorts, FakeTasks, NoHttp, OpenGate
from tests.integration.experience.conftest import make_shop

RELEASE_ID = "ful-1x"
PARCEL_ID = "par-1"
SECRETS = {"wms-east": "s-east", "carrier": "s-carrier"}


class Inbox:
    """Takes one message of a pact. An order for six of A was accepted and lies with wms-east."""

    def __init__(self, directory: Path) -> None:
        ports = FakePorts(FakeClock(), NoHttp(), FakeTasks(), FakeIds(), OpenGate())
        credentials = {f"webhook:{partner}": secret for partner, secret in SECRETS.items()}
        self._shop = make_shop(ports, f"sqlite:///{directory}/integration.db", credentials=credentials)
        self._shop.load_reference()
        for node, stock in (("wms-east", {"A": 10}), ("wms-west", {"A": 4}), ("threepl", {})):
            self._shop.stock(node, 1, **stock)
        placed = self._shop.post("/orders", self._shop.order({"sku": "A", "quantity": 6}))
        assert placed.status_code == 201, placed.json
        self.order_id = placed.json["order_id"]
        self.message = b""

    def take(self) -> None:
        """Have the message of the pact delivered, as its sender would deliver it."""
        self.deliver(self.message)

    def deliver(self, body: bytes) -> None:
        event = orjson.loads(body)
        at_s = self._shop.ports.clock.now_us() // 1_000_000
        headers = {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": event["id"],
            "webhook-timestamp": str(at_s),
            "webhook-signature": sign_webhook(SECRETS[event["source"]], event["id"], at_s, body),
        }
        answer = self._shop.client.post(f"/webhooks/{event['source']}", data=body, headers=headers)
        assert answer.status_code == 204, answer.json

    def packed(self) -> None:
        """What goes before a scan: the parcel is packed."""
        line = {"line_no": 1, "sku": "A", "quantity": 6}
        parcels = [{"parcel_id": PARCEL_ID, "weight_g": 600, "lines": [line]}]
        head = {"release_id": RELEASE_ID, "customer_id": "C1", "order_reference": "PO-1", "sequence": 2}
        event = {"specversion": "1.0", "id": "before-1", "source": "wms-east", "type": "release.packed",
                 "time": "2026-11-27T09:00:00.000000Z", "subject": RELEASE_ID, "datacontenttype": "application/json",
                 "data": {**head, "parcels": parcels}}  # fmt: skip
        self.deliver(orjson.dumps(event))

    def order(self) -> Any:
        return self._shop.get(f"/orders/{self.order_id}").json

    def release(self) -> Any:
        """The part of the order that lies with wms-east."""
        (part,) = [part for part in self.order()["fulfillments"] if part["fulfillment_id"] == RELEASE_ID]
        return part

    def line(self) -> Any:
        return self.order()["lines"][0]

    def available(self) -> int:
        return int(self._shop.get("/availability?sku=A").json["items"][0]["available"])

    def heard(self) -> list[str]:
        return [str(event) for event in self._shop.audited()]
