"""When the database fails for a moment, lanes, polls and upkeep go on: nothing is lost and nobody dies."""

from collections.abc import Callable, Iterator
from pathlib import Path
from sqlite3 import OperationalError

import pytest
from sqlalchemy import func, insert, select

from integration.storage import Database, DatabaseFailed
from integration.storage.tables import inbox

NOTE = {"source": "wms-east", "message_id": "m1", "received_at_us": 1}


class FailingGate:
    """A gate whose next boundary of one name raises the driver's error, and that counts who holds it."""

    def __init__(self) -> None:
        self.fails_at = ""
        self.holders = 0

    def _pass(self, place: str) -> None:
        if self.fails_at == place:
            self.fails_at = ""
            raise OperationalError(place)

    def begin(self, write: bool) -> None:
        if write:
            self._pass("begin")
            self.holders += 1

    def commit(self) -> None:
        self._pass("commit")

    def end(self) -> None:
        self.holders -= 1
        self._pass("end")

    def on_crash(self, callback: Callable[[], None]) -> None:
        """Never crashes."""


@pytest.fixture
def gate() -> FailingGate:
    return FailingGate()


@pytest.fixture
def database(tmp_path: Path, gate: FailingGate) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'd.db'}", gate)
    made.create()
    yield made
    made.close()


@pytest.mark.parametrize(("place", "stands"), [("begin", 0), ("commit", 0), ("end", 1)])
def test_a_passing_failure_is_told_from_every_other_and_gives_the_lock_back(
    database: Database, gate: FailingGate, place: str, stands: int
) -> None:
    told: list[str] = []
    gate.fails_at = place
    with pytest.raises(DatabaseFailed, match=f"the database failed: {place}"), database.write() as tx:
        tx.after_commit(lambda: told.append("committed"))
        tx.execute(insert(inbox), NOTE)
    assert gate.holders == 0
    assert told == [], "who does not know that it is committed does not act on it"
    with database.write() as tx:
        assert tx.one(select(func.count().label("rows")).select_from(inbox)).rows == stands
        tx.execute(insert(inbox), {**NOTE, "message_id": "m2"})
