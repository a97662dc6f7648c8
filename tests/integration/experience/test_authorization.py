"""Who may do what at every route: one rule per operation of the document, and none may be without."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from contracts.validation import Contract, Operation
from contracts.wire import problem_type
from integration.settings import CUSTOMER_SCOPES

OPERATIONS = {operation.operation_id: operation for operation in Contract.load("orders").operations}
UNKNOWN = (422, "unknown-customer")
HIDDEN = (404, "not-found")
NOT_FOR_CUSTOMERS = (403, "forbidden")
EVERYBODY = (200, "")
ORDER_ID = "ord-1x"


@dataclass(frozen=True)
class Rule:
    """What an operation asks for, and what becomes of a key of another customer than the one whose order it is."""

    scope: str
    to_another_customer: tuple[int, str]
    path: str
    body: Any = None


def order(**changes: Any) -> dict[str, Any]:
    """An order of customer C1."""
    address = {"name": "Gift Shop", "street": "1 High St", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}
    return {
        "customer_id": "C1", "order_reference": "PO-1", "currency": "GBP", "fill_policy": "fill_available",
        "service": "standard", "ship_to": address, "lines": [{"line_no": 1, "sku": "A", "quantity": 1, "unit": "EA"}],
        **changes,
    }  # fmt: skip


RULES = {
    "placeOrder": Rule("orders:write", UNKNOWN, "/orders", order()),
    "findOrders": Rule("orders:read", EVERYBODY, "/orders?customer_id=C1&order_reference=PO-1"),
    "readOrder": Rule("orders:read", HIDDEN, f"/orders/{ORDER_ID}"),
    "listInvoices": Rule("orders:read", HIDDEN, f"/orders/{ORDER_ID}/invoices"),
    "cancelOrder": Rule("orders:write", HIDDEN, f"/orders/{ORDER_ID}/cancel", {"reason": "not mine"}),
    "listAvailability": Rule("availability:read", EVERYBODY, "/availability"),
    "subscribeToEvents": Rule(
        "subscriptions:write",
        NOT_FOR_CUSTOMERS,
        "/subscriptions",
        {"url": "http://subscriber/", "types": ["order.shipped"]},
    ),
    "listSubscriptions": Rule("subscriptions:read", NOT_FOR_CUSTOMERS, "/subscriptions"),
    "unsubscribeFromEvents": Rule("subscriptions:write", NOT_FOR_CUSTOMERS, "/subscriptions/sub-1"),
    "listQueues": Rule("operations:read", NOT_FOR_CUSTOMERS, "/operations/queues"),
    "listDeadLetters": Rule("operations:read", NOT_FOR_CUSTOMERS, "/operations/dead-letters"),
    "redriveDeadLetter": Rule("operations:write", NOT_FOR_CUSTOMERS, "/operations/dead-letters/1/redrive"),
    "readHealth": Rule("operations:read", NOT_FOR_CUSTOMERS, "/operations/health"),
}
# These carry another proof of who calls than a token.
SIGNED = {"receiveWebhook"}
KEYS = {
    **{scope: (scope,) for scope in Contract.load("orders").scopes},
    **{f"all-but-{scope}": tuple(one for one in Contract.load("orders").scopes if one != scope)
       for scope in Contract.load("orders").scopes},
}  # fmt: skip


@pytest.fixture
def keyed(open_shop: Callable[..., Any]) -> Any:
    """A shop with a key per scope, one with all but that, and keys of customers C1 and C2; C1 has an order there."""
    channels = [*KEYS, "c1", "c2"]
    shop = open_shop(
        channel_tokens={f"{channel}-token": channel for channel in channels},
        channel_scopes=KEYS,
        channel_customers={"c1": "C1", "c2": "C2"},
    )
    assert call(shop, "placeOrder", "c1-token").status_code == 201
    return shop


def call(shop: Any, operation_id: str, token: str, scheme: str = "Bearer", **changes: Any) -> Any:
    rule, operation = RULES[operation_id], OPERATIONS[operation_id]
    headers = {
        "Authorization": f"{scheme} {token}",
        "Idempotency-Key": f"{operation_id}-{token}-{changes}".replace(" ", ""),
    }
    body = None if rule.body is None else orjson.dumps(rule.body | changes)
    if body is not None:
        headers["Content-Type"] = "application/json"
    return shop.client.open(rule.path, method=operation.method, data=body, headers=headers)


def told(answer: Any) -> tuple[int, str]:
    problem = answer.json["type"].removeprefix(problem_type("")) if answer.status_code >= 400 else ""
    return answer.status_code, problem


def test_every_operation_has_its_rule_and_documents_what_it_answers() -> None:
    assert sorted({**RULES, **dict.fromkeys(SIGNED)}) == sorted(OPERATIONS), "a new operation needs a rule here"
    for name, rule in RULES.items():
        operation: Operation = OPERATIONS[name]
        assert (name, operation.secured, operation.scopes) == (name, True, (rule.scope,))
        assert {401, 403} <= set(operation.answers), f"{name} does not document that it turns callers away"
    assert [name for name in SIGNED if OPERATIONS[name].secured] == []
    assert set(CUSTOMER_SCOPES) == {r.scope for r in RULES.values() if r.to_another_customer != NOT_FOR_CUSTOMERS}


@pytest.mark.parametrize("operation_id", RULES)
def test_a_key_does_what_its_scopes_say_and_nothing_else(keyed: Any, operation_id: str) -> None:
    scope = RULES[operation_id].scope
    assert told(call(keyed, operation_id, "", scheme="")) == (401, "bad-token")
    assert told(call(keyed, operation_id, "guess")) == (401, "bad-token")
    assert told(call(keyed, operation_id, f"{scope}-token", scheme="Basic")) == (401, "bad-token")
    assert told(call(keyed, operation_id, f"all-but-{scope}-token")) == (403, "forbidden")
    assert call(keyed, operation_id, f"{scope}-token").status_code not in (401, 403)


@pytest.mark.parametrize("operation_id", RULES)
def test_what_belongs_to_another_customer_is_not_there(keyed: Any, operation_id: str) -> None:
    before = orders_and_events(keyed)
    answer = call(keyed, operation_id, "c2-token")
    assert told(answer) == RULES[operation_id].to_another_customer
    assert orders_and_events(keyed) == before
    own = call(keyed, operation_id, "c1-token")
    assert own.status_code < 300 or told(own) == NOT_FOR_CUSTOMERS == RULES[operation_id].to_another_customer


def orders_and_events(shop: Any) -> tuple[list[str], list[tuple[str, str, str]]]:
    return shop.audited(), shop.messages()


def test_a_foreign_order_and_one_that_never_was_are_answered_alike(keyed: Any) -> None:
    for path in ("/orders/{}", "/orders/{}/invoices"):
        foreign, none = (keyed.get(path.format(name), token="c2-token") for name in (ORDER_ID, "ord-9x"))
        assert (foreign.status_code, foreign.headers) == (none.status_code, none.headers)
        assert foreign.data.replace(ORDER_ID.encode(), b"?") == none.data.replace(b"ord-9x", b"?")
    found = [call(keyed, "findOrders", token).json["items"] for token in ("c1-token", "c2-token")]
    assert [len(items) for items in found] == [1, 0]
    customers = [call(keyed, "placeOrder", "c2-token", customer_id=name) for name in ("C1", "C9")]
    assert [told(answer) for answer in customers] == [UNKNOWN, UNKNOWN]


def test_keys_of_two_customers_may_use_the_same_idempotency_key(keyed: Any) -> None:
    """Else one would learn from a refusal what another has used."""
    answers = [
        keyed.post("/orders", order(order_reference="PO-2"), key="k", Authorization=f"Bearer {token}")
        for token in ("c1-token", "c2-token")
    ]
    assert [told(answer) for answer in answers] == [(201, ""), UNKNOWN]
