"""Contracts and event schemas as compiled validators: what they accept, and where they say that something is wrong."""

import copy
from typing import Any

import orjson
import pytest

from contracts.documents import EVENTS
from contracts.errors import ContractBreach, UnknownContract
from contracts.validation import Contract, Events, Violation
from simulators.kernel import Chance, Fault
from simulators.kernel.tampering import drifted

# What partners send to the integration, and what the integration sends to its subscribers.
WEBHOOKS = [
    "inventory.changed",
    "release.cancelled",
    "release.packed",
    "release.picked",
    "release.shipped",
    "tracking.updated",
]
BUSINESS_EVENTS = [
    "availability.changed",
    "order.accepted",
    "order.backordered",
    "order.cancelled",
    "order.invoiced",
    "order.shipped",
]
EVENT_TYPES = sorted(WEBHOOKS + BUSINESS_EVENTS)


def order_request() -> dict[str, Any]:
    example: dict[str, Any] = Contract.load("orders").document["components"]["schemas"]["OrderRequest"]["examples"][0]
    return copy.deepcopy(example)


def test_a_contract_is_compiled_once() -> None:
    assert Contract.load("erp") is Contract.load("erp")


def test_an_operation_is_found_by_flask_rule_and_by_template() -> None:
    wms = Contract.load("wms")
    operation = wms.operation("POST", "/releases/<string:release_id>/cancel")
    assert operation is wms.operation("POST", "/releases/{release_id}/cancel")
    assert operation.operation_id == "cancelRelease"
    assert list(operation.answers) == [200, 400, 401, 404, 405, 409, 413, 415, 422, 429, 500, 503]


def test_an_unknown_operation_is_named() -> None:
    with pytest.raises(UnknownContract, match=r"wms\.yaml has no PUT /releases"):
        Contract.load("wms").operation("PUT", "/releases")


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/sales-orders", "/sales-orders"),
        ("/sales-orders/SO-1", "/sales-orders/{erp_order_id}"),
        ("/sales-orders/SO-1/changes", "/sales-orders/{erp_order_id}/changes"),
        ("/sales-orders/SO-1/other", ""),
        ("/", ""),
    ],
)
def test_the_route_of_a_path(path: str, route: str) -> None:
    assert Contract.load("erp").route_of(path) == route


def test_a_good_request_has_no_errors() -> None:
    assert Contract.load("orders").operation("POST", "/orders").request_errors(order_request()) == []


def test_request_errors_point_to_the_places_in_order() -> None:
    body = order_request()
    body["lines"][0] |= {"quantity": 0, "colour": "red"}
    del body["currency"]
    errors = Contract.load("orders").operation("POST", "/orders").request_errors(body)
    assert errors == [
        Violation("", '"currency" is a required property'),
        Violation("/lines/0", "Additional properties are not allowed ('colour' was unexpected)"),
        Violation("/lines/0/quantity", "0 is less than the minimum of 1"),
    ]


def test_no_more_violations_than_a_reader_can_use() -> None:
    body = order_request()
    body["lines"] = [{**body["lines"][0], "line_no": number, "quantity": 0} for number in range(1, 51)]
    errors = Contract.load("orders").operation("POST", "/orders").request_errors(body)
    assert len(errors) == 10
    assert all(len(error.message) <= 200 for error in errors)


@pytest.mark.parametrize(
    "wrong",
    [
        "2026-11-27",
        "2026-11-27T09:00:00",
        "2026-11-27T09:00:00+01:00",
        "2026-13-27T09:00:00Z",
        "2026-11-27T09:00:00.1234567Z",
    ],
)
def test_timestamps_on_the_wire_are_utc_with_a_zone(wrong: str) -> None:
    operation = Contract.load("erp").operation("POST", "/shipments")
    body = copy.deepcopy(Contract.load("erp").document["components"]["schemas"]["ShipmentRequest"]["examples"][0])
    assert operation.request_errors(body) == []
    assert {error.pointer for error in operation.request_errors({**body, "shipped_at": wrong})} == {"/shipped_at"}


@pytest.mark.parametrize(
    ("reference", "fits"),
    [
        ("ful-1-9f3a", True),
        ("ful-1", False),
        ("ful-1x", True),
        ("7", True),
        ("a" * 40, True),
        ("a" * 41, False),
        ("a b", False),
    ],
)
def test_a_threepl_reference_does_not_look_like_a_split(reference: str, fits: bool) -> None:
    threepl = Contract.load("threepl")
    body = threepl.document["components"]["schemas"]["FulfillmentOrderRequest"]["examples"][0]
    errors = threepl.operation("POST", "/fulfillment-orders").request_errors({**body, "reference": reference})
    assert (errors == []) == fits


def test_answers_are_checked_by_status() -> None:
    operation = Contract.load("erp").operation("POST", "/shipments")
    assert (
        operation.answer_errors(201, {"shipment_id": "s", "erp_order_id": "e", "confirmed_at": "2026-11-27T09:00:00Z"})
        == []
    )
    assert [error.pointer for error in operation.answer_errors(200, {})] == ["", "", ""]
    with pytest.raises(ContractBreach, match=r"erp\.yaml POST /shipments does not document status 418, only 200, 201"):
        operation.answer_errors(418, {})


def test_an_answer_without_a_body() -> None:
    operation = Contract.load("orders").operation("POST", "/webhooks/{partner}")
    assert operation.answer_errors(204, None) == []
    assert operation.answer_errors(204, {}) == [Violation("", "status 204 carries no body")]


def test_all_events_have_a_schema() -> None:
    assert Events.load().types == EVENT_TYPES
    assert sorted(path.stem for path in EVENTS.glob("*.json")) == sorted(["common", *EVENT_TYPES])


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_an_events_example_fits_and_a_foreign_member_does_not(event_type: str) -> None:
    events = Events.load()
    example = orjson.loads((EVENTS / f"{event_type}.json").read_bytes())["examples"][0]
    events.check(event_type, example["data"])
    assert events.envelope_errors(example) == []
    assert [error.pointer for error in events.envelope_errors({**example, "colour": "red"})] == [""]
    assert [error.pointer for error in events.envelope_errors({**example, "data": {**example["data"], "x": 1}})] == [
        "/data"
    ]
    with pytest.raises(ContractBreach, match=event_type):
        events.check(event_type, {**example["data"], "x": 1})


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_member_of_an_event_is_needed_but_the_stock_of_a_pick(event_type: str) -> None:
    events = Events.load()
    data = orjson.loads((EVENTS / f"{event_type}.json").read_bytes())["examples"][0]["data"]
    spared = [name for name in data if not events.data_errors(event_type, {n: v for n, v in data.items() if n != name})]
    assert spared == (["stock"] if event_type == "release.picked" else [])


def test_shared_parts_of_openapi_and_events_have_the_same_bounds() -> None:
    names = ("wms", "orders")
    schemas = {k: v for name in names for k, v in Contract.load(name).document["components"]["schemas"].items()}
    shared = orjson.loads((EVENTS / "common.json").read_bytes())["$defs"]
    pairs = {
        "Identifier": "identifier",
        "Reference": "reference",
        "Sku": "sku",
        "Quantity": "quantity",
        "LineNo": "line_no",
        "Money": "money",
        "Currency": "currency",
        "BasisPoints": "basis_points",
        "OrderStatus": "order_status",
    }
    for left, right in pairs.items():
        texts = ("description", "examples", "type") if left == "OrderStatus" else ("description", "examples")
        assert {k: v for k, v in schemas[left].items() if k not in texts} == {
            k: v for k, v in shared[right].items() if k not in texts
        }


def test_an_unknown_event_type() -> None:
    assert [error.pointer for error in Events.load().envelope_errors({"type": "release.lost"})] == ["/type"]
    with pytest.raises(UnknownContract, match=r"'release\.lost'"):
        Events.load().check("release.lost", {})


@pytest.mark.parametrize("event_type", EVENT_TYPES)
@pytest.mark.parametrize("drift", ["added", "missing", "retyped"])
def test_a_receiver_lets_added_members_pass_and_nothing_else(event_type: str, drift: str) -> None:
    """What the fault schema_drift makes of each event."""
    events = Events.load()
    event = events.schemas[event_type]["examples"][0]
    required = events.schemas[event_type]["properties"]["data"]["required"][0]
    fault = Fault("it", "schema_drift", source="a", target="b", drift=drift, field="" if drift == "added" else required)
    changed = orjson.loads(drifted(Chance(1), fault, orjson.dumps(event)))
    assert events.envelope_errors(changed) != []
    assert (events.received_errors(changed) == []) == (drift == "added")
    assert events.received_errors(event) == []
    assert events.received_errors({**event, "type": "worker.yawned"}) != []


def test_a_receiver_lets_members_pass_at_any_depth_and_on_the_envelope() -> None:
    event = copy.deepcopy(Events.load().schemas["inventory.changed"]["examples"][0])
    event["partitionkey"] = "A"
    event["data"]["stock"]["deltas"][0]["lot"] = "L1"
    assert Events.load().received_errors(event) == []
    assert [error.pointer for error in Events.load().envelope_errors(event)] == ["", "/data/stock/deltas/0"]
