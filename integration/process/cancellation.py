"""Taking an order back: at once where we still have it in our hands, by asking where a node has it.

What waits for stock, and what certainly was not sent to a node, is cancelled in the transaction of the request. A node
that has a release, or may have, is asked; its word is final. What was picked can't be had back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from contracts.errors import ProblemError
from integration.domain.events import CancelAsked
from integration.messaging.message import Message
from integration.messaging.outcomes import Defer, Done, Outcome, Refused
from integration.process.desk import (
    FULFILLMENT,
    FULFILLMENT_LINES,
    LOCKED_ORDER,
    ORDER_LINES,
    Books,
    Desk,
    OrderHandler,
    move_order_lines,
    note,
    set_status,
    take_order,
)
from integration.process.fulfillment import put_release
from integration.process.partners import ThreePl, Warehouse
from integration.process.progress import Progress
from integration.process.shipping import quantities
from integration.storage import Transaction, audit, touch_order
from integration.storage.tables import fulfillments

_FULFILLMENTS = (
    select(fulfillments)
    .where(fulfillments.c.order_id == bindparam("order_id"))
    .order_by(fulfillments.c.created_at_us.desc(), fulfillments.c.fulfillment_id)
)
_RELEASE_WAIT_US = 5_000_000
_GONE = ("picked", "short", "packed", "labelled", "shipped")

Wanted = dict[int, int]


class Cancellation:
    """Takes cancel requests of channels."""

    def __init__(self, desk: Desk, progress: Progress) -> None:
        self._desk = desk
        self._progress = progress

    def request_cancel(
        self, tx: Transaction, order_id: str, lines: Sequence[Mapping[str, int]] | None, reason: str, key: str
    ) -> tuple[int, dict[str, Any]]:
        """Cancel these quantities, or everything that is open: the HTTP status and body of the answer.

        200: all of it is cancelled and none of it will ship. 202: `lines` are cancelled, the timeline will tell of the
        rest. Raises ProblemError `too-late-to-cancel` when nothing can be had back.
        """
        del key  # the caller answers repetitions
        order = tx.one(LOCKED_ORDER, {"order_id": order_id})
        books = tx.rows(ORDER_LINES, {"order_id": order_id})
        wanted = _wanted(books, lines)
        asked = dict(wanted)
        self._cancel_backordered(tx, order, books, wanted)
        pending = False
        for fulfillment in tx.rows(_FULFILLMENTS, {"order_id": order_id}):
            pending |= self._cancel_at(tx, fulfillment, wanted, reason)
        cancelled = _minus(asked, wanted)
        left = {line_no: quantity for line_no, quantity in wanted.items() if quantity}
        if not cancelled and not pending:
            raise ProblemError("too-late-to-cancel", f"nothing of order {order_id!r} can be had back any more")
        now_us = self._desk.clock.now_us()
        tx.tell(CancelAsked(order_id, reason))
        if cancelled:
            audit(tx, now_us, "cancel_confirmed", order_id=order_id, correlation_id=order.correlation_id,
                  detail=f"{quantities(cancelled)}: {reason}")  # fmt: skip
        if left and not pending:
            audit(tx, now_us, "cancel_refused", order_id=order_id, correlation_id=order.correlation_id,
                  detail=f"too late for {quantities(left)}")  # fmt: skip
        touch_order(tx, order_id, now_us)
        told = [{"line_no": line_no, "cancelled": quantity} for line_no, quantity in cancelled.items()]
        result = "requested" if left or pending else "cancelled"
        return 202 if result == "requested" else 200, {"order_id": order_id, "result": result, "lines": told}

    def _cancel_backordered(self, tx: Transaction, order: Any, books: Sequence[Any], wanted: Wanted) -> None:
        taken: Wanted = {}
        for line in books:
            quantity = min(wanted.get(line.line_no, 0), line.backordered)
            if quantity:
                taken[line.line_no] = quantity
                wanted[line.line_no] -= quantity
        if taken:
            moves = [Books(line_no, backordered=-quantity, cancelled=quantity) for line_no, quantity in taken.items()]
            move_order_lines(tx, order.order_id, moves)
            self._desk.tell_erp_of_change(tx, order.order_id, order.correlation_id, "cancel", list(taken))

    def _cancel_at(self, tx: Transaction, fulfillment: Any, wanted: Wanted, reason: str) -> bool:
        """Cancel what is wanted of one fulfillment; True when its node has been asked."""
        if fulfillment.status == "cancel_requested":
            return True
        if fulfillment.status not in {"planned", "released"}:
            return False
        lines = self._progress.lines_of(tx, fulfillment.fulfillment_id)
        here = {}
        for line_no, line in lines.items():
            quantity = min(wanted.get(line_no, 0), line.quantity - line.short - line.shipped - line.cancelled)
            if quantity > 0:
                here[line_no] = quantity
        if not here:
            return False
        if self._is_in_our_hands(tx, fulfillment):
            self._cancel_planned(tx, fulfillment, lines, here)
            for line_no, quantity in here.items():
                wanted[line_no] -= quantity
            return False
        return self._ask_node(tx, fulfillment, lines, here, reason)

    def _is_in_our_hands(self, tx: Transaction, fulfillment: Any) -> bool:
        """Whether no node can have heard of it: no release was put, or it is taken back before anybody touched it."""
        if fulfillment.status != "planned":
            return False
        release = f"release:{fulfillment.fulfillment_id}"
        return self._desk.outbox.state_of(tx, release) is None or self._desk.outbox.withdraw(tx, release)

    def _cancel_planned(self, tx: Transaction, fulfillment: Any, lines: Mapping[int, Any], here: Wanted) -> None:
        booked = tx.one(LOCKED_ORDER, {"order_id": fulfillment.order_id}).booked_at_us is not None
        in_all = {line_no: lines[line_no].cancelled + quantity for line_no, quantity in here.items()}
        self._progress.cancel(tx, fulfillment, in_all)
        if self._progress.is_void(tx, fulfillment.fulfillment_id):
            set_status(tx, fulfillment, "cancelled", self._desk.clock.now_us())
        elif booked:
            put_release(tx, self._desk, fulfillment.order_id, fulfillment.fulfillment_id, fulfillment.node,
                        fulfillment.correlation_id)  # fmt: skip

    def _ask_node(self, tx: Transaction, fulfillment: Any, lines: Mapping[int, Any], here: Wanted, reason: str) -> bool:
        whole = all(here.get(no) == line.quantity - line.short - line.cancelled for no, line in lines.items())
        if fulfillment.node in self._desk.polled_nodes and not whole:
            return False  # a 3PL takes back whole fulfillment orders only
        now_us = self._desk.clock.now_us()
        set_status(tx, fulfillment, "cancel_requested", now_us, quantities(here))
        payload = {
            "order_id": fulfillment.order_id,
            "fulfillment_id": fulfillment.fulfillment_id,
            "reason": reason,
            "lines": [[line_no, quantity] for line_no, quantity in here.items()],
        }
        self._desk.put(
            tx,
            fulfillment.node,
            "cancel_release",
            f"{fulfillment.fulfillment_id}:{self._desk.ids.new('cancel')}",
            payload,
            fulfillment.correlation_id,
        )
        return True


class CancelRelease(OrderHandler):
    """Asks a node to give back what it has not begun."""

    def __init__(
        self, desk: Desk, progress: Progress, warehouses: Mapping[str, Warehouse], threepls: Mapping[str, ThreePl]
    ) -> None:
        super().__init__(desk)
        self._progress = progress
        self._warehouses = warehouses
        self._threepls = threepls

    def send(self, message: Message) -> Outcome:
        """Post the cancel once the release's own fate is known. Done with `refused` where the node will not."""
        params = {"fulfillment_id": message.payload["fulfillment_id"]}
        with self.desk.database.read() as tx:
            fulfillment = tx.one(FULFILLMENT, params)
            release = self.desk.outbox.state_of(tx, f"release:{fulfillment.fulfillment_id}")
        if release == "ready":
            return Defer("the release is still on its way", _RELEASE_WAIT_US)
        if fulfillment.status in _GONE:
            return Done({"refused": f"the release is {fulfillment.status}"})
        outcome = self._ask(message, fulfillment)
        if isinstance(outcome, Refused) and outcome.problem == "too-late-to-cancel":
            return Done({"refused": outcome.detail})
        if isinstance(outcome, Refused) and outcome.problem == "not-found" and release == "dead":
            return Done({"never_released": True})
        return outcome

    def _ask(self, message: Message, fulfillment: Any) -> Outcome:
        body: dict[str, Any] = {
            "customer_id": fulfillment.customer_id,
            "order_reference": fulfillment.order_reference,
            "reason": message.payload["reason"],
        }
        stamp = self.desk.stamp(message)
        threepl = self._threepls.get(fulfillment.node)
        if threepl is not None:
            return threepl.cancel(fulfillment.fulfillment_id, body, stamp)
        body["lines"] = [{"line_no": line_no, "quantity": quantity} for line_no, quantity in message.payload["lines"]]
        return self._warehouses[fulfillment.node].cancel_release(fulfillment.fulfillment_id, body, stamp)

    def done(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> None:
        """Apply the node's word. An event may have told it before: then there is nothing left to move."""
        now_us = self.desk.clock.now_us()
        take_order(tx, message.payload["order_id"])
        params = {"fulfillment_id": message.payload["fulfillment_id"]}
        fulfillment = tx.one(FULFILLMENT, params)
        if "refused" in answer:
            if fulfillment.status == "cancel_requested":
                set_status(tx, fulfillment, "released", now_us)
            note(tx, fulfillment, "cancel_refused", now_us, str(answer["refused"]))
            touch_order(tx, fulfillment.order_id, now_us)
            return
        news = self._progress.cancel(tx, fulfillment, self._in_all(tx, message, answer))
        tx.tell(CancelAsked(fulfillment.order_id, message.payload["reason"]))
        if self._progress.is_void(tx, fulfillment.fulfillment_id):
            set_status(tx, fulfillment, "cancelled", now_us)
        elif fulfillment.status == "cancel_requested":
            set_status(tx, fulfillment, "released", now_us)
        if news:
            note(tx, fulfillment, "cancel_confirmed", now_us, quantities(news))
        touch_order(tx, fulfillment.order_id, now_us)

    def _in_all(self, tx: Transaction, message: Message, answer: Mapping[str, Any]) -> Wanted:
        """Cancelled quantities by line as the node now has them; what we asked for where it does not say."""
        told = {line["line_no"]: line["cancelled"] for line in answer.get("lines", []) if line.get("cancelled")}
        if told:
            return told
        rows = tx.rows(FULFILLMENT_LINES, {"fulfillment_id": message.payload["fulfillment_id"]})
        before = {row.line_no: row.cancelled for row in rows}
        return {line_no: before[line_no] + quantity for line_no, quantity in message.payload["lines"]}


def _wanted(books: Sequence[Any], lines: Sequence[Mapping[str, int]] | None) -> Wanted:
    if lines is None:
        still_open = {line.line_no: line.confirmed + line.backordered for line in books}
        return {line_no: quantity for line_no, quantity in still_open.items() if quantity}
    most = {line.line_no: line.ordered - line.cancelled - line.short for line in books}
    wanted: Wanted = {}
    for number, line in enumerate(lines):
        line_no = line["line_no"]
        if line_no not in most:
            detail = f"the order has no line {line_no}"
            raise ProblemError("unknown-line", detail, pointer=f"/lines/{number}/line_no")
        wanted[line_no] = wanted.get(line_no, 0) + line["quantity"]
        if wanted[line_no] > most[line_no]:
            detail = f"line {line_no} has {most[line_no]} left, {wanted[line_no]} are to be cancelled"
            raise ProblemError("quantity-exceeded", detail, pointer=f"/lines/{number}/quantity")
    return wanted


def _minus(asked: Wanted, left: Wanted) -> Wanted:
    return {line_no: quantity - left[line_no] for line_no, quantity in asked.items() if quantity > left[line_no]}
