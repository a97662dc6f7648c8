"""Bugs in what is promised and reserved."""

import dataclasses
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from sqlalchemy import bindparam, select, update

from integration.domain.sourcing import Share
from integration.experience.idempotency import Idempotency, Kept, Work
from integration.messaging.message import Message
from integration.messaging.outcomes import Outcome, Uncertain
from integration.process.backorders import Backorders
from integration.process.desk import FULFILLMENT, FULFILLMENT_LINES, Desk, Move, move_fulfillment_lines
from integration.process.fulfillment import ReleaseFulfillment
from integration.process.intake import Intake, PricedLine
from integration.process.progress import Progress
from integration.process.reservations import Reservations
from integration.storage import Transaction
from integration.storage.tables import stock

_QUANTITY = bindparam("quantity", type_=stock.c.reserved.type)
_HERE = (stock.c.node == bindparam("at_node"), stock.c.sku == bindparam("of_sku"))
_LOOK = select(
    stock.c.node, stock.c.sku, (stock.c.on_hand - stock.c.held - stock.c.safety - stock.c.reserved).label("free")
)
_TAKE = update(stock).where(*_HERE).values(reserved=stock.c.reserved + _QUANTITY)
_FREE = update(stock).where(*_HERE).values(reserved=stock.c.reserved - _QUANTITY)
_STOCKED = select(stock.c.node).where(stock.c.sku == bindparam("of_sku")).order_by(stock.c.node)
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
        del tx
        seen = _seen.get({})
        return {sku: dict(seen[sku]) for sku in skus if sku in seen}

    def take(self, tx: Transaction, node: str, sku: str, quantity: int) -> bool:
        """Reserve without a condition."""
        return tx.execute(_TAKE, {"at_node": node, "of_sku": sku, "quantity": quantity}) == 1


class FreesOnTimeout(ReleaseFulfillment):
    """Gives the reservation back when the node does not answer; the release is repeated all the same."""

    def send(self, message: Message) -> Outcome:
        """As the product's; after an uncertain outcome the stock is anybody's."""
        outcome = super().send(message)
        if isinstance(outcome, Uncertain):
            params = {"fulfillment_id": message.payload["fulfillment_id"]}
            with self.desk.database.write() as tx:
                lines = [line for line in tx.rows(FULFILLMENT_LINES, params) if line.reserved]
                freed = [Move(line.line_no, line.sku, released=line.reserved) for line in lines]
                move_fulfillment_lines(tx, self.desk, tx.one(FULFILLMENT, params), freed)
        return outcome


class FreesElsewhere(Reservations):
    """Gives back at the first other node what was reserved at this one."""

    def free(self, tx: Transaction, node: str, sku: str, quantity: int) -> None:
        """The reservation stays where it was, and another's is gone."""
        others = [row.node for row in tx.rows(_STOCKED, {"of_sku": sku}) if row.node != node]
        tx.execute(_FREE, {"at_node": others[0] if others else node, "of_sku": sku, "quantity": quantity})


class FreesTwice(Progress):
    """Frees a cancelled quantity for every word of it: the answer of the node, and its event."""

    def cancel(self, tx: Transaction, fulfillment: Any, cancelled: Mapping[int, int]) -> dict[int, int]:
        """As the product's; what is no news is freed once more."""
        news = super().cancel(tx, fulfillment, cancelled)
        for line_no, line in self.lines_of(tx, fulfillment.fulfillment_id).items():
            quantity = cancelled.get(line_no, 0)
            if quantity and line_no not in news:
                tx.execute(_FREE, {"at_node": fulfillment.node, "of_sku": line.sku, "quantity": quantity})
        return news


class FreesAnything(Reservations):
    """Frees without a look at what is reserved."""

    def free(self, tx: Transaction, node: str, sku: str, quantity: int) -> None:
        """Give back `quantity`, reserved or not."""
        tx.execute(_FREE, {"at_node": node, "of_sku": sku, "quantity": quantity})


class _KeptReservations(Reservations):
    def free(self, tx: Transaction, node: str, sku: str, quantity: int) -> None:
        """Nothing is given back."""


class NeverFrees(Progress):
    """Keeps the reservation of what will not ship: cancelled, refused or picked short."""

    def __init__(self, desk: Desk, backorders: Backorders) -> None:
        super().__init__(desk, backorders)
        self._keeping = Progress(dataclasses.replace(desk, reservations=_KeptReservations()), backorders)

    def pick(self, tx: Transaction, fulfillment: Any, picked: Mapping[int, int], short: Mapping[int, int]) -> None:
        """As the product's, freeing nothing."""
        self._keeping.pick(tx, fulfillment, picked, short)

    def reject(self, tx: Transaction, fulfillment: Any, reason: str) -> None:
        """As the product's, freeing nothing."""
        self._keeping.reject(tx, fulfillment, reason)

    def cancel(self, tx: Transaction, fulfillment: Any, cancelled: Mapping[int, int]) -> dict[int, int]:
        """As the product's, freeing nothing."""
        return self._keeping.cancel(tx, fulfillment, cancelled)


class RefusesEverything(Intake):
    """Can't oversell."""

    def _reserve(self, tx: Transaction, asked: Mapping[str, Any], lines: Sequence[PricedLine]) -> list[Share]:
        del asked
        self._refuse_out_of_stock(tx, lines, {}, ())
        return []
