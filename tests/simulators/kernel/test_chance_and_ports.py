"""Keyed chance replays by key, ids and the write lock replay by task, evidence is whole lines with declared columns."""

from pathlib import Path
from wsgiref.types import WSGIApplication

import orjson
import pytest

from contracts.evidence import open_run
from simulators.kernel import MINUTE, SECOND, Chance, EvidenceWriter
from tests.simulators.kernel.conftest import STARTS_AT_US, Bench, application


def test_a_decision_depends_on_its_key_alone() -> None:
    chance = Chance(7)
    first = [chance.uniform("pick", f"order-{n}") for n in range(5)]
    assert [Chance(7).uniform("pick", f"order-{n}") for n in (4, 3, 2, 1, 0)] == first[::-1]
    assert Chance(8).uniform("pick", "order-0") != first[0]
    assert chance.uniform("pack", "order-0") != first[0]


def test_shares_and_spreads_come_out_as_asked() -> None:
    chance = Chance(1)
    assert sum(chance.hit(0.25, "x", n) for n in range(10_000)) == pytest.approx(2_500, abs=130)
    assert not any(chance.hit(0.0, "x", n) for n in range(100))
    draws = sorted(chance.lognormal_us(1_000_000, 0.5, "y", n) for n in range(2_001))
    assert draws[1_000] == pytest.approx(1_000_000, rel=0.05)
    assert draws[-1] <= 4_482_000
    assert {chance.integer(1, 3, "z", n) for n in range(100)} == {1, 2, 3}
    assert {chance.choose("ab", "c", n) for n in range(100)} == {"a", "b"}


def test_a_restarted_host_draws_new_ids(bench: Bench) -> None:
    """Its tasks have the names that they had before the crash, and what those drew is in the database."""
    world = bench.world()
    ports = world.ports("integration")
    drawn: list[str] = []

    def start() -> WSGIApplication:
        ports.tasks.spawn("poll", lambda: drawn.append(ports.ids.new("ord")))
        return application(lambda _environ: (200, b""))

    world.network.attach("integration", start)
    world.run(STARTS_AT_US + SECOND)
    world.network.crash("integration")
    world.network.restart("integration")
    world.run(STARTS_AT_US + 2 * SECOND)
    assert len(set(drawn)) == 2


def test_ids_replay_by_task_and_never_end_in_dash_and_digits(bench: Bench) -> None:
    def draw(names: list[str]) -> dict[str, list[str]]:
        world = bench.world()
        ids = world.ports("integration").ids
        drawn: dict[str, list[str]] = {name: [] for name in names}

        def task(name: str) -> None:
            drawn[name].extend([ids.new("ord"), ids.new("ord")])

        for name in names:
            world.spawn(name, task, name)
        world.run(STARTS_AT_US + SECOND)
        world.evidence.close()
        return drawn

    both = draw(["a", "b"])
    assert draw(["b"])["b"] == both["b"]
    every = both["a"] + both["b"]
    assert len(set(every)) == 4
    assert all(len(one) <= 40 and not one[-1].isdigit() for one in every)


def test_writers_take_turns_in_virtual_time(bench: Bench) -> None:
    world = bench.world()
    gate = world.ports("integration").gate
    inside: list[str] = []
    overlaps: list[list[str]] = []

    def write(name: str) -> None:
        gate.begin(write=True)
        inside.append(name)
        overlaps.append(list(inside))
        gate.commit()
        inside.remove(name)
        gate.end()

    for number in range(50):
        world.spawn(f"writer {number}", write, str(number))
    world.run(STARTS_AT_US + MINUTE)

    assert len(overlaps) == 50
    assert all(len(held) == 1 for held in overlaps)


def test_a_signal_wakes_one_waiter_and_is_kept_for_the_next(bench: Bench) -> None:
    world = bench.world()
    signal = world.ports("integration").tasks.signal()
    seen: list[tuple[str, bool, int]] = []

    def waiter(name: str, timeout_us: int) -> None:
        woken = signal.wait(timeout_us)
        seen.append((name, woken, world.now_us() - STARTS_AT_US))

    world.spawn("a", waiter, "a", 10 * SECOND)
    world.spawn("b", waiter, "b", 20 * SECOND)
    world.spawn("set", signal.set, delay_us=5 * SECOND)
    world.run(STARTS_AT_US + MINUTE)
    signal.set()
    world.spawn("c", waiter, "c", SECOND)
    world.run(STARTS_AT_US + 2 * MINUTE)

    assert seen == [("a", True, 5 * SECOND), ("b", False, 20 * SECOND), ("c", True, MINUTE)]


def test_evidence_is_whole_lines_of_declared_columns(tmp_path: Path) -> None:
    with EvidenceWriter(tmp_path) as evidence:
        evidence.row("gauges", at_us=1, source="erp", name="busy", value=0.5)
        evidence.row("gauges", at_us=2, source="erp", name="busy", value=1.0)
        with pytest.raises(KeyError, match="has no column colour"):
            evidence.row("gauges", colour="red")
    lines = (tmp_path / "gauges.ndjson").read_bytes().splitlines()
    assert [orjson.loads(line)["seq"] for line in lines] == [0, 1]
    assert evidence.summary()["gauges"]["rows"] == 2
    assert open_run(tmp_path).execute("SELECT at_us, value FROM gauges ORDER BY seq").fetchall() == [(1, 0.5), (2, 1.0)]
    assert open_run(tmp_path).execute("SELECT count(*) FROM ledger").fetchone() == (0,)


def test_evidence_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    evidence = EvidenceWriter(tmp_path)
    for number in range(2_550):
        evidence.row("gauges", at_us=number, source="erp", name="busy", value=1.0)
    assert open_run(tmp_path).execute("SELECT count(*) FROM gauges").fetchone() == (2_500,)
    evidence.close()
    assert open_run(tmp_path).execute("SELECT count(*) FROM gauges").fetchone() == (2_550,)
