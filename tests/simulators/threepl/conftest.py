"""A 3PL in a world, and a caller that talks to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from simulators.partnerkit import load
from simulators.threepl.api import create_app
from simulators.threepl.process import ThreePl, ThreePlProfile

OPENING = {"MUG": 1_000, "TIN": 100}
WEIGHTS_G = {"MUG": 400, "TIN": 1_500}
ADDRESS = {"name": "Gift Shop", "street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}


@dataclass
class Provider:
    """One 3PL and the caller that talks to it."""

    threepl: ThreePl
    caller: Any

    def submit(self, reference: str, *lines: tuple[str, int]) -> Any:
        rows = [{"line_no": no, "sku": sku, "quantity": quantity} for no, (sku, quantity) in enumerate(lines, start=1)]
        head = {"reference": reference, "customer_id": "C1", "order_reference": "PO-1", "ship_to": ADDRESS}
        return self.caller.call("POST", "http://threepl/fulfillment-orders", head | {"lines": rows}, key=reference)

    def get(self, path: str) -> Any:
        return self.caller.call("GET", f"http://threepl{path}")

    def post(self, path: str, **body: Any) -> Any:
        return self.caller.call("POST", f"http://threepl{path}", body)

    def cancel(self, reference: str) -> Any:
        head = {"customer_id": "C1", "order_reference": "PO-1", "reason": "customer"}
        return self.post(f"/fulfillment-orders/{reference}/cancel", **head)


@pytest.fixture
def make_provider(make_caller: Callable[..., Any]) -> Callable[..., Provider]:
    """Makes a provider on a profile, with overrides and faults."""

    def make(profile: str = "regional", *faults: Any, **overrides: object) -> Provider:
        caller = make_caller(*faults)
        calm: dict[str, object] = {"picking": {"short_share": 0.0}, "reject_share": 0.0}
        threepl = ThreePl(caller.world, "threepl", load(ThreePlProfile, profile, calm | overrides), OPENING, WEIGHTS_G)
        caller.token = "token-threepl"
        caller.world.network.attach("threepl", lambda: create_app(threepl))
        return Provider(threepl, caller)

    return make


@pytest.fixture
def provider(make_provider: Callable[..., Provider]) -> Provider:
    return make_provider()
