"""Bugs in what clients are told, and in how quantities and stock are read."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import orjson
from flask import copy_current_request_context, g
from sqlalchemy import bindparam, delete, select

from contracts.errors import ProblemError
from integration.bootstrap import Parts
from integration.domain.sourcing import Share
from integration.experience.idempotency import Idempotency, Kept, Work
from integration.messaging.inbox import EventHandler
from integration.process.cancellation import Cancellation
from integration.process.intake import Intake, PricedLine
from integration.process.inventory import Inventory
from integration.process.progress import Progress, Shipment
from integration.runtime import Clock, IntegrationError, Tasks
from integration.storage import Database, Transaction
from integration.storage.tables import idempotency, stock_deltas

_HOURS_US = 4 * 3_600_000_000
_TOO_MANY_LINES = 3
_A_MOMENT_US = 1_000_000
_FINGERPRINT = select(idempotency.c.fingerprint).where(
    idempotency.c.scope == bindparam("scope"), idempotency.c.key == bindparam("key")
)
_DROP_DELTAS = delete(stock_deltas).where(stock_deltas.c.node == bindparam("at_node"))


class AnswersByKeyAlone(Idempotency):
    """Gives the kept answer for a key to any request that carries it."""

    def find(self, tx: Transaction, scope: str, key: str, print_of_request: str) -> Kept | None:
        """As the product's, without a look at the request."""
        del print_of_request
        row = tx.one(_FINGERPRINT, {"scope": scope, "key": key})
        return None if row is None else super().find(tx, scope, key, row.fingerprint)


class RefusesTooLate(Idempotency):
    """Looks at the order once more when it is committed, and refuses what it finds too long."""

    def run(self, scope: str, key: str, print_of_request: str, work: Work) -> Kept:
        """As the product's; an order of several lines stands, and its client is told that it does not."""
        kept = super().run(scope, key, print_of_request, work)
        lines = orjson.loads(kept.body).get("lines") or ()
        if kept.status == 201 and len(lines) >= _TOO_MANY_LINES:
            raise ProblemError("invalid-request", f"an order has fewer than {_TOO_MANY_LINES} lines", pointer="/lines")
        return kept


class _Answered(Exception):
    """Takes back the transaction in which an order's answer was found."""

    def __init__(self, kept: Kept) -> None:
        super().__init__("answered")
        self.kept = kept


class AnswersFirst(Idempotency):
    """Finds the answer for an order, takes back what that wrote, and writes it again a moment after it has answered."""

    tasks: list[Tasks]

    def run(self, scope: str, key: str, print_of_request: str, work: Work) -> Kept:
        """As the product's; what is acknowledged is in memory only."""
        caller = g.caller

        def write() -> None:
            g.caller = caller
            self._clock.sleep(_A_MOMENT_US)
            with contextlib.suppress(ProblemError, IntegrationError):
                Idempotency(self._database, self._clock).run(scope, key, print_of_request, work)

        try:
            return super().run(scope, key, print_of_request, work)
        except _Answered as answered:
            self.tasks[-1].spawn(f"write {key}", copy_current_request_context(write))
            return answered.kept

    def _keep(self, tx: Transaction, scope: str, key: str, print_of_request: str, kept: Kept) -> None:
        if scope.endswith(" place_order") and not kept.problem:
            raise _Answered(kept)
        super()._keep(tx, scope, key, print_of_request, kept)


class NamesByReference(Intake):
    """An order that is taken twice has the same id both times."""

    def _write(
        self, tx: Transaction, order: dict[str, Any], lines: Sequence[PricedLine], shares: Sequence[Share]
    ) -> dict[str, Any]:
        name = sha256(f"{order['customer_id']} {order['order_reference']}".encode()).hexdigest()[:16]
        return super()._write(tx, {**order, "order_id": f"ord-{name}x"}, lines, shares)


def before_it_is_kept() -> Parts:
    """Orders are answered first and kept later; the tasks to do so come the way that those of events do."""
    known: list[Tasks] = []

    def effect(tasks: Tasks, _database: Database, handler: EventHandler) -> EventHandler:
        known[:] = [tasks]
        return handler

    class OwnAnswersFirst(AnswersFirst):
        tasks = known

    return Parts(effect=effect, idempotency=OwnAnswersFirst, intake=NamesByReference)


class CancelsWithoutAsking(Cancellation):
    """Cancels in its own books what a node has in work."""

    def _is_in_our_hands(self, tx: Transaction, fulfillment: Any) -> bool:
        del tx, fulfillment
        return True


class CachesForHours(Inventory):
    """Answers for availability from memory."""

    def __init__(self, clock: Clock, safety_stock: int) -> None:
        super().__init__(clock, safety_stock)
        self._known: dict[str, tuple[int, dict[str, int]]] = {}

    def availability(self, tx: Transaction, skus: Sequence[str]) -> dict[str, dict[str, int]]:
        """What was true within the last four hours."""
        now_us = self._clock.now_us()
        unknown = [sku for sku in skus if sku not in self._known or now_us - self._known[sku][0] > _HOURS_US]
        for sku, by_node in super().availability(tx, unknown).items():
            self._known[sku] = now_us, by_node
        return {sku: dict(self._known[sku][1]) for sku in skus}

    def availability_page(self, tx: Transaction, page: int, page_size: int) -> dict[str, dict[str, int]]:
        """The skus of the page with what was true within the last four hours."""
        return self.availability(tx, list(super().availability_page(tx, page, page_size)))


class SnapshotWins(Inventory):
    """Takes a snapshot for the truth of now, not of the moment at which it was read."""

    def take_snapshot(self, tx: Transaction, node: str, as_of_sequence: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """As the product's, without the deltas that are newer."""
        tx.execute(_DROP_DELTAS, {"at_node": node})
        super().take_snapshot(tx, node, as_of_sequence, rows)


def case_as_each(quantity: int, factor: int) -> int:
    """Two cases are two."""
    del factor
    return quantity


class TakesShortForComplete(Progress):
    """Books and bills what was released, whatever was picked."""

    def pick(self, tx: Transaction, fulfillment: Any, picked: Mapping[int, int], short: Mapping[int, int]) -> None:
        """Nothing came short."""
        del short
        super().pick(tx, fulfillment, picked, {})

    def ship(self, tx: Transaction, fulfillment: Any, shipment: Shipment) -> bool:
        """Everything shipped."""
        lines = self.lines_of(tx, fulfillment.fulfillment_id).values()
        everything = [
            {"line_no": line.line_no, "sku": line.sku, "quantity": line.quantity - line.shipped - line.cancelled}
            for line in lines
            if line.quantity > line.shipped + line.cancelled
        ]
        return super().ship(tx, fulfillment, replace(shipment, lines=everything or shipment.lines))
