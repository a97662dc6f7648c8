"""What dispatchers know of each other: shared rates, one on duty, the worst breaker; and how one of them stops."""

from typing import Any

from sqlalchemy import select

from integration.messaging.dispatcher import Dispatcher
from integration.messaging.lane import Lane, LaneLimits
from integration.messaging.outbox import Outbox
from integration.messaging.presence import BEAT_US, LEASE_US, Presence, worst_breakers
from integration.messaging.retry import RetryPolicy
from integration.storage import Database
from integration.storage.tables import outbox

SECOND_US = 1_000_000
NAMES = ("erp", "carrier")


def lanes_of(ports: Any) -> dict[str, Lane]:
    return {name: Lane(name, LaneLimits(per_second=2.0, breaker_failures=1), ports.tasks) for name in NAMES}


def present(name: str, database: Database, ports: Any) -> tuple[Presence, dict[str, Lane]]:
    presence, lanes = Presence(name, ports.clock), lanes_of(ports)
    presence.watch(database, lanes)
    return presence, lanes


def test_the_rate_of_a_partner_is_shared_among_those_who_live(database: Database, ports: Any) -> None:
    one, lanes = present("one", database, ports)
    other, _ = present("other", database, ports)
    now_us = ports.clock.now_us()
    one.beat()
    assert [lanes["erp"].budget.reserve(now_us) for _ in range(2)] == [0, SECOND_US // 2]
    other.beat()
    one.beat()
    later_us = now_us + 10 * SECOND_US
    assert [lanes["carrier"].budget.reserve(later_us) for _ in range(2)] == [0, SECOND_US]
    ports.clock.sleep(LEASE_US)
    one.beat()
    assert [lanes["carrier"].budget.reserve(later_us + LEASE_US) for _ in range(2)] == [0, SECOND_US // 2]


def test_one_is_on_duty_for_as_long_as_it_beats(database: Database, ports: Any) -> None:
    one, _ = present("one", database, ports)
    other, _ = present("other", database, ports)
    assert not one.is_on_duty()
    for _ in range(6):
        one.beat()
        other.beat()
        assert (one.is_on_duty(), other.is_on_duty()) == (True, False)
        ports.clock.sleep(BEAT_US)
    one.leave()
    other.beat()
    assert (one.is_on_duty(), other.is_on_duty()) == (False, True)


def test_on_duty_waits_until_it_is(database: Database, ports: Any) -> None:
    one, _ = present("one", database, ports)
    one.beat()
    before_us = ports.clock.now_us()
    one.on_duty()
    assert ports.clock.now_us() == before_us


def test_the_worst_breaker_of_all_is_told(database: Database, ports: Any) -> None:
    one, lanes = present("one", database, ports)
    other, _ = present("other", database, ports)
    lanes["erp"].breaker.failed(ports.clock.now_us(), "m1")
    one.beat()
    other.beat()
    with database.read() as tx:
        assert worst_breakers(tx, ports.clock.now_us()) == {"erp": "open", "carrier": "closed"}
    ports.clock.sleep(LEASE_US)
    with database.read() as tx:
        assert worst_breakers(tx, ports.clock.now_us()) == {}


def test_who_stops_gives_back_what_nobody_has_in_hand(database: Database, ports: Any) -> None:
    lanes = lanes_of(ports)
    box = Outbox(ports.clock, lanes, 120 * SECOND_US)
    dispatcher = Dispatcher(ports.clock, ports.tasks, database, box, {}, RetryPolicy(SECOND_US))
    with database.write() as tx:
        for number in range(3):
            box.put(tx, "erp", "note", f"note:{number}", {}, "ab" * 16)
    taken = lanes["erp"].take(ports.tasks.signal())
    assert dispatcher.stop(SECOND_US) == 1
    with database.write() as tx:
        rows = tx.rows(select(outbox).order_by(outbox.c.message_id))
        leases = [(row.business_key, row.lease_until_us) for row in rows]
        assert leases == [("note:0", taken.lease_until_us), ("note:1", 0), ("note:2", 0)]
        box.kinds = ("note",)
        again = box.claim(tx, "erp", ports.clock.now_us(), 10)
    assert [(message.business_key, message.maybe_sent) for message in again] == [("note:1", False), ("note:2", False)]
    assert lanes["erp"].room() == 0, "nothing is taken in any more"
    lanes["erp"].done_with_one()
    assert dispatcher.stop(SECOND_US) == 0
