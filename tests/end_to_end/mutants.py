"""Three bugs, put in at the composition root."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar

from sqlalchemy import bindparam, select, update

from integration.bootstrap import Parts
from integration.experience.idempotency import Idempotency, Kept, Work
from integration.messaging.inbox import Inbox
from integration.messaging.keys import BusinessKeys
from integration.messaging.message import Message
from integration.process.reservations import Reservations
from integration.storage import Transaction
from integration.storage.tables import stock

_LOOK = select(
    stock.c.node, stock.c.sku, (stock.c.on_hand - stock.c.held - stock.c.safety - stock.c.reserved).label("free")
)
_TAKE = (
    update(stock)
    .where(stock.c.node == bindparam("at_node"), stock.c.sku == bindparam("of_sku"))
    .values(reserved=stock.c.reserved + bindparam("quantity", type_=stock.c.reserved.type))
)
_seen: ContextVar[Mapping[str, Mapping[str, int]]] = ContextVar("_seen")


class LooksBefore(Idempotency):
    """Checks the stock before the transaction that acts on it."""

    def run(self, scope: str, key: str, print_of_request: str, work: Work) -> Kept:
        """As the product's, after a look at all stock."""
        seen: dict[str, dict[str, int]] = {}
        with self._database.read() as tx:
            for row in tx.rows(_LOOK):
                seen.setdefault(row.sku, {})[row.node] = max(0, row.free)
        _seen.set(seen)
        return super().run(scope, key, print_of_request, work)


class ReservesWhatItSaw(Reservations):
    """Acts on the look, whatever came between."""

    def available(self, tx: Transaction, skus: Sequence[str]) -> dict[str, dict[str, int]]:
        """What was seen before the transaction."""
        seen = _seen.get({})
        return {sku: dict(seen[sku]) for sku in skus if sku in seen}

    def take(self, tx: Transaction, node: str, sku: str, quantity: int) -> bool:
        """Reserve without a condition."""
        return tx.execute(_TAKE, {"at_node": node, "of_sku": sku, "quantity": quantity}) == 1


class NewKeyPerAttempt(BusinessKeys):
    """Every retry looks like a new request to the partner."""

    def key(self, message: Message) -> str:
        """A key that depends on the attempt."""
        return f"{message.business_key}~{message.attempts}"

    def reference(self, message: Message, reference: str) -> str:
        """A reference that depends on the attempt."""
        return reference if message.attempts == 0 else f"{reference}r{message.attempts}x"


class ForgetfulInbox(Inbox):
    """Takes every delivery for a new event."""

    def receive(self, tx: Transaction, source: str, message_id: str, now_us: int) -> bool:
        """Always new."""
        super().receive(tx, source, message_id, now_us)
        return True


CHECK_THEN_ACT = Parts(reservations=ReservesWhatItSaw(), idempotency=LooksBefore)
NO_BUSINESS_KEY = Parts(business_keys=NewKeyPerAttempt())
NO_DEDUPE = Parts(inbox=ForgetfulInbox())
