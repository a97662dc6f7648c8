"""What follows an order, in two processes on one PostgreSQL: of two that change the same books one waits."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from sqlalchemy import select, text

from contracts.errors import ProblemError
from integration.messaging.dead_letters import DeadLetters
from integration.messaging.message import Message
from integration.messaging.outcomes import Done, ErrorClass
from integration.messaging.presence import LEASE_US, Presence
from integration.storage import Database, DatabaseFailed, Transaction
from integration.storage.database import MOST_ATTEMPTS
from integration.storage.tables import duties, outbox
from tests.integration.process.conftest import Stage
from tests.races import HoldingGate, Meeting, meeting

EAST = "o1.wms-east"


class OtherIds:
    """Identifiers of the other process."""

    def __init__(self) -> None:
        self._count = 0

    def new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}y"


class TwoStages:
    """The same integration in two processes: the first may be held just before a commit."""

    def __init__(self, first: Stage, second: Stage, met: Meeting) -> None:
        self.first, self.second, self._met = first, second, met

    def at_once(self, one: Callable[[], Any], other: Callable[[], Any]) -> tuple[Any, Any]:
        return self._met.of(one, other)

    @property
    def waited(self) -> bool:
        return self._met.waited


@pytest.fixture
def stages(postgres_url: str, ports: Any) -> Iterator[TwoStages]:
    gate = HoldingGate()
    first, second = Database(postgres_url, gate), Database(postgres_url, ports.gate)
    others = type(ports)(ports.clock, ports.http, ports.tasks, OtherIds(), ports.gate)
    with meeting(postgres_url, gate) as met:
        yield TwoStages(Stage(first, ports), Stage(second, others), met)
    first.close()
    second.close()


def released(stages: TwoStages) -> None:
    """An order of four of A, released to the east, the message of it settled."""
    stages.first.stock("wms-east", A=10)
    stages.first.order("o1", {1: ("A", 4)}, {"wms-east": {1: 4}})
    stages.first.settle()


def test_two_events_of_one_release_at_once_both_count(stages: TwoStages) -> None:
    released(stages)
    stage = stages.second
    picked = stage.picked(EAST, {1: ("A", 3, 1)}, sequence=1)
    packed = stage.packed(EAST, [[(1, "A", 3)]], sequence=2)
    stages.at_once(
        lambda: stages.first.hear("wms-east", "release.picked", picked),
        lambda: stages.second.hear("wms-east", "release.packed", packed),
    )
    assert stages.waited
    assert stage.statuses()[EAST] == "packed"
    assert stage.line("o1")["confirmed"] == 4, "the missing unit was sourced again"
    assert stage.level("wms-east", "A") == (10, 0, 4)


def test_the_same_short_by_two_ways_at_once_counts_once(stages: TwoStages) -> None:
    released(stages)
    one, other = (stages.first.picked(EAST, {1: ("A", 2, 2)}, sequence=sequence) for sequence in (1, 2))
    stages.at_once(
        lambda: stages.first.hear("wms-east", "release.picked", one, "m1"),
        lambda: stages.second.hear("wms-east", "release.picked", other, "m2"),
    )
    stage = stages.second
    assert stages.waited
    assert stage.line("o1") == {"confirmed": 4}
    assert stage.level("wms-east", "A") == (10, 0, 4)
    assert stage.timeline().count("picked_short") == 1


def test_a_cancel_that_meets_the_shipment_is_too_late(stages: TwoStages) -> None:
    released(stages)
    stage = stages.second

    def cancel() -> tuple[int, dict[str, Any]]:
        return stage.database.transact(lambda tx: stage.cancellation.request_cancel(tx, "o1", None, "late", "k"))

    shipped = stage.shipped(EAST, [(1, "A", 4)], 1)
    _, outcome = stages.at_once(lambda: stages.first.hear("wms-east", "release.shipped", shipped), cancel)
    assert stages.waited
    assert isinstance(outcome, ProblemError)
    assert outcome.key == "too-late-to-cancel"
    assert stage.line("o1") == {"shipped": 4}
    assert stage.level("wms-east", "A") == (6, 0, 0)
    assert stage.status("o1") == "shipped"


def test_a_cancel_and_the_booking_at_once_leave_nothing_released(stages: TwoStages) -> None:
    stages.first.stock("wms-east", A=10)
    stages.first.order("o1", {1: ("A", 4)}, {"wms-east": {1: 4}})
    stage = stages.second
    stages.at_once(
        lambda: stages.first.database.transact(
            lambda tx: stages.first.cancellation.request_cancel(tx, "o1", None, "early", "k")
        ),
        lambda: stage.database.transact(
            lambda tx: stage.dispatcher.handlers["book_order"].done(
                tx, _message(stage, "book_order"), {"erp_order_id": "E1"}
            )
        ),
    )
    assert stages.waited
    assert stage.line("o1") == {"cancelled": 4}
    assert ("release", "ready") not in stage.undone()
    assert stage.statuses() == {EAST: "cancelled"}


def test_of_two_labels_bought_at_once_the_last_sends_both(stages: TwoStages) -> None:
    released(stages)
    stages.first.hear("wms-east", "release.picked", stages.first.picked(EAST, {1: ("A", 4, 0)}))
    stages.first.hear("wms-east", "release.packed", stages.first.packed(EAST, [[(1, "A", 3)], [(1, "A", 1)]]))
    parcels = [f"{EAST}.P1", f"{EAST}.P2"]
    one, other = ({"label_id": f"L-{parcel}", "tracking_number": f"T-{parcel}"} for parcel in parcels)
    messages = [_message(stages.second, "create_label", parcel) for parcel in parcels]

    def settle(stage: Stage, message: Any, label: dict[str, str]) -> None:
        stage.dispatcher._settle(stage.lanes["carrier"], message, Done(label))

    stages.at_once(
        lambda: settle(stages.first, messages[0], one),
        lambda: settle(stages.second, messages[1], other),
    )
    assert stages.waited
    assert [kind for kind, _ in stages.second.undone()].count("attach_labels") == 1


def test_a_delta_that_meets_a_snapshot_is_neither_lost_nor_counted_twice(stages: TwoStages) -> None:
    stages.first.stock("wms-east", A=10)
    snapshot = [{"sku": "A", "on_hand": 8, "held": 0}]
    delta = [{"sku": "A", "on_hand_delta": -1, "held_delta": 0}]
    first, second = stages.first, stages.second
    stages.at_once(
        lambda: first.database.transact(lambda tx: first.inventory.take_snapshot(tx, "wms-east", 5, snapshot)),
        lambda: second.database.transact(lambda tx: second.inventory.apply(tx, "wms-east", 6, delta)),
    )
    assert stages.waited
    assert second.level("wms-east", "A") == (7, 0, 0)


def test_an_article_that_two_events_tell_of_first_has_both(stages: TwoStages) -> None:
    first, second = stages.first, stages.second
    stages.at_once(
        lambda: first.database.transact(lambda tx: first.inventory.apply(tx, "wms-east", 1, _units("N", 2))),
        lambda: second.database.transact(lambda tx: second.inventory.apply(tx, "wms-east", 2, _units("N", 3))),
    )
    assert stages.waited
    assert second.level("wms-east", "N") == (5, 0, 0)


def test_a_backorder_is_served_once_by_two_rises(stages: TwoStages) -> None:
    first, second = stages.first, stages.second
    first.stock("wms-east", A=0)
    first.stock("wms-west", A=0)
    first.order("o1", {1: ("A", 3)}, {})
    first.settle()
    stages.at_once(
        lambda: first.database.transact(lambda tx: first.inventory.apply(tx, "wms-east", 1, _units("A", 3))),
        lambda: second.database.transact(lambda tx: second.inventory.apply(tx, "wms-west", 1, _units("A", 3))),
    )
    assert stages.waited
    assert second.line("o1") == {"confirmed": 3}
    assert (second.level("wms-east", "A")[2], second.level("wms-west", "A")[2]) == (3, 0)


def test_a_backorder_that_is_served_is_not_given_up_at_the_same_time(stages: TwoStages) -> None:
    first, second = stages.first, stages.second
    first.stock("wms-east", A=0)
    first.order("o1", {1: ("A", 3)}, {})
    first.settle()
    second.clock.sleep(4_000 * 1_000_000)
    stages.at_once(
        lambda: first.database.transact(lambda tx: first.inventory.apply(tx, "wms-east", 1, _units("A", 3))),
        second.backorders.expire_once,
    )
    assert stages.waited
    assert second.line("o1") == {"confirmed": 3}


def test_two_dispatchers_claim_different_messages_without_waiting(stages: TwoStages) -> None:
    _put(stages.first, 4)
    first, second = stages.first, stages.second
    now_us = first.clock.now_us() + 200_000_000

    def claim(stage: Stage, most: int) -> list[int]:
        return stage.database.transact(
            lambda tx: [message.message_id for message in stage.outbox.claim(tx, "erp", now_us, most)]
        )

    one, other = stages.at_once(lambda: claim(first, 3), lambda: claim(second, 3))
    assert (len(one), len(other), stages.waited) == (3, 1, False)
    assert set(one).isdisjoint(other)


def test_a_message_that_is_claimed_is_not_withdrawn(stages: TwoStages) -> None:
    first, second = stages.first, stages.second
    first.lanes["erp"].backlog = True  # so that the message is left in the database
    _put(first, 1)
    now_us = first.clock.now_us()
    claimed, withdrawn = stages.at_once(
        lambda: first.database.transact(lambda tx: len(first.outbox.claim(tx, "erp", now_us, 1))),
        lambda: second.database.transact(lambda tx: second.outbox.withdraw(tx, "book_order:0")),
    )
    assert (claimed, withdrawn, stages.waited) == (1, False, True)


def test_who_lost_the_lease_does_not_settle_what_another_has_settled(stages: TwoStages) -> None:
    first, second = stages.first, stages.second
    _put(first, 1)
    message = _message(second, "book_order", "0")
    finished, buried = stages.at_once(
        lambda: first.database.transact(lambda tx: first.outbox.finish(tx, message)),
        lambda: second.database.transact(lambda tx: second.outbox.bury(tx, message, ErrorClass.DATA, "why")),
    )
    assert (finished, buried, stages.waited) == (True, False, True)
    assert second.undone() == []


def test_a_dead_letter_is_redriven_once(stages: TwoStages) -> None:
    first, second = stages.first, stages.second
    _put(first, 1)
    message = _message(second, "book_order", "0")
    first.database.transact(lambda tx: first.outbox.bury(tx, message, ErrorClass.DATA, "why"))
    letters = [DeadLetters(stage.clock, stage.outbox) for stage in (first, second)]
    one, other = stages.at_once(
        lambda: first.database.transact(lambda tx: letters[0].redrive(tx, message.message_id)),
        lambda: second.database.transact(lambda tx: letters[1].redrive(tx, message.message_id)),
    )
    assert (one, other, stages.waited) == (True, False, True)


def test_the_periodic_work_falls_to_one_and_to_another_when_that_one_is_gone(stages: TwoStages) -> None:
    first, second = stages.first, stages.second
    one, other = Presence("one", first.clock), Presence("other", second.clock)
    one.watch(first.database, first.lanes)
    other.watch(second.database, second.lanes)
    stages.at_once(one.beat, other.beat)
    assert stages.waited
    assert (one.is_on_duty(), other.is_on_duty()) == (True, False)
    first.clock.sleep(LEASE_US)
    other.beat()
    assert (one.is_on_duty(), other.is_on_duty()) == (False, True)
    assert len(second.rows(duties)) == 1
    other.leave()
    one.beat()
    assert (one.is_on_duty(), other.is_on_duty()) == (True, False)


def test_a_deadlock_is_broken_and_both_get_through(stages: TwoStages) -> None:
    first, second = stages.first, stages.second
    first.stock("wms-east", A=10, B=10)
    both_hold_one = threading.Barrier(2, timeout=10)
    tries = {"A": 0, "B": 0}

    def take(stage: Stage, mine: str, then: str) -> None:
        def work(tx: Transaction) -> None:
            tries[mine] += 1
            assert stage.desk.reservations.take(tx, "wms-east", mine, 1)
            if tries[mine] == 1:
                both_hold_one.wait()
            assert stage.desk.reservations.take(tx, "wms-east", then, 1)

        stage.database.transact(work)

    other = threading.Thread(target=take, args=(second, "B", "A"))
    other.start()
    take(first, "A", "B")
    other.join(10)
    assert (second.level("wms-east", "A"), second.level("wms-east", "B")) == ((10, 0, 2), (10, 0, 2))
    assert max(tries.values()) > 1, "there was no deadlock: the test shows nothing"


def test_a_transaction_that_always_loses_is_given_up(stages: TwoStages) -> None:
    lose = text("DO $$ BEGIN RAISE EXCEPTION 'always' USING ERRCODE = '40001'; END $$")
    tries: list[int] = []

    def work(tx: Transaction) -> None:
        tries.append(1)
        tx.execute(lose)

    with pytest.raises(DatabaseFailed, match="always"):
        stages.second.database.transact(work)
    assert len(tries) == MOST_ATTEMPTS


@pytest.mark.parametrize(("code", "what"), [("53100", "disk full"), ("53300", "too many connections")])
def test_what_may_pass_is_told_and_not_tried_again_at_once(stages: TwoStages, code: str, what: str) -> None:
    tries: list[int] = []

    def work(tx: Transaction) -> None:
        tries.append(1)
        tx.send(text(f"DO $$ BEGIN RAISE EXCEPTION '{what}' USING ERRCODE = '{code}'; END $$"))

    with pytest.raises(DatabaseFailed, match=f"the database failed: {what}"):
        stages.second.database.transact(work)
    assert len(tries) == 1


def _units(sku: str, quantity: int) -> list[dict[str, Any]]:
    return [{"sku": sku, "on_hand_delta": quantity, "held_delta": 0}]


def _put(stage: Stage, count: int) -> None:
    with stage.database.write() as tx:
        for number in range(count):
            stage.desk.put(tx, "erp", "book_order", str(number), {"order_id": "o1"}, "ab" * 16)


def _message(stage: Stage, kind: str, key: str = "") -> Message:
    """The message of a kind, as the worker that holds its lease has it in hand."""
    with stage.database.read() as tx:
        (row,) = tx.rows(select(outbox).where(outbox.c.kind == kind, outbox.c.business_key.like(f"%{key}")))
    return Message(row.message_id, row.lane, row.kind, row.business_key, orjson.loads(row.payload), row.correlation_id,
                   row.attempts, row.lease_until_us, maybe_sent=False)  # fmt: skip
