"""A host that is foreign: what it raises is its own failure, logged and answered as in life, and never the run's."""

from pathlib import Path
from wsgiref.types import WSGIApplication, WSGIEnvironment

import pytest

from simulators.kernel import MINUTE, SECOND, Fault, World
from tests.simulators.kernel.conftest import STARTS_AT_US, Bench, application

END = STARTS_AT_US + 10 * MINUTE


def ask(world: World, seen: list[object]) -> None:
    try:
        answer = world.network.send("buyer", "GET", "http://shop/", {}, b"", SECOND)
        seen.append((answer.status, answer.body))
    except OSError as error:
        seen.append(type(error).__name__)


def fails(_environ: WSGIEnvironment) -> tuple[int, bytes]:
    raise LookupError("no such shelf")


def exits(_environ: WSGIEnvironment) -> tuple[int, bytes]:
    raise SystemExit(7)


@pytest.mark.parametrize(("handler", "named"), [(fails, "LookupError: no such shelf"), (exits, "SystemExit: 7")])
def test_a_handler_that_raises_is_answered_500_and_logged(
    bench: Bench, tmp_path: Path, handler: object, named: str
) -> None:
    world = bench.world()
    seen: list[object] = []
    world.network.attach("shop", lambda: application(handler), foreign=True)  # type: ignore[arg-type]
    world.spawn("buyer", ask, world, seen)
    world.run(END)

    assert seen == [(500, b"Internal Server Error")]
    assert named in (tmp_path / "run" / "shop.log").read_text()
    assert bench.rows(world, "SELECT status, outcome FROM exchanges") == [(500, "answered")]


def test_a_background_task_that_raises_ends_alone_and_is_evidence(bench: Bench, tmp_path: Path) -> None:
    world = bench.world()
    seen: list[object] = []

    def background() -> None:
        raise ValueError("a bad day")

    def start() -> WSGIApplication:
        world.ports("shop").tasks.spawn("sweep", background)
        return application(lambda _environ: (200, b"open"))

    world.network.attach("shop", start, foreign=True)
    world.spawn("buyer", ask, world, seen)
    world.run(END)

    assert seen == [(200, b"open")]
    assert "ValueError: a bad day" in (tmp_path / "run" / "shop.log").read_text()
    told = bench.rows(world, "SELECT source, name, location, value FROM gauges")
    assert told == [("shop", "task_failed", "shop sweep", 1.0)]


def test_a_factory_may_wait_and_connections_are_refused_until_it_is_done(bench: Bench) -> None:
    world = bench.world()
    seen: list[object] = []

    def start() -> WSGIApplication:
        world.sleep(SECOND)
        return application(lambda _environ: (200, b"open"))

    world.network.attach("shop", start, foreign=True)
    world.spawn("early", ask, world, seen)
    world.spawn("late", ask, world, seen, delay_us=2 * SECOND)
    world.run(END)
    assert seen == ["ConnectionRefusedError", (200, b"open")]


def test_a_first_start_that_fails_ends_the_run_and_a_later_one_leaves_the_host_down(
    bench: Bench, tmp_path: Path
) -> None:
    crash = Fault(id="crash", kind="crash", host="shop", from_us=STARTS_AT_US + SECOND, to_us=STARTS_AT_US + 2 * SECOND)
    world = bench.world(crash)
    seen: list[object] = []
    starts: list[int] = []

    def once() -> WSGIApplication:
        starts.append(world.now_us())
        if len(starts) > 1:
            raise OSError("the table is there already")
        return application(lambda _environ: (200, b"open"))

    world.network.attach("shop", once, foreign=True)
    world.spawn("early", ask, world, seen)
    world.spawn("late", ask, world, seen, delay_us=3 * SECOND)
    world.run(END)
    assert seen == [(200, b"open"), "ConnectionRefusedError"]
    assert "the table is there already" in (tmp_path / "run" / "shop.log").read_text()

    def never() -> WSGIApplication:
        raise OSError("no port")

    other = Bench(tmp_path / "other").world()
    other.network.attach("shop", never, foreign=True)
    with pytest.raises(OSError, match="no port"):
        other.run(END)
