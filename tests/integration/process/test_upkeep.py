"""Background loops: each on its own, a subscription before every snapshot, and soon again after a failure."""

from collections.abc import Sequence
from typing import Any

import pytest

from integration.messaging.outcomes import Done, Outcome, Retry
from integration.process.upkeep import Upkeep
from integration.settings import HOUR, SECOND, Settings


class Recorder:
    """Plays reference data, reconciliation and a partner; notes the calls and fails on demand."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answer: Outcome = Done({})

    def synchronize(self) -> None:
        self.calls.append("synchronize")

    def reconcile(self, node: str) -> None:
        self.calls.append(f"reconcile {node}")

    def subscribe(self, url: str, secret: str, types: Sequence[str]) -> Outcome:
        self.calls.append(f"subscribe {url} {secret} {types[0]}")
        return self.answer


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def upkeep(ports: Any, recorder: Recorder) -> Upkeep:
    settings = Settings(credentials={"webhook:wms-east": "s1", "webhook:carrier": "s2"})
    subscribers = {"wms-east": recorder, "carrier": recorder}
    return Upkeep(ports.clock, ports.tasks, settings, recorder, recorder, subscribers)  # type: ignore[arg-type]


def test_there_is_a_loop_for_each_thing_to_keep_fresh(upkeep: Upkeep, ports: Any) -> None:
    upkeep.start()
    assert ports.tasks.spawned == [
        "reference data",
        "stock of wms-east",
        "stock of wms-west",
        "stock of threepl",
        "subscription at carrier",
    ]


def test_a_node_that_calls_us_is_subscribed_before_it_is_read(upkeep: Upkeep, recorder: Recorder) -> None:
    upkeep._refresh("wms-east")
    upkeep._refresh("threepl")
    upkeep._subscribe("carrier")
    assert recorder.calls == [
        "subscribe http://integration/webhooks/wms-east s1 release.picked",
        "reconcile wms-east",
        "reconcile threepl",
        "subscribe http://integration/webhooks/carrier s2 tracking.updated",
    ]


def test_after_a_failure_the_next_time_comes_soon_but_not_before_it_was_asked_for(
    upkeep: Upkeep, recorder: Recorder
) -> None:
    assert upkeep.once(lambda: upkeep._refresh("wms-east"), HOUR) == HOUR
    recorder.answer = Retry("overloaded")
    assert upkeep.once(lambda: upkeep._refresh("wms-east"), HOUR) == 30 * SECOND
    recorder.answer = Retry("overloaded", 90 * SECOND)
    assert upkeep.once(lambda: upkeep._refresh("wms-east"), HOUR) == 90 * SECOND
    assert upkeep.once(lambda: upkeep._refresh("wms-east"), 60 * SECOND) == 90 * SECOND
    assert recorder.calls.count("reconcile wms-east") == 1


def test_what_is_not_a_failed_read_is_our_own_bug_and_comes_out(upkeep: Upkeep) -> None:
    def broken() -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        upkeep.once(broken, HOUR)
