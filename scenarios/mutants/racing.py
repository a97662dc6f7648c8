"""Races that a database hides which has one writer at a time, as virtual time has.

Each is a step in two statements of one transaction. On SQLite nothing can come between them; at READ COMMITTED on
PostgreSQL another transaction can. So they are no part of the kill matrix, but are played in real time:
`peakproof load SCENARIO --mutant lost-update` has each process of the integration take its parts from here.
"""

from sqlalchemy import bindparam, select, update

from integration.bootstrap import Parts
from integration.process.reservations import Reservations
from integration.storage import Transaction
from integration.storage.tables import stock
from scenarios.mutants.mutant import Mutant

_QUANTITY = bindparam("quantity", type_=stock.c.reserved.type)
_HERE = (stock.c.node == bindparam("at_node"), stock.c.sku == bindparam("of_sku"))
_AVAILABLE = stock.c.on_hand - stock.c.held - stock.c.safety - stock.c.reserved
_LOOK = select(_AVAILABLE.label("available"), stock.c.reserved).where(*_HERE)
_ADD = update(stock).where(*_HERE).values(reserved=stock.c.reserved + _QUANTITY)
_WRITE = (
    update(stock)
    .where(*_HERE, _AVAILABLE.op(">=")(_QUANTITY))
    .values(reserved=bindparam("then", stock.c.reserved.type))
)


class ChecksThenTakes(Reservations):
    """Looks whether there is enough, and then takes it without a condition."""

    def take(self, tx: Transaction, node: str, sku: str, quantity: int) -> bool:
        """As the product's, in two statements."""
        found = tx.one(_LOOK, {"at_node": node, "of_sku": sku})
        if found is None or found.available < quantity:
            return False
        return tx.execute(_ADD, {"at_node": node, "of_sku": sku, "quantity": quantity}) == 1


class WritesWhatItRead(Reservations):
    """Reads the counter, adds to it, and writes it: what another added in between is gone."""

    def take(self, tx: Transaction, node: str, sku: str, quantity: int) -> bool:
        """As the product's, on the counter as it was read."""
        found = tx.one(_LOOK, {"at_node": node, "of_sku": sku})
        if found is None:
            return False
        params = {"at_node": node, "of_sku": sku, "quantity": quantity, "then": found.reserved + quantity}
        return tx.execute(_WRITE, params) == 1


def checks_then_takes() -> Parts:
    """The integration with the first race."""
    return Parts(reservations=ChecksThenTakes())


def writes_what_it_read() -> Parts:
    """The integration with the second race."""
    return Parts(reservations=WritesWhatItRead())


_NEEDS = ("PostgreSQL", "two orders for one article at the same moment")
_ALL = (
    Mutant(
        "check-then-act-inside",
        "Checks the stock and reserves it in two statements of one transaction.",
        _NEEDS,
        ("no_oversell",),
        checks_then_takes,
        shows_with_one_order=False,
    ),
    Mutant(
        "lost-update",
        "Reads the counter of what is reserved and writes it back with its own share added.",
        _NEEDS,
        ("no_oversell",),
        writes_what_it_read,
        shows_with_one_order=False,
    ),
)
RACES = {mutant.name: mutant for mutant in _ALL}


def place_of(race: Mutant) -> str:
    """`module:name` of what makes its parts, as a live process takes it from the environment."""
    return f"{race.parts.__module__}:{race.parts.__qualname__}"
