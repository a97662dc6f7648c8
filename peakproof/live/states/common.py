"""States that several partners share: goods on shelves, limits used up, gateways that turn calls away."""

from peakproof.live.sandbox import Request
from peakproof.live.states.registry import Registry, Scene, StateFailed, Values

ORDER = {"customer_id": "C-1001", "order_reference": "PO-4711"}
SHIP_TO = {"name": "Gift Shop Ltd", "street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}
SKU = "85123A"
LINES = [{"line_no": 1, "sku": SKU, "quantity": 6}]
A_FEW_CALLS = "{kind: window, calls: 40, per: 10m}"
_MOST_CALLS = 100
_ARRIVED_US = 45_000
"""The slowest leg of the test house takes 40 ms."""


def gateway_overloaded(host: str, route: str) -> dict[str, str]:
    """A house in which calls to a route of a host are turned away before they are worked on."""
    return {"faults": f"[{{id: gateway, kind: error_before, edge: [integration, {host}], route: '{route}'}}]"}


def use_up_quota(scene: Scene, path: str) -> None:
    """Read a path until the provider says that it is too much."""
    headers = scene.box.headers(scene.host)
    for _ in range(_MOST_CALLS):
        if scene.call(Request("GET", path, headers)).status == 429:
            return
    raise StateFailed(f"{scene.host} answered {_MOST_CALLS} reads of {path} in a row: it has no quota to use up")


def in_work(scene: Scene, path: str, body: object, key: str) -> None:
    """Have a write with that key on the provider's table, not answered yet."""
    scene.begin(scene.request(path, body, key), _ARRIVED_US)


def withdrawn_token(registry: Registry) -> None:
    """Register the state of a client that shows a token which the provider no longer knows."""

    @registry.state("the client's token was withdrawn")
    def withdrawn(_scene: Scene) -> Values:
        return {"token": "withdrawn-token"}
