"""Messages get through once: lost answers are repeated under one key, poison steps aside, stale workers are fenced.

The database is real, the clock moves only by sleeping, and the partner is a list of outcomes.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import select

from integration.messaging.budget import RateBudget
from integration.messaging.dead_letters import DeadLetters
from integration.messaging.dispatcher import Dispatcher, DispatcherSettings
from integration.messaging.lane import Lane, LaneLimits
from integration.messaging.message import Message
from integration.messaging.outbox import Outbox
from integration.messaging.outcomes import Defer, Done, ErrorClass, Outcome, Refused, Retry, Uncertain
from integration.messaging.retry import RetryPolicy
from integration.storage import Database
from integration.storage.tables import outbox as outbox_table

SECOND_US = 1_000_000
LEASE_US = 120 * SECOND_US
ROWS = select(outbox_table).order_by(outbox_table.c.message_id)


class Script:
    """A handler whose partner answers by a script, by business key; the last outcome is repeated."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[Outcome]] = {}
        self.sent: list[tuple[str, int, bool]] = []
        self.effects: list[str] = []
        self.deaths: list[tuple[str, ErrorClass]] = []
        self.during_send: list[Any] = []

    def send(self, message: Message) -> Outcome:
        self.sent.append((message.business_key, message.attempts, message.maybe_sent))
        if self.during_send:
            self.during_send.pop(0)()
        script = self.outcomes.get(message.business_key, [Done()])
        return script.pop(0) if len(script) > 1 else script[0]

    def done(self, tx: Any, message: Message, answer: Mapping[str, Any]) -> None:
        self.effects.append(message.business_key)

    def dead(self, tx: Any, message: Message, reason: str, error_class: ErrorClass) -> None:
        self.deaths.append((message.business_key, error_class))


class House:
    """A lane with its dispatcher; `run` does what workers and poller would do until nothing is due."""

    def __init__(self, database: Database, ports: Any, capacity: int = 10) -> None:
        self.database, self.clock = database, ports.clock
        self.lane = Lane("erp", LaneLimits(workers=1, capacity=capacity), ports.tasks)
        self.outbox = Outbox(ports.clock, {"erp": self.lane}, LEASE_US)
        self.script = Script()
        policy = RetryPolicy(first_delay_us=SECOND_US, jitter_share=0.0, max_attempts=3)
        settings = DispatcherSettings(poll_us=60 * SECOND_US, margin_us=30 * SECOND_US)
        self.dispatcher = Dispatcher(
            ports.clock, ports.tasks, database, self.outbox, {"book": self.script}, policy, settings
        )
        self.signal = ports.tasks.signal()

    def put(self, key: str, delay_us: int = 0) -> None:
        with self.database.write() as tx:
            self.outbox.put(tx, "erp", "book", key, {"order_id": key}, "a" * 32, delay_us)

    def deliver_all(self) -> None:
        while len(self.lane._queue):
            self.dispatcher.deliver(self.lane, self.lane.take(self.signal))

    def run(self, polls: int = 20) -> None:
        for _ in range(polls):
            self.deliver_all()
            next_us = self.dispatcher.poll_once(self.lane, self.clock.now_us())
            if len(self.lane._queue) == 0:
                self.clock.sleep(max(0, next_us - self.clock.now_us()))

    def rows(self) -> list[Any]:
        with self.database.read() as tx:
            return tx.rows(ROWS)


@pytest.fixture
def house(database: Database, ports: Any) -> House:
    return House(database, ports)


def test_a_message_takes_the_short_way_and_is_done_with_its_effect(house: House) -> None:
    house.put("order-1")
    house.deliver_all()
    assert house.script.sent == [("order-1", 0, False)]
    assert house.script.effects == ["order-1"]
    (row,) = house.rows()
    assert (row.state, row.attempts) == ("done", 1)


def test_nothing_is_sent_when_the_transaction_is_rolled_back(house: House) -> None:
    with pytest.raises(RuntimeError), house.database.write() as tx:
        house.outbox.put(tx, "erp", "book", "order-1", {}, "a" * 32)
        raise RuntimeError("the decision was not taken")
    house.run(3)
    assert house.script.sent == []
    assert house.rows() == []


def test_a_lost_reply_is_repeated_under_the_same_key_and_takes_effect_once(house: House) -> None:
    house.script.outcomes["order-1"] = [Uncertain("no answer"), Done()]
    house.put("order-1")
    house.run(3)
    assert house.script.sent == [("order-1", 0, False), ("order-1", 1, True)]
    assert house.script.effects == ["order-1"]


def test_a_message_that_waits_its_turn_waits_longer_when_the_partner_asks_for_patience(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.lane.budget = RateBudget(per_second=0.5, burst=1)
    house.lane.budget.reserve(house.clock.now_us())
    began_us = house.clock.now_us()
    sleep = house.clock.sleep
    slept: list[int] = []

    def asked_meanwhile(wait_us: int) -> None:
        sleep(wait_us)
        slept.append(wait_us)
        if len(slept) == 1:
            house.lane.budget.pause(began_us + 30 * SECOND_US)

    monkeypatch.setattr(house.clock, "sleep", asked_meanwhile)
    house.put("order-1")
    house.deliver_all()
    assert slept == [2 * SECOND_US, 28 * SECOND_US]
    assert house.script.effects == ["order-1"]


def test_retry_after_is_kept_by_the_message_and_by_the_whole_lane(house: House) -> None:
    house.script.outcomes["order-1"] = [Retry("429", after_us=7 * SECOND_US, healthy=True), Done()]
    began_us = house.clock.now_us()
    house.put("order-1")
    house.deliver_all()
    house.put("order-2")
    assert house.rows()[1].lease_until_us == 0
    assert house.dispatcher.poll_once(house.lane, house.clock.now_us()) == began_us + 7 * SECOND_US
    house.run()
    assert house.script.effects == ["order-2", "order-1"]
    assert house.script.sent[0][0] == "order-1"
    assert [key for key, _, _ in house.script.sent].count("order-1") == 2


@pytest.mark.parametrize(("told_wrong_us", "wrong_us"), [(0, 60 * SECOND_US), (60 * SECOND_US, 0)])
def test_retry_after_is_kept_when_somebody_sets_the_clock(house: House, told_wrong_us: int, wrong_us: int) -> None:
    house.script.outcomes["order-1"] = [Retry("429", after_us=7 * SECOND_US, healthy=True), Done()]
    house.clock.wrong_us = told_wrong_us
    house.put("order-1")
    house.deliver_all()
    house.clock.wrong_us = wrong_us
    now_us = house.clock.now_us()
    house.put("order-2")
    assert house.dispatcher.poll_once(house.lane, now_us) == now_us + 7 * SECOND_US
    assert house.rows()[1].lease_until_us == 0


@pytest.mark.parametrize("wrong_us", [60 * SECOND_US, -60 * SECOND_US])
def test_an_open_breaker_stays_open_as_long_when_somebody_sets_the_clock(house: House, wrong_us: int) -> None:
    for key in range(8):
        house.lane.breaker.failed(house.clock.steady_us(), str(key))
    house.clock.wrong_us = wrong_us
    now_us = house.clock.now_us()
    assert house.dispatcher.poll_once(house.lane, now_us) == now_us + 5 * SECOND_US


def test_poison_is_parked_at_once_and_holds_up_nobody(house: House) -> None:
    house.script.outcomes["poison"] = [Refused("invalid-request", "line 3", ErrorClass.DATA)]
    began_us = house.clock.now_us()
    house.put("poison")
    house.put("order-2")
    house.deliver_all()
    assert house.script.effects == ["order-2"]
    assert house.script.deaths == [("poison", ErrorClass.DATA)]
    assert house.clock.now_us() == began_us
    row = house.rows()[0]
    assert (row.state, row.error_class, row.last_error) == ("dead", "data", "invalid-request: line 3")


def test_a_message_that_keeps_failing_lets_others_pass_and_dies_in_the_end(house: House) -> None:
    house.script.outcomes["order-1"] = [Uncertain("no answer")]
    house.put("order-1")
    house.put("order-2")
    house.deliver_all()
    assert house.script.effects == ["order-2"]
    house.run()
    assert [attempts for key, attempts, _ in house.script.sent if key == "order-1"] == [0, 1, 2]
    assert house.script.deaths == [("order-1", ErrorClass.RECOVERABLE)]


def test_a_worker_that_lost_its_lease_settles_nothing(house: House) -> None:
    """While the first worker hangs in its call, the lease ends and another takes over and finishes."""

    def meanwhile() -> None:
        house.clock.sleep(LEASE_US + SECOND_US)
        house.dispatcher.poll_once(house.lane, house.clock.now_us())
        house.deliver_all()

    house.script.during_send = [meanwhile]
    house.put("order-1")
    house.deliver_all()
    assert house.script.sent == [("order-1", 0, False), ("order-1", 0, True)]
    assert house.script.effects == ["order-1"]
    (row,) = house.rows()
    assert (row.state, row.attempts) == ("done", 1)


def test_a_message_whose_lease_is_nearly_over_is_not_sent(house: House) -> None:
    house.put("order-1")
    house.clock.sleep(LEASE_US - 29 * SECOND_US)
    house.deliver_all()
    assert house.script.sent == []
    house.clock.sleep(29 * SECOND_US)
    house.run(3)
    assert house.script.sent == [("order-1", 0, True)]
    assert house.script.effects == ["order-1"]


def test_what_waits_for_something_of_ours_counts_no_attempt(house: House) -> None:
    house.script.outcomes["order-1"] = [*[Defer("not booked", 10 * SECOND_US)] * 8, Done()]
    house.put("order-1")
    house.run(30)
    assert house.script.effects == ["order-1"]
    assert {attempts for _, attempts, _ in house.script.sent} == {0}


def test_an_effect_that_fails_is_retried_and_never_half_done(house: House) -> None:
    failures = [ValueError("broken effect")]

    def fail_once(tx: Any, message: Message, answer: Mapping[str, Any]) -> None:
        if failures:
            raise failures.pop()
        house.script.effects.append(message.business_key)

    house.script.done = fail_once  # type: ignore[method-assign]
    house.put("order-1")
    house.deliver_all()
    (row,) = house.rows()
    assert (row.state, row.attempts, row.error_class) == ("ready", 1, "platform")
    house.run(3)
    assert house.script.effects == ["order-1"]


def test_a_full_memory_queue_leaves_the_rest_to_the_poller(database: Database, ports: Any) -> None:
    house = House(database, ports, capacity=2)
    for number in range(7):
        house.put(f"order-{number}")
    assert house.lane.room() == 0
    assert [row.lease_until_us > 0 for row in house.rows()] == [True, True] + [False] * 5
    house.run()
    assert house.script.effects == [f"order-{number}" for number in range(7)]


def test_a_message_that_only_another_version_knows_is_left_to_it(house: House) -> None:
    began_us = house.clock.now_us()
    with house.database.write() as tx:
        house.outbox.put(tx, "erp", "book_in_another_way", "order-1", {}, "a" * 32, 1)
    house.clock.sleep(SECOND_US)
    assert house.dispatcher.poll_once(house.lane, began_us) == began_us + 60 * SECOND_US
    assert (house.lane.backlog, house.script.sent, house.rows()[0].lease_until_us) == (False, [], 0)
    house.outbox.kinds = ("book", "book_in_another_way")
    house.dispatcher.handlers = {**house.dispatcher.handlers, "book_in_another_way": house.script}
    house.run(3)
    assert house.script.effects == ["order-1"]


def test_a_delayed_message_waits_for_its_time(house: House) -> None:
    began_us = house.clock.now_us()
    house.put("order-1", delay_us=25 * SECOND_US)
    assert house.dispatcher.poll_once(house.lane, began_us) == began_us + 25 * SECOND_US
    house.run(3)
    assert house.script.effects == ["order-1"]


def test_an_open_breaker_leaves_messages_in_the_database(house: House) -> None:
    for key in range(8):
        house.lane.breaker.failed(house.clock.now_us(), str(key))
    house.put("order-1")
    assert house.rows()[0].lease_until_us == 0
    began_us = house.clock.now_us()
    assert house.dispatcher.poll_once(house.lane, began_us) == began_us + 5 * SECOND_US
    house.run(4)
    assert house.script.effects == ["order-1"]
    assert house.lane.breaker.state == "closed"


def test_a_dead_letter_is_shown_and_redriven_with_its_history_in_mind(house: House, ports: Any) -> None:
    house.script.outcomes["order-1"] = [*[Uncertain("no answer")] * 3, Done()]
    house.put("order-1")
    house.run(6)
    letters = DeadLetters(ports.clock, house.outbox)
    with house.database.write() as tx:
        (letter,) = letters.listing(tx)
        (figures,) = letters.figures(tx)
        assert letters.redrive(tx, letter["message_id"])
        assert not letters.redrive(tx, letter["message_id"])
    assert (letter["error_class"], letter["attempts"], letter["payload"]) == ("recoverable", 3, {"order_id": "order-1"})
    assert (figures.lane, figures.ready, figures.dead) == ("erp", 0, 1)
    house.run(3)
    assert house.script.sent[-1] == ("order-1", 0, True)
    assert house.script.effects == ["order-1"]


def test_only_what_nobody_had_in_hand_can_be_withdrawn(house: House) -> None:
    house.put("leased")
    house.put("delayed", delay_us=SECOND_US)
    with house.database.write() as tx:
        assert not house.outbox.withdraw(tx, "leased")
        assert house.outbox.withdraw(tx, "delayed")
        assert house.outbox.state_of(tx, "delayed") is None
    house.run(3)
    assert house.script.effects == ["leased"]
