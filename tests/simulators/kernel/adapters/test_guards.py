"""What would leave the world raises at the call site with advice and ends the run, even where it is swallowed; clocks
are answered from the world; SQLite gives up at once, and at a crash lets go of what it held."""

import asyncio
import queue
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from simulators.kernel import MINUTE, SECOND, EscapedWorld, Fault, World
from simulators.kernel.adapters import enclose
from tests.simulators.kernel.conftest import STARTS_AT_US, Bench, application

END = STARTS_AT_US + 10 * MINUTE


def enclosed_world(bench: Bench, *faults: Fault) -> World:
    world = bench.world(*faults)
    world.network.attach("shop", lambda: application(lambda _environ: (200, b"")), foreign=True)
    enclose(world, "shop")
    return world


@pytest.mark.parametrize(
    ("escape", "said"),
    [
        (lambda: time.sleep(1), r"time\.sleep\(1\) at .*test_guards\.py:\d+ .*clock\.sleep\(1_000_000\)"),
        (lambda: threading.Thread(target=print).start(), r"Thread\.start\(\) at .*test_guards\.py.*tasks\.spawn"),
        (lambda: queue.Queue[int]().get(), r"another thread at .*test_guards\.py.*tasks\.signal"),
        (lambda: socket.create_connection(("wms", 80)), r"create_connection\(\) at .*test_guards\.py.*http port"),
        (lambda: socket.socket().connect(("127.0.0.1", 9)), r"socket\.connect\(\) at .*test_guards\.py"),
        (lambda: urllib.request.urlopen("http://wms/"), r"socket\.create_connection\(\) at .*test_guards\.py"),
        (lambda: asyncio.run(asyncio.sleep(0)), r"event loop at .*test_guards\.py.*blocking code"),
        (lambda: subprocess.run([sys.executable, "-V"], check=True), r"Popen\(\) at .*test_guards\.py"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_escape_raises_at_its_call_site_and_ends_the_run(
    bench: Bench, escape: Callable[[], object], said: str
) -> None:
    world = enclosed_world(bench)
    at_call_site: list[str] = []

    def careless() -> None:
        try:
            escape()
        except Exception as error:  # as a framework would: the run must end all the same
            at_call_site.append(type(error).__name__)

    world.spawn("shop job", careless, host="shop")
    with pytest.raises(EscapedWorld, match=said):
        world.run(END)
    assert at_call_site == ["EscapedWorld"]


def test_clocks_tell_the_worlds_time_inside_and_the_real_one_outside(bench: Bench) -> None:
    world = enclosed_world(bench)
    inside: list[float] = []
    outside: list[float] = []

    def look() -> None:
        world.sleep(90 * SECOND)
        inside.extend([time.time(), time.time_ns(), time.monotonic()])

    world.spawn("shop look", look, host="shop")
    world.spawn("clerk", lambda: outside.append(time.time()))
    world.run(END)
    now_us = STARTS_AT_US + 90 * SECOND
    assert inside == [now_us / 1_000_000, now_us * 1_000, now_us / 1_000_000]
    assert abs(outside[0] - time.time()) < 60


def test_a_wall_clock_that_a_fault_put_wrong_is_wrong_inside_and_a_steady_one_is_not(bench: Bench) -> None:
    world = enclosed_world(bench, Fault(id="skew", kind="clock_skew", host="shop", delay_us=MINUTE))
    inside: list[float] = []
    world.spawn("shop look", lambda: inside.extend([time.time(), time.monotonic()]), host="shop")
    world.run(END)
    assert inside == [(STARTS_AT_US + MINUTE) / 1_000_000, STARTS_AT_US / 1_000_000]


def test_guards_are_gone_when_the_world_stands_still(bench: Bench) -> None:
    before = (
        time.sleep,
        threading.Thread.start,
        socket.socket.connect,
        sqlite3.connect,
        "connect" in vars(socket.socket),
    )
    enclosed_world(bench).run(END)
    after = (
        time.sleep,
        threading.Thread.start,
        socket.socket.connect,
        sqlite3.connect,
        "connect" in vars(socket.socket),
    )
    assert after == before
    assert not after[-1]


def test_a_crash_lets_go_of_what_sqlite_held_open(bench: Bench, tmp_path: Path) -> None:
    crash = Fault(id="crash", kind="crash", host="shop", from_us=STARTS_AT_US + SECOND, to_us=STARTS_AT_US + 2 * SECOND)
    world = enclosed_world(bench, crash)
    path = tmp_path / "shop.db"
    seen: list[object] = []

    def write(pause_us: int) -> None:
        connection = sqlite3.connect(path, timeout=30)
        try:
            connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
            connection.execute("INSERT INTO t VALUES (1)")
            world.sleep(pause_us)
            connection.commit()
            seen.append(connection.execute("SELECT count(*) FROM t").fetchone()[0])
        except sqlite3.OperationalError as error:
            seen.append(str(error))

    world.spawn("shop first", write, MINUTE, host="shop")
    world.spawn("shop second", write, 0, host="shop", delay_us=SECOND // 2)
    world.env.timeout(3 * SECOND).callbacks.append(lambda _event: world.spawn("shop third", write, 0, host="shop"))
    began = time.perf_counter()
    world.run(END)
    # The second is turned away at once; the first's row is rolled back; the third finds the file free.
    assert seen == ["database is locked", 1]
    assert time.perf_counter() - began < 10
