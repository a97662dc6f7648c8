"""The documented reads that show what a write would change, for targets whose books can't be seen."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from contracts.validation import Operation

_ORDERS = "customer_id={customer_id}&order_reference={order_reference}"
_SHOWN_BY = {
    "placeOrder": f"/orders?{_ORDERS}",
    "cancelOrder": "/orders/{order_id}",
    "bookSalesOrder": f"/sales-orders?{_ORDERS}",
    "changeSalesOrder": "/sales-orders/{erp_order_id}",
    "confirmShipment": "/sales-orders/{erp_order_id}",
    "createInvoice": f"/invoices?{_ORDERS}",
    "createRelease": "/releases/{release_id}",
    "cancelRelease": "/releases/{release_id}",
    "attachLabels": "/releases/{release_id}",
    "submitFulfillmentOrder": "/fulfillment-orders/{reference}",
    "cancelFulfillmentOrder": "/fulfillment-orders/{reference}",
    "createLabel": "/labels?label_reference={label_reference}",
    "adjustStock": "/stock?sku={sku}",
    "receiveStock": "/stock?sku={sku}",
}


def shown_by(operation: Operation, path: Mapping[str, str], body: Any) -> str:
    """The path of the read that shows what a write is about; "" where there is none, or the write does not say."""
    template = _SHOWN_BY.get(operation.operation_id, "")
    members = {**(body if isinstance(body, dict) else {}), **path}
    texts = {name: quote(value, safe="") for name, value in members.items() if isinstance(value, str) and value}
    try:
        return template.format_map(texts)
    except KeyError:
        return ""
