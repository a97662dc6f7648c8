"""A finding shrinks to the order and the strike that show it, keeps its check and kind, and replays to the last event.

The finding is of 60 orders and three faults that strike tens of times; each mutant is one that a single order can show.
"""

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from scenarios.capsule import Capsule, Told, read_capsule, replay, run_file
from scenarios.explore import Plan, SeedTask, play_seed
from scenarios.mutants import MUTANTS
from scenarios.shrink import Case, NotReproduced, Shrunk, encapsulate, shrink
from scenarios.spec import Scenario, load
from scenarios.swarm import resolved

BUGS = str(Path(__file__).parents[1] / "end_to_end" / "bugs.yaml")
LARGE = {
    "demand.orders": "300",
    "demand.skus": "40",
    "demand.flash": "null",
    "demand.opening": "{cover: 3.0, scarce_share: 0.0, shares: {wms-east: 0.45, wms-west: 0.3, threepl: 0.25}}",
    "duration": "6h",
}
"""The exploration scenario with 300 orders, well stocked, so that it comes to an end."""
SIXTY = tuple(f"B{number}" for number in range(1001, 1061))

Task = TypeVar("Task")
Result = TypeVar("Result")


class Here:
    """An executor that plays everything in this process, and backwards, as no order is promised."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers

    def map_unordered(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Generator[Result, None, None]:
        for task in reversed(list(tasks)):
            yield function(task)

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_error: object) -> None:
        pass


def sixty_orders(faults: bool = True) -> Scenario:
    plain = load(BUGS).plain()
    plain["demand"]["only_orders"] = list(SIXTY)
    if not faults:
        plain |= {"faults": [], "expects": []}
    return Scenario.from_plain(plain)


def case(mutant: str, check: str, kind: str, faults: bool = True) -> Case:
    return Case(sixty_orders(faults), 11, check, kind, mutant)


def tell(_directory: Path, row: Any) -> Told:
    return Told(headline=f"the story of {row['kind']}")


@pytest.fixture(scope="module")
def retried(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shrunk, Capsule, Path]:
    directory = tmp_path_factory.mktemp("retried")
    found = case("key-per-attempt", "at_most_once", "released_twice")
    shrunk = shrink(found, Here())
    return shrunk, encapsulate(found, shrunk, directory / "one.json", directory / "run", tell), directory


def test_a_retry_without_a_key_is_one_order_and_one_lost_reply(retried: tuple[Shrunk, Capsule, Path]) -> None:
    shrunk = retried[0]
    assert (shrunk.orders_before, len(shrunk.orders), shrunk.strikes) == (60, 1, 1)
    assert shrunk.strikes_before >= 20
    assert shrunk.executions <= 20
    (fault,) = shrunk.scenario.faults
    assert (fault.id, fault.kind) == ("reply-lost", "reply_lost")
    assert fault.select is not None
    assert [key.split()[:2] for key in fault.select.keys or ()] == [["POST", "/releases"]]


def test_the_finding_stays_the_same_finding(retried: tuple[Shrunk, Capsule, Path]) -> None:
    shrunk = retried[0]
    assert shrunk.counterexample["kind"] == "released_twice"
    assert shrunk.counterexample["order_reference"] in shrunk.orders


def test_the_neighbour_is_the_same_order_without_the_fault(retried: tuple[Shrunk, Capsule, Path]) -> None:
    neighbour = retried[0].neighbour
    assert neighbour is not None
    assert neighbour.said == "without the fault reply-lost"
    assert neighbour.scenario["faults"] == []
    assert neighbour.scenario["demand"]["only_orders"] == list(retried[0].orders)


def test_a_capsule_replays_to_the_last_event(retried: tuple[Shrunk, Capsule, Path], tmp_path: Path) -> None:
    _, written, directory = retried
    capsule = read_capsule(directory / "one.json")
    assert capsule == written
    assert capsule.story.headline == "the story of released_twice"
    assert run_file(directory / "run")["mutant"] == "key-per-attempt"
    replayed = replay(capsule, tmp_path / "again")
    assert (replayed.exact, replayed.digest, replayed.difference) == (True, capsule.digest, "")
    assert replayed.result.exit_code == 1
    assert (tmp_path / "again" / "neighbour" / "run.json").exists()


def test_a_replay_that_parts_names_the_first_event(retried: tuple[Shrunk, Capsule, Path], tmp_path: Path) -> None:
    """The same capsule with the bug taken out: the retry has another key, and that is the first thing to differ."""
    mended = retried[1].model_copy(update={"mutant": None, "neighbour": None})
    replayed = replay(mended, tmp_path / "again")
    assert not replayed.exact
    assert not replayed.found_again
    assert replayed.difference.startswith("the runs part at ")
    assert "virtual time" in replayed.difference


def test_a_missing_dedupe_is_one_order_and_one_doubled_message() -> None:
    shrunk = shrink(case("no-dedupe", "availability_agrees", "too_low"), Here(workers=2))
    assert (len(shrunk.orders), shrunk.strikes) == (1, 1)
    assert [fault.id for fault in shrunk.scenario.faults] == ["stock-twice"]


def test_a_bug_that_needs_no_fault_is_told_without_one() -> None:
    shrunk = shrink(case("refuse-everything", "no_false_rejection", "wrongly_refused"), Here())
    assert (len(shrunk.orders), shrunk.scenario.faults) == (1, ())
    assert shrunk.neighbour is not None
    assert shrunk.neighbour.said == "with the integration unchanged"


def test_what_is_not_found_again_is_not_shrunk() -> None:
    with pytest.raises(NotReproduced, match="at_most_once is not violated by 'shipped_twice' when seed 11"):
        shrink(Case(sixty_orders(faults=False), 11, "at_most_once", "shipped_twice"), Here())


def test_executions_are_bounded() -> None:
    shrunk = shrink(case("key-per-attempt", "at_most_once", "released_twice"), Here(), budget=7)
    assert shrunk.executions <= 7
    assert len(shrunk.orders) == 1


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, mutant in MUTANTS.items() if mutant.shows_with_one_order])
def test_three_hundred_orders_and_tens_of_faults_shrink(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The first finding of each mutant's own check among a dozen seeds, with all that the seed's swarm switches on."""
    mutant = MUTANTS[name]
    plan = Plan(mutant.scenario("exploration", LARGE, aided=True), "exploration")
    results = (play_seed(SeedTask(plan.each, seed, name)) for seed in range(1, 13))
    seed, found = next(
        (result.seed, witness)
        for result in results
        for witness in result.witnesses
        if witness.check in mutant.caught_by
    )
    scenario = resolved(plan.each, seed)
    shrunk = shrink(Case(scenario, seed, found.check, found.kind, name), Here())
    orders, faults = len(shrunk.orders), len(shrunk.scenario.faults)
    with capsys.disabled():
        print(  # noqa: T201 (the table is what this is played for)
            f"\n{name:22} {found.check}/{found.kind}: {shrunk.executions} executions, 300 -> {orders} orders,"
            f" {len(scenario.faults)} -> {faults} faults, {shrunk.strikes_before} -> {shrunk.strikes} strikes"
        )
    assert (shrunk.orders_before, shrunk.executions <= 200) == (300, True)
    assert shrunk.strikes_before >= 10
    assert orders <= 3
    assert faults <= 2
