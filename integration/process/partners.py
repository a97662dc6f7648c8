"""What the processes ask of each partner; the clients in integration.system offer it."""

from collections.abc import Mapping
from typing import Any, Protocol

from integration.messaging.message import Stamp
from integration.messaging.outcomes import Outcome

Body = Mapping[str, Any]


class Erp(Protocol):
    """Books orders, changes, shipments and invoices."""

    def book_order(self, body: Body, stamp: Stamp) -> Outcome: ...

    def find_order(self, customer_id: str, order_reference: str, correlation_id: str) -> Outcome: ...

    def change_order(self, erp_order_id: str, body: Body, stamp: Stamp) -> Outcome: ...

    def confirm_shipment(self, body: Body, stamp: Stamp) -> Outcome: ...

    def invoice(self, body: Body, stamp: Stamp) -> Outcome: ...


class Warehouse(Protocol):
    """Picks, packs and ships releases, and tells events."""

    def release(self, body: Body, stamp: Stamp) -> Outcome: ...

    def read_release(self, release_id: str, correlation_id: str) -> Outcome: ...

    def cancel_release(self, release_id: str, body: Body, stamp: Stamp) -> Outcome: ...

    def attach_labels(self, release_id: str, body: Body, stamp: Stamp) -> Outcome: ...


class ThreePl(Protocol):
    """Takes whole fulfillment orders, and is polled."""

    def fulfill(self, body: Body, stamp: Stamp) -> Outcome: ...

    def read(self, reference: str, correlation_id: str) -> Outcome: ...

    def cancel(self, reference: str, body: Body, stamp: Stamp) -> Outcome: ...

    def changes(self, changed_since: int, limit: int = 200) -> Outcome: ...


class Carrier(Protocol):
    """Sells labels."""

    def create_label(self, body: Body, stamp: Stamp) -> Outcome: ...

    def labels(self, label_reference: str, correlation_id: str) -> Outcome: ...

    def void(self, label_id: str, body: Body, stamp: Stamp) -> Outcome: ...
