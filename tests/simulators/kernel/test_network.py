"""Exchanges: latency, time-outs that leave the server working, and every fault on a leg."""

from collections.abc import Callable
from pathlib import Path
from wsgiref.types import WSGIEnvironment

import pytest

from simulators.kernel import MINUTE, SECOND, Answer, Fault, KernelError, World
from tests.simulators.kernel.conftest import STARTS_AT_US, Bench, Handler, application

HEADERS = {"Content-Type": "application/json", "Idempotency-Key": "k1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
END = STARTS_AT_US + 10 * MINUTE


def edge(kind: str, **settings: object) -> Fault:
    return Fault(id=f"the-{kind}", kind=kind, source="shop", target="wms", **settings)  # type: ignore[arg-type]


def call(world: World, seen: list[object], times: int = 1, timeout_us: int = 5 * SECOND) -> None:
    """Spawn a client that calls POST /releases/7 and notes its answers and errors with their times."""

    def client() -> None:
        for _ in range(times):
            try:
                answer = world.network.send("shop", "POST", "http://wms/releases/7", HEADERS, b"{}", timeout_us)
                seen.append((answer.status, answer.body, world.now_us() - STARTS_AT_US))
            except OSError as error:
                seen.append((type(error).__name__, world.now_us() - STARTS_AT_US))

    world.spawn("client", client)


def counting(world: World, effects: list[int], busy_us: int = 0) -> Handler:
    """A server that is busy for a while, then has its effect."""

    def handle(_environ: WSGIEnvironment) -> tuple[int, bytes]:
        if busy_us:
            world.sleep(busy_us)
        effects.append(world.now_us() - STARTS_AT_US)
        return 201, b"done"

    return handle


def play(bench: Bench, *faults: Fault, times: int = 1, busy_us: int = 0) -> tuple[World, list[object], list[int]]:
    world = bench.world(*faults)
    seen: list[object] = []
    effects: list[int] = []
    world.network.attach("wms", lambda: application(counting(world, effects, busy_us)), [("POST", "/releases/{id}")])
    call(world, seen, times)
    world.run(END)
    return world, seen, effects


def test_an_exchange_takes_two_legs_and_leaves_one_row(bench: Bench) -> None:
    world, seen, effects = play(bench, busy_us=SECOND)

    assert seen == [(201, b"done", 1_020_000)]
    assert effects == [1_010_000]
    rows = bench.rows(
        world,
        f"SELECT source, target, route, correlation_id, key, attempt, arrived_at_us - {STARTS_AT_US},"
        f" completed_at_us - {STARTS_AT_US}, status, outcome, fault FROM exchanges",
    )
    assert rows == [("shop", "wms", "/releases/{id}", "a" * 32, "k1", 1, 10_000, 1_020_000, 201, "answered", None)]


def test_a_client_that_times_out_does_not_stop_the_server(bench: Bench) -> None:
    world, seen, effects = play(bench, busy_us=8 * SECOND)

    assert seen == [("TimeoutError", 5 * SECOND)]
    assert effects == [8_010_000]
    assert bench.rows(world, "SELECT outcome, status FROM exchanges") == [("timeout", 201)]


def test_a_lost_request_has_no_effect_and_a_lost_reply_has(bench: Bench) -> None:
    _, seen, effects = play(bench, edge("request_lost", nth=(1,)), times=2)
    assert seen == [("TimeoutError", 5 * SECOND), (201, b"done", 5_020_000)]
    assert effects == [5_010_000]


def test_a_lost_reply_leaves_its_effect(bench: Bench) -> None:
    world, seen, effects = play(bench, edge("reply_lost", nth=(1,)), times=2)
    assert seen == [("TimeoutError", 5 * SECOND), (201, b"done", 5_020_000)]
    assert effects == [10_000, 5_010_000]
    strikes = bench.rows(world, "SELECT fault, event, detail FROM faults ORDER BY seq")
    assert strikes == [
        ("the-reply_lost", "window", None),
        ("the-reply_lost", "strike", "POST /releases/7 k1 1"),
    ]


def test_a_duplicate_arrives_again_and_nobody_hears_its_answer(bench: Bench) -> None:
    world, seen, effects = play(bench, edge("duplicate", copies=2, delay_us=SECOND))
    assert seen == [(201, b"done", 20_000)]
    assert effects == [10_000, 1_010_000, 2_010_000]
    rows = bench.rows(world, "SELECT copy, outcome FROM exchanges ORDER BY copy")
    assert rows == [(0, "answered"), (1, "answered"), (2, "answered")]


def test_a_delayed_request_is_overtaken_by_a_later_one(bench: Bench) -> None:
    world = bench.world(edge("delay", nth=(1,), delay_us=2 * SECOND))
    order: list[str] = []

    def handle(environ: WSGIEnvironment) -> tuple[int, bytes]:
        order.append(environ["PATH_INFO"])
        return 200, b""

    def client(path: str) -> None:
        world.network.send("shop", "POST", f"http://wms{path}", HEADERS, b"{}", 5 * SECOND)

    world.network.attach("wms", lambda: application(handle))
    world.spawn("one", client, "/one")
    world.spawn("two", client, "/two", delay_us=SECOND)
    world.run(END)

    assert order == ["/two", "/one"]


@pytest.mark.parametrize(("direction", "effects"), [("request", []), ("reply", [10_000])])
def test_a_cut_connection_is_a_reset_with_or_without_effect(bench: Bench, direction: str, effects: list[int]) -> None:
    _, seen, done = play(bench, edge("cut", direction=direction))
    assert seen == [("ConnectionResetError", 10_000 if direction == "request" else 20_000)]
    assert done == effects


def test_latency_stretches_both_legs(bench: Bench) -> None:
    _, seen, _ = play(bench, edge("latency", strength=10.0))
    assert seen == [(201, b"done", 200_000)]


def test_an_outage_refuses_for_its_window_and_every_refusal_is_a_strike(bench: Bench) -> None:
    outage = Fault(id="down", kind="outage", host="wms", from_us=STARTS_AT_US, to_us=STARTS_AT_US + 15_000)
    world, seen, effects = play(bench, outage, times=2)
    assert seen == [("ConnectionRefusedError", 20_000), (201, b"done", 40_000)]
    assert effects == [30_000]
    strikes = bench.rows(world, "SELECT count(*) FROM faults WHERE event = 'strike' AND fault = 'down'")
    assert strikes == [(1,)]


def test_faults_narrow_to_a_route_a_count_and_a_limit(bench: Bench) -> None:
    _, seen, _ = play(bench, edge("request_lost", method="GET"), times=1)
    assert seen == [(201, b"done", 20_000)]


def test_every_second_exchange_but_at_most_once(bench: Bench) -> None:
    _, seen, _ = play(bench, edge("cut", every=2, limit=1, route="/releases/{id}"), times=4)
    done = [(201, b"done", at_us) for at_us in (20_000, 50_000, 70_000)]
    assert seen == [done[0], ("ConnectionResetError", 30_000), *done[1:]]


def test_healing_ends_every_fault(bench: Bench) -> None:
    world = bench.world(edge("request_lost"))
    seen: list[object] = []
    world.network.attach("wms", lambda: application(counting(world, [])))
    world.faults.heal()
    call(world, seen)
    world.run(END)
    assert seen == [(201, b"done", 20_000)]


def test_an_unknown_host_refuses_and_a_host_name_is_unique(bench: Bench) -> None:
    world = bench.world()
    seen: list[object] = []
    call(world, seen)
    world.run(END)
    assert seen == [("ConnectionRefusedError", 0)]
    world.network.attach("wms", lambda: application(counting(world, [])))
    with pytest.raises(KernelError, match="'wms' is already attached"):
        world.network.attach("wms", lambda: application(counting(world, [])))


def test_a_crash_ends_tasks_where_they_stand_and_a_restart_is_a_new_life(bench: Bench) -> None:
    """The handler that was busy never has its effect, its `finally` never runs, the caller sees a reset."""
    crash = Fault(id="crash", kind="crash", host="wms", from_us=STARTS_AT_US + SECOND, to_us=STARTS_AT_US + 3 * SECOND)
    world = bench.world(crash)
    lives: list[int] = []
    effects: list[str] = []
    rolled_back: list[int] = []
    seen: list[object] = []

    def make() -> Callable[..., list[bytes]]:
        lives.append(world.now_us() - STARTS_AT_US)
        world.network.before_crash("wms", lambda: rolled_back.append(world.now_us() - STARTS_AT_US))
        return application(handle)  # type: ignore[return-value]

    def handle(_environ: WSGIEnvironment) -> tuple[int, bytes]:
        try:
            world.sleep(2 * SECOND)
            effects.append("done")
        finally:
            effects.append("cleaned up")
        return 200, b""

    world.network.attach("wms", make)
    call(world, seen, times=3)
    world.run(END)

    assert lives == [0, 3 * SECOND]
    assert rolled_back == [SECOND]
    assert seen[0] == ("ConnectionResetError", SECOND)
    assert seen[1] == ("ConnectionRefusedError", 1_020_000)
    assert effects == []


def test_headers_reach_the_application_and_come_back(bench: Bench) -> None:
    world = bench.world()
    seen: list[object] = []

    def handle(environ: WSGIEnvironment) -> tuple[int, bytes]:
        return 200, f"{environ['HTTP_IDEMPOTENCY_KEY']} {environ['CONTENT_TYPE']} {environ['QUERY_STRING']}".encode()

    def client() -> None:
        answer: Answer = world.network.send("shop", "GET", "http://wms/a?b=1", HEADERS, b"", SECOND)
        seen.append((answer.body, answer.headers))

    world.network.attach("wms", lambda: application(handle))
    world.spawn("client", client)
    world.run(END)
    assert seen == [(b"k1 application/json b=1", {"content-type": "text/plain"})]


def test_a_handler_that_raises_fails_the_run(bench: Bench) -> None:
    world = bench.world()

    def handle(_environ: WSGIEnvironment) -> tuple[int, bytes]:
        raise LookupError("no bin")

    world.network.attach("wms", lambda: application(handle))
    call(world, [])
    with pytest.raises(KernelError, match=r"wms POST /releases/7 k1 1.*LookupError: no bin"):
        world.run(END)


def test_what_an_application_complains_of_stands_beside_the_evidence(bench: Bench, tmp_path: Path) -> None:
    world = bench.world()

    def handle(environ: WSGIEnvironment) -> tuple[int, bytes]:
        environ["wsgi.errors"].write("no such bin\n")
        return 500, b""

    world.network.attach("wms", lambda: application(handle))
    call(world, [])
    world.run(END)
    assert (tmp_path / "run" / "wms.log").read_text() == f"[{STARTS_AT_US + 10_000} us] no such bin\n"


def test_a_sticky_fault_strikes_every_further_attempt_of_what_it_struck(bench: Bench) -> None:
    world = bench.world(edge("cut", nth=(2,), sticky=True))
    seen: list[object] = []
    world.network.attach("wms", lambda: application(counting(world, [])))

    def client() -> None:
        for path in ("/a", "/b", "/b", "/c", "/b"):
            try:
                seen.append(world.network.send("shop", "POST", f"http://wms{path}", HEADERS, b"{}", SECOND).status)
            except ConnectionResetError:
                seen.append(path)

    world.spawn("client", client)
    world.run(END)
    assert seen == [201, "/b", "/b", 201, "/b"]
