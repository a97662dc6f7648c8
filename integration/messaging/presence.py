"""What processes that dispatch know of each other: how many there are, and which one does the periodic work.

Each renews a row of its own and looks how many others did so lately: the rate that a partner bears is shared among
them.
The periodic work (reference data, stock, polls, old backorders) falls to one at a time, under a lease in the row of the
duty; it falls to another when the one that had it has not renewed it in time. One that was held up in the middle of its
work may then still do it beside the other: that does no harm, for what each round writes is under the locks of
docs/adr/0014 and comes to the same.
"""

import logging
from collections.abc import Mapping

import orjson
from sqlalchemy import bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.messaging.lane import Lane
from integration.runtime import Clock
from integration.storage import Database, DatabaseFailed, Transaction
from integration.storage.tables import dispatchers, duties

log = logging.getLogger(__name__)

PERIODIC = "periodic work"
BEAT_US = 3_000_000
# So many beats may be missed before a process counts as gone.
LEASE_US = 4 * BEAT_US
_LOOK_US = 500_000

_alive = insert(dispatchers)
_ALIVE = _alive.on_conflict_do_update(
    index_elements=["process_id"],
    set_={"until_us": _alive.excluded["until_us"], "breakers": _alive.excluded["breakers"]},
)
_GONE = delete(dispatchers).where(dispatchers.c.until_us <= bindparam("now_us"))
_HOW_MANY = select(func.count().label("processes")).select_from(dispatchers)
_BREAKERS = select(dispatchers.c.breakers).where(dispatchers.c.until_us > bindparam("now_us"))
_duty = insert(duties)
_HOLD = _duty.on_conflict_do_update(
    index_elements=["name"],
    set_={"holder": _duty.excluded["holder"], "until_us": _duty.excluded["until_us"]},
    where=or_(duties.c.holder == _duty.excluded["holder"], duties.c.until_us <= bindparam("now_us")),
)
_LEAVE = delete(dispatchers).where(dispatchers.c.process_id == bindparam("of_process"))
_LET_GO = update(duties).where(duties.c.holder == bindparam("of_process")).values(until_us=0)
# The worst comes first.
_STATES = ("open", "half_open", "closed")


class Presence:
    """This process among its like. `watch` first, then `run` as a task."""

    def __init__(self, process_id: str, clock: Clock) -> None:
        self._process_id = process_id
        self._clock = clock
        self._on_duty_until_us = 0
        self._database: Database | None = None
        self._lanes: Mapping[str, Lane] = {}

    def watch(self, database: Database, lanes: Mapping[str, Lane]) -> None:
        """Meet the others in this database, and share the rates of these lanes with them."""
        self._database = database
        self._lanes = lanes

    def run(self) -> None:
        """Beat for ever; a task. While the database fails the duty runs out by itself."""
        while True:
            try:
                self.beat()
            except DatabaseFailed as error:
                log.warning("no word of the other dispatchers: %s", error)
            self._clock.sleep(BEAT_US)

    def beat(self) -> None:
        """Say that we live, and learn what has become of the others."""
        assert self._database is not None, "watch() comes first"
        began_us = self._clock.now_us()
        processes, holds = self._database.transact(lambda tx: self._meet(tx, began_us))
        self._on_duty_until_us = began_us + LEASE_US if holds else 0
        for lane in self._lanes.values():
            lane.budget.share(processes)

    def _meet(self, tx: Transaction, now_us: int) -> tuple[int, bool]:
        until_us = now_us + LEASE_US
        states = {name: lane.breaker.state.value for name, lane in self._lanes.items()}
        tx.execute(_GONE, {"now_us": now_us})
        row = {"process_id": self._process_id, "until_us": until_us, "breakers": orjson.dumps(states).decode()}
        tx.execute(_ALIVE, row)
        held = {"name": PERIODIC, "holder": self._process_id, "until_us": until_us}
        holds = tx.execute(_HOLD, {**held, "now_us": now_us}) == 1
        return int(tx.one(_HOW_MANY).processes), holds

    def is_on_duty(self) -> bool:
        """Whether the periodic work falls to this process now."""
        return self._clock.now_us() < self._on_duty_until_us

    def on_duty(self) -> None:
        """Return once the periodic work falls to this process."""
        while not self.is_on_duty():
            self._clock.sleep(_LOOK_US)

    def leave(self) -> None:
        """Say good-bye, so that another takes over at once."""
        assert self._database is not None, "watch() comes first"
        self._on_duty_until_us = 0
        self._database.transact(self._part)

    def _part(self, tx: Transaction) -> None:
        tx.execute(_LEAVE, {"of_process": self._process_id})
        tx.execute(_LET_GO, {"of_process": self._process_id})


def worst_breakers(tx: Transaction, now_us: int) -> dict[str, str]:
    """The state of each lane's circuit breaker at the dispatcher where it is worst."""
    worst: dict[str, str] = {}
    for row in tx.rows(_BREAKERS, {"now_us": now_us}):
        for lane, state in orjson.loads(row.breakers).items():
            worst[lane] = min(worst.get(lane, _STATES[-1]), state, key=_STATES.index)
    return worst
