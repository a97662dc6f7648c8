"""A warehouse in a world, and a listener that takes its webhooks and labels what it packs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from flask import Flask, Response, request

from contracts.validation import Events
from simulators.partnerkit import load
from simulators.wms.api import create_app
from simulators.wms.process import Wms, WmsProfile

OPENING = {"MUG": 1_000, "TIN": 100, "BAG": 10}
WEIGHTS_G = {"MUG": 400, "TIN": 1_500, "BAG": 50}
ADDRESS = {"name": "Gift Shop", "street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}
TYPES = ["release.picked", "release.packed", "release.shipped", "release.cancelled", "inventory.changed"]


@dataclass
class Site:
    """One warehouse, the caller that talks to it, and every event that it sent, in order of arrival."""

    wms: Wms
    caller: Any
    events: list[dict[str, Any]] = field(default_factory=list)
    departures: list[list[str]] = field(default_factory=list)
    labels: bool = True

    def subscribe(self) -> None:
        body = {"url": "http://integration/webhooks/wms-east", "secret": "secret-wms-east", "types": TYPES}
        assert self.caller.call("POST", "http://wms-east/subscriptions", body).status == 201

    def release(self, release_id: str, *lines: tuple[str, int], service: str = "standard") -> Any:
        body = {
            "release_id": release_id,
            "customer_id": "C1",
            "order_reference": f"PO-{release_id}",
            "service": service,
            "ship_to": ADDRESS,
            "lines": [
                {"line_no": number, "sku": sku, "quantity": quantity}
                for number, (sku, quantity) in enumerate(lines, start=1)
            ],
        }
        return self.caller.call("POST", "http://wms-east/releases", body, key=f"release {release_id}".replace(" ", "-"))

    def read(self, release_id: str) -> Any:
        return self.caller.call("GET", f"http://wms-east/releases/{release_id}").json

    def post(self, path: str, key: str = "", **body: Any) -> Any:
        return self.caller.call("POST", f"http://wms-east{path}", body, key=key)

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [event["data"] for event in self.events if event["type"] == type_]

    def listener(self) -> Flask:
        app = Flask("listener")
        app.add_url_rule("/webhooks/wms-east", "hook", self._hear, methods=["POST"])
        return app

    def _hear(self) -> Response:
        event = orjson.loads(request.get_data())
        assert Events.load().envelope_errors(event) == []
        self.events.append(event)
        if self.labels and event["type"] == "release.packed":
            self.caller.world.spawn("label", self._label, event["data"], host="integration")
        return Response(status=204)

    def _label(self, data: dict[str, Any]) -> None:
        parcels = [
            {"parcel_id": parcel["parcel_id"], "tracking_number": f"T-{parcel['parcel_id']}"}
            for parcel in data["parcels"]
        ]
        head = {name: data[name] for name in ("customer_id", "order_reference")}
        answer = self.post(f"/releases/{data['release_id']}/labels", **head, parcels=parcels)
        assert answer.status == 200


@pytest.fixture
def make_site(make_caller: Callable[..., Any]) -> Callable[..., Site]:
    """Makes a site on a profile, with overrides and faults."""

    def make(profile: str = "regional", *faults: Any, **overrides: object) -> Site:
        caller = make_caller(*faults)
        calm = {"picking": {"short_share": 0.0}}
        wms = Wms(caller.world, "wms-east", load(WmsProfile, profile, calm | overrides), OPENING, WEIGHTS_G)
        site = Site(wms, caller)
        caller.token = "token-wms-east"
        wms.on_departure = site.departures.append
        caller.world.network.attach("wms-east", lambda: create_app(wms))
        caller.world.network.attach("integration", site.listener)
        return site

    return make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
