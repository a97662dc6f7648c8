"""The log of events on both databases: written with what it tells, told to each who asked, in order, and told again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from integration.messaging.event_log import (
    ACTIVE,
    GIVEN_UP,
    KIND,
    LANE,
    LONGEST_PAUSE_US,
    PATIENT_FAILURES,
    Event,
    EventLog,
    Subscription,
)
from integration.messaging.event_secrets import EventSecrets
from integration.messaging.lane import Lane, LaneLimits
from integration.messaging.outbox import Outbox
from integration.process.delivery import DeliverEvent
from integration.storage import Database
from integration.storage.tables import events, outbox
from integration.system.subscriber import SubscriberClient
from tests.races import HoldingGate, meeting

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


@dataclass
class Books:
    """A log over a database, and what is in its outbox."""

    database: Database
    log: EventLog
    outbox: Outbox
    ports: Any

    def subscribe(self, name: str, *types: str, since_us: int | None = None) -> Subscription:
        with self.database.write() as tx:
            return self.log.subscribe(tx, name, "portal", f"http://{name}/", types, since_us)[0]

    def tell(self, *told: tuple[str, str]) -> None:
        """Events (id, subject) of type order.shipped, at the clock's time."""
        with self.database.write() as tx:
            self.log.append(tx, [self.event(event_id, subject) for event_id, subject in told])

    def event(self, event_id: str, subject: str) -> Event:
        return Event(event_id, "order.shipped", subject, self.ports.clock.now_us(), "a" * 32, "{}")

    def waiting(self) -> list[str]:
        with self.database.read() as tx:
            keys = select(outbox.c.business_key).where(outbox.c.state == "ready").order_by(outbox.c.message_id)
            return [row.business_key for row in tx.rows(keys)]

    def kept(self) -> list[str]:
        with self.database.read() as tx:
            return [row.event_id for row in tx.rows(select(events.c.event_id).order_by(events.c.position))]

    def find(self, name: str) -> Subscription:
        with self.database.read() as tx:
            found = self.log.find(tx, name)
        assert found is not None
        return found

    def fail(self, name: str, asked_us: int = 0) -> str:
        with self.database.write() as tx:
            return self.log.failed(tx, self.find(name), asked_us)


def books_of(database: Database, ports: Any) -> Books:
    lane = Lane(LANE, LaneLimits(workers=1), ports.tasks)
    box = Outbox(ports.clock, {LANE: lane}, 120 * SECOND_US)
    box.kinds = (KIND,)
    return Books(database, EventLog(ports.clock, box, DAY_US, DAY_US), box, ports)


@pytest.fixture
def books(database: Database, ports: Any) -> Books:
    return books_of(database, ports)


def test_each_subscription_gets_what_it_asked_for(books: Books) -> None:
    books.subscribe("one", "order.shipped", "order.accepted")
    books.subscribe("other", "order.shipped")
    books.subscribe("third", "order.accepted")
    books.tell(("e1", "ord-1"), ("e2", "ord-2"))
    assert books.waiting() == ["one:e1", "other:e1", "one:e2", "other:e2"]
    assert books.kept() == ["e1", "e2"]


def test_event_and_message_stand_or_fall_with_the_transaction(books: Books) -> None:
    books.subscribe("one", "order.shipped")
    with pytest.raises(ZeroDivisionError), books.database.write() as tx:
        books.log.append(tx, [books.event("e1", "ord-1")])
        raise ZeroDivisionError
    assert (books.waiting(), books.kept()) == ([], [])


def test_a_subscription_from_the_past_gets_what_is_kept_since_in_order(books: Books) -> None:
    books.tell(("e1", "ord-1"))
    books.ports.clock.sleep(SECOND_US)
    since_us = books.ports.clock.now_us()
    books.tell(("e2", "ord-1"), ("e3", "ord-2"))
    books.subscribe("one", "order.shipped", since_us=since_us)
    books.tell(("e4", "ord-1"))
    assert books.waiting() == ["one:e2", "one:e3", "one:e4"]
    again = books.subscribe("two", "order.accepted", since_us=0)
    assert (again.types, books.waiting()) == (("order.accepted",), ["one:e2", "one:e3", "one:e4"])


def test_the_same_url_replaces_its_subscription(books: Books) -> None:
    first = books.subscribe("one", "order.shipped")
    with books.database.write() as tx:
        again, made = books.log.subscribe(tx, "new-id", "portal", "http://one/", ["order.accepted"], None)
    assert (again.subscription_id, again.types) == (first.subscription_id, ("order.accepted",))
    assert (made, again.secret_generation) == (False, 1)
    books.tell(("e1", "ord-1"))
    assert books.waiting() == []


def test_who_fails_again_and_again_is_left_alone_with_all_that_waits_for_him(books: Books) -> None:
    books.subscribe("one", "order.shipped")
    books.subscribe("other", "order.shipped")
    books.tell(("e1", "ord-1"), ("e2", "ord-2"))
    now_us = books.ports.clock.now_us()
    assert [books.fail("one") for _ in range(PATIENT_FAILURES - 1)] == [ACTIVE] * (PATIENT_FAILURES - 1)
    assert books.find("one").paused_until_us == 0
    books.fail("one")
    books.fail("one")
    until_us = books.find("one").paused_until_us
    assert until_us == now_us + 2 * SECOND_US
    with books.database.read() as tx:
        due = select(outbox.c.business_key, outbox.c.next_attempt_at_us).order_by(outbox.c.message_id)
        assert [tuple(row) for row in tx.rows(due)] == [
            ("one:e1", until_us), ("other:e1", now_us), ("one:e2", until_us), ("other:e2", now_us),
        ]  # fmt: skip
    for _ in range(40):
        books.fail("one")
    assert books.find("one").paused_until_us == now_us + LONGEST_PAUSE_US
    with books.database.write() as tx:
        books.log.went_well(tx, "one")
    well = books.find("one")
    assert (well.failures, well.failing_since_us, well.paused_until_us) == (0, None, 0)


def test_who_fails_for_a_day_is_given_up_and_what_waits_goes(books: Books) -> None:
    books.subscribe("one", "order.shipped")
    books.tell(("e1", "ord-1"))
    assert books.fail("one", asked_us=30 * SECOND_US) == ACTIVE
    assert books.find("one").paused_until_us == books.ports.clock.now_us() + 30 * SECOND_US
    books.ports.clock.sleep(DAY_US)
    assert books.fail("one") == GIVEN_UP
    books.tell(("e2", "ord-1"))
    assert (books.find("one").status, books.waiting(), books.kept()) == (GIVEN_UP, [], ["e1", "e2"])


def test_only_the_earliest_of_a_subject_is_next(books: Books) -> None:
    books.subscribe("one", "order.shipped")
    books.tell(("e1", "ord-1"), ("e2", "ord-1"), ("e3", "ord-2"))
    with books.database.write() as tx:
        found = {name: books.log.event(tx, name) for name in ("e1", "e2", "e3")}
        assert [books.log.is_next(tx, "one", found[name]) for name in found] == [True, False, True]
        first = next(one for one in books.outbox.claim(tx, LANE, books.ports.clock.now_us(), 1))
        books.outbox.finish(tx, first)
        assert books.log.is_next(tx, "one", found["e2"])


def test_without_a_key_nothing_is_sent_and_it_is_tried_again(books: Books) -> None:
    books.subscribe("one", "order.shipped")
    books.tell(("e1", "ord-1"))
    with books.database.write() as tx:
        (message,) = books.outbox.claim(tx, LANE, books.ports.clock.now_us(), 1)
    client = SubscriberClient(books.ports.http, books.ports.clock, None, SECOND_US)
    deliver = DeliverEvent(books.ports.clock, books.database, books.log, client, EventSecrets(()))
    outcome: Any = deliver.send(message)
    assert (type(outcome).__name__, outcome.healthy) == ("Retry", True)
    assert "PEAKPROOF_EVENT_KEY" in outcome.reason
    assert books.find("one").failures == 0, "it is not the subscriber's fault"


def test_keys_and_generations_sign_beside_each_other_while_one_takes_anothers_place(books: Books) -> None:
    old, new = EventSecrets(["o" * 32]), EventSecrets(["n" * 32, "o" * 32])
    now_us = books.ports.clock.now_us()
    first = books.subscribe("one", "order.shipped")
    assert old.signing(first, now_us) == (old.shown("one", 1),)
    assert new.signing(first, now_us) == (new.shown("one", 1), old.shown("one", 1))
    with books.database.write() as tx:
        second, made = books.log.subscribe(tx, "x", "portal", "http://one/", ["order.shipped"], None, new_secret=True)
    assert (made, second.secret_generation, second.former_until_us) == (True, 2, now_us + DAY_US)
    assert new.signing(second, now_us) == (
        new.shown("one", 2), old.shown("one", 2), new.shown("one", 1), old.shown("one", 1),
    )  # fmt: skip
    assert new.signing(second, now_us + DAY_US) == (new.shown("one", 2), old.shown("one", 2))
    assert len({*new.signing(second, now_us), new.shown("other", 2)}) == 5


def test_what_is_no_longer_kept_becomes_a_dead_letter(books: Books) -> None:
    books.subscribe("one", "order.shipped")
    books.tell(("e1", "ord-1"))
    with books.database.write() as tx:
        (message,) = books.outbox.claim(tx, LANE, books.ports.clock.now_us(), 1)
        tx.execute(events.delete())
    client = SubscriberClient(books.ports.http, books.ports.clock, None, SECOND_US)
    outcome: Any = DeliverEvent(books.ports.clock, books.database, books.log, client, EventSecrets(())).send(message)
    assert (type(outcome).__name__, outcome.detail) == ("Refused", "event e1 is no longer kept")


@pytest.fixture
def two(postgres_url: str, ports: Any) -> Iterator[tuple[Books, Books, HoldingGate]]:
    """Two processes on one PostgreSQL; the first can be held before its commit."""
    gate = HoldingGate()
    first, second = Database(postgres_url, gate), Database(postgres_url, ports.gate)
    yield books_of(first, ports), books_of(second, ports), gate
    first.close()
    second.close()


def test_an_event_under_way_is_not_missed_by_who_subscribes_from_the_past(
    two: tuple[Books, Books, HoldingGate], postgres_url: str
) -> None:
    teller, asker, gate = two

    def tell() -> None:
        with teller.database.write() as tx:
            teller.log.append(tx, [teller.event("e1", "ord-1")])
            tx.rows(select(events.c.event_id))  # so that all of it has been sent before the commit is held

    with meeting(postgres_url, gate) as met:
        met.of(tell, lambda: asker.subscribe("one", "order.shipped", since_us=0))
        assert met.waited
    assert asker.waiting() == ["one:e1"]


def test_an_event_that_meets_a_new_subscription_is_told_once(
    two: tuple[Books, Books, HoldingGate], postgres_url: str
) -> None:
    asker, teller, gate = two
    with meeting(postgres_url, gate) as met:
        met.of(lambda: asker.subscribe("one", "order.shipped", since_us=0), lambda: teller.tell(("e1", "ord-1")))
        assert met.waited
    assert teller.waiting() == ["one:e1"]
