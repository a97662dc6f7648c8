"""Faults on an edge that keep back, change or replace messages: exact effects, and every strike is evidence."""

from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIEnvironment

import orjson
import pytest

from simulators.kernel import MINUTE, SECOND, Fault, World
from tests.simulators.kernel.conftest import STARTS_AT_US, Bench, application

HOUR = 60 * MINUTE
MS = 1_000
BODY = b'{"release_id": "ful-1", "quantity": 6}'
ANSWER = b'{"status": "received", "quantity": 6}'
HEADERS = {"Content-Type": "application/json", "Idempotency-Key": "k1"}


def edge(kind: str, **settings: Any) -> Fault:
    return Fault(id="it", kind=kind, source="shop", target="wms", **settings)


def during(from_us: int, to_us: int) -> dict[str, Any]:
    return {"from_us": STARTS_AT_US + from_us, "to_us": STARTS_AT_US + to_us}


class Play:
    """A shop that posts at given times, and a warehouse that keeps what reached it and when."""

    def __init__(self, bench: Bench, *faults: Fault) -> None:
        self.bench = bench
        self.world: World = bench.world(*faults)
        self.arrived: list[tuple[int, bytes]] = []
        self.answers: list[Any] = []
        self.world.network.attach("wms", lambda: application(self._handle), [("POST", "/releases")])

    def _handle(self, environ: WSGIEnvironment) -> tuple[int, bytes]:
        length = int(environ["CONTENT_LENGTH"])
        body = environ["wsgi.input"].read()
        assert len(body) == length, "the length of a body is always told right"
        self.arrived.append((self.now(), body))
        return 201, ANSWER

    def now(self) -> int:
        return self.world.now_us() - STARTS_AT_US

    def post(self, at_us: int = 0, timeout_us: int = 5 * SECOND) -> None:
        self.world.spawn(f"post {at_us}", self._post, timeout_us, delay_us=at_us)

    def _post(self, timeout_us: int) -> None:
        try:
            answer = self.world.network.send("shop", "POST", "http://wms/releases", HEADERS, BODY, timeout_us)
            self.answers.append((answer.status, answer.headers, answer.body, self.now()))
        except OSError as error:
            self.answers.append((type(error).__name__, self.now()))

    def run(self, for_us: int = 5 * HOUR) -> "Play":
        self.world.run(STARTS_AT_US + for_us)
        return self

    def strikes(self) -> int:
        rows = self.bench.rows(self.world, "SELECT fault FROM faults WHERE event = 'strike'")
        return len(rows)


@pytest.fixture
def play(bench: Bench) -> Callable[..., Play]:
    """One exchange under these faults, played."""

    def make(*faults: Fault) -> Play:
        made = Play(bench, *faults)
        made.post()
        return made.run()

    return make


@pytest.mark.parametrize(
    ("kind", "settings", "status", "problem", "headers"),
    [
        ("error_before", {}, 503, "overloaded", {}),
        ("token_expired", {}, 401, "token-expired", {}),
        ("throttle", {}, 429, "rate-limited", {}),
        ("throttle", {"delay_us": 1_500 * MS}, 429, "rate-limited", {"retry-after": "2"}),
    ],
)
def test_a_refusal_in_place_of_the_work(
    play: Callable[..., Play], kind: str, settings: Any, status: int, problem: str, headers: dict[str, str]
) -> None:
    played = play(edge(kind, **settings))
    ((got, told, body, at_us),) = played.answers
    assert (got, at_us) == (status, 20 * MS)
    assert orjson.loads(body)["type"] == f"urn:peakproof:problem:{problem}"
    assert told == {"content-type": "application/problem+json", "content-length": str(len(body)), **headers}
    assert played.arrived == [], "nothing was done"
    rows = played.bench.rows(played.world, "SELECT status, problem, outcome, fault, handled_at_us FROM exchanges")
    assert rows == [(status, problem, "answered", "it", None)]
    assert played.strikes() == 1


def test_an_error_after_the_work_replaces_its_answer(play: Callable[..., Play]) -> None:
    played = play(edge("error_after"))
    ((status, _, body, _),) = played.answers
    assert (status, orjson.loads(body)["type"]) == (500, "urn:peakproof:problem:internal-error")
    assert played.arrived == [(10 * MS, BODY)]
    assert played.strikes() == 1


@pytest.mark.parametrize(("direction", "done"), [("request", []), ("reply", [(10 * MS, BODY)])])
def test_an_error_under_a_good_status(play: Callable[..., Play], direction: str, done: list[Any]) -> None:
    played = play(edge("error_in_200", direction=direction))
    ((status, _, body, _),) = played.answers
    assert (status, orjson.loads(body)["success"]) == (200, False)
    assert played.arrived == done
    assert played.strikes() == 1


def test_a_garbled_request_cannot_be_read_and_a_garbled_answer_neither(play: Callable[..., Play]) -> None:
    played = play(edge("garbled", direction="request"))
    ((at_us, body),) = played.arrived
    assert at_us == 10 * MS
    assert body != BODY
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)
    assert played.answers[0][2] == ANSWER


def test_a_garbled_answer_tells_its_own_length(play: Callable[..., Play]) -> None:
    played = play(edge("garbled", direction="reply"))
    ((status, headers, body, _),) = played.answers
    assert (status, headers["content-length"]) == (201, str(len(body)))
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)
    assert played.arrived == [(10 * MS, BODY)]
    assert played.strikes() == 1


def test_bodies_are_cut_or_overwritten_by_seed_and_the_same_way_again(bench: Bench) -> None:
    def bodies() -> list[bytes]:
        played = Play(bench, edge("garbled"))
        for number in range(8):
            played.post(number * SECOND)
        return [body for _, body in played.run().arrived]

    first = bodies()
    assert {len(body) for body in first} == {len(BODY), len(BODY) // 2}
    assert bodies() == first


@pytest.mark.parametrize(
    ("drift", "field", "expected"),
    [
        ("added", "", {"status": "received", "quantity": 6, "x_vendor_extension": {"version": 2}}),
        ("missing", "quantity", {"status": "received"}),
        ("retyped", "quantity", {"status": "received", "quantity": "6"}),
        ("retyped", "status", {"status": {"value": "received"}, "quantity": 6}),
        ("missing", "nowhere", {"status": "received", "quantity": 6}),
    ],
)
def test_the_schema_of_an_answer_drifts(
    play: Callable[..., Play], drift: str, field: str, expected: dict[str, object]
) -> None:
    played = play(edge("schema_drift", drift=drift, field=field))
    assert orjson.loads(played.answers[0][2]) == expected
    assert played.strikes() == 1


def test_a_member_to_miss_is_chosen_by_seed(play: Callable[..., Play]) -> None:
    (left,) = orjson.loads(play(edge("schema_drift", drift="missing")).answers[0][2])
    assert left in ("status", "quantity")


def test_a_very_late_copy_comes_hours_later(play: Callable[..., Play]) -> None:
    assert [at_us for at_us, _ in play(edge("late_copy")).arrived] == [10 * MS, 3 * HOUR + 10 * MS]
    assert [at_us for at_us, _ in play(edge("late_copy", delay_us=HOUR)).arrived] == [10 * MS, HOUR + 10 * MS]


def test_what_is_held_comes_in_a_burst_at_the_end(bench: Bench) -> None:
    played = Play(bench, edge("hold", **during(SECOND, 2 * MINUTE)))
    for second in (0, 1, 30, 90, 130):
        played.post(second * SECOND)
    played.run()
    burst = [2 * MINUTE + 10 * MS] * 3
    assert [at_us for at_us, _ in played.arrived] == [10 * MS, *burst, 130 * SECOND + 10 * MS]
    assert [answer[0] for answer in played.answers] == [201, "TimeoutError", "TimeoutError", "TimeoutError", 201]
    assert played.strikes() == 3


def test_a_held_answer_comes_after_its_work(bench: Bench) -> None:
    played = Play(bench, edge("hold", direction="reply", **during(0, MINUTE)))
    played.post(timeout_us=2 * MINUTE)
    assert played.run().answers[0][3] == MINUTE + 10 * MS
    assert played.arrived == [(10 * MS, BODY)]


def test_a_partition_stops_requests_one_way_and_answers_that_way(bench: Bench) -> None:
    """Nothing from wms to shop: what the shop asks is done and not answered, what the wms asks never arrives."""
    cut = Fault(id="it", kind="partition", source="wms", target="shop", **during(0, MINUTE))
    played = Play(bench, cut)
    asked: list[str] = []

    def handle(_environ: WSGIEnvironment) -> tuple[int, bytes]:
        asked.append("shop")
        return 200, b""

    def ask(at_us: int) -> None:
        played.world.sleep(at_us)
        try:
            played.world.network.send("wms", "GET", "http://shop/", {}, b"", SECOND)
        except TimeoutError:
            asked.append("time-out")

    played.world.network.attach("shop", lambda: application(handle))
    played.post()
    played.post(2 * MINUTE)
    played.world.spawn("ask", ask, 1)
    played.world.spawn("ask later", ask, 2 * MINUTE)
    played.run()
    assert [answer[0] for answer in played.answers] == ["TimeoutError", 201]
    assert [at_us for at_us, _ in played.arrived] == [10 * MS, 2 * MINUTE + 10 * MS]
    assert asked == ["time-out", "shop"]
    assert played.strikes() == 2


def test_a_latency_tail_is_heavy_and_bounded(bench: Bench) -> None:
    played = Play(bench, edge("latency_tail", delay_us=SECOND, share=0.5))
    for number in range(400):
        played.post(number * 5 * MINUTE, timeout_us=5 * MINUTE)
    played.run(400 * 5 * MINUTE + HOUR)
    waits = sorted(answer[3] % (5 * MINUTE) - 20 * MS for answer in played.answers)
    slow = [wait for wait in waits if wait > 0]
    assert 150 < len(slow) < 250
    assert slow[0] >= SECOND
    assert slow[-1] <= 100 * SECOND
    assert slow[len(slow) // 2] < 3 * SECOND
    assert slow[-1] > 20 * SECOND, "the tail is what the median does not show"


@pytest.mark.parametrize(
    ("keys", "done"), [(("k1",), 0), (("/releases",), 0), (("POST /releases k1 2",), 1), (("x",), 2)]
)
def test_a_fault_strikes_named_exchanges(bench: Bench, keys: tuple[str, ...], done: int) -> None:
    played = Play(bench, edge("request_lost", keys=keys))
    played.post()
    played.post(MINUTE)
    assert len(played.run().arrived) == done
