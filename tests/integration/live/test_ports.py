"""The ports of a live process: identifiers, clocks, signals, and what each failure of a socket is taken for."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import parse_headers
from pathlib import Path

import pytest

from integration.live.http import PooledHttp
from integration.live.ports import (
    BusinessClock,
    OneWriter,
    OpenGate,
    RandomIds,
    ThreadSignal,
    ThreadTasks,
    ToldClock,
    WallClock,
    business_clock,
    gate_for,
)
from integration.runtime import Clock
from integration.settings import SettingsError

SECOND_US = 1_000_000
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Seen: Yes\r\n\r\n{}"


class Peer:
    """Listens on a port and answers one connection after the other with `script(connection)`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/x"
        self.script: Callable[[socket.socket], object] = lambda connection: connection.sendall(WHOLE)
        self.connections = 0
        self.requests = 0
        self.ended = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while stream.readline():
                stream.read(int(parse_headers(stream).get("content-length", "0")))
                self.requests += 1
                if self.script(connection) is not None:
                    return

    def close(self) -> None:
        self.ended.set()
        self._listener.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def ask(url: str, timeout_us: int = SECOND_US) -> tuple[int, bytes, str]:
    answer = PooledHttp().send("POST", url, {"content-type": "application/json"}, b"{}", timeout_us)
    return answer.status, answer.body, answer.headers.get("x-seen", "")


def test_connections_are_kept_and_header_names_are_lower_case(peer: Peer) -> None:
    http = PooledHttp()
    for _ in range(3):
        answer = http.send("GET", peer.url, {}, b"", SECOND_US)
        assert (answer.status, answer.body, answer.headers["x-seen"]) == (200, b"{}", "Yes")
    assert (peer.connections, peer.requests) == (1, 3)


def test_nobody_listening_and_no_such_host_are_certainly_not_received() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/x", "http:///x"):
        with pytest.raises(ConnectionRefusedError):
            ask(url)


def test_no_answer_in_time_is_uncertain_however_it_drips_in(peer: Peer) -> None:
    peer.script = lambda connection: peer.ended.wait(5)
    with pytest.raises(TimeoutError):
        ask(peer.url, 200_000)

    def drip(connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not peer.ended.wait(0.05):
            connection.sendall(b"x")
        return True

    peer.script = drip
    with pytest.raises(TimeoutError, match="not complete in time"):
        ask(peer.url, 300_000)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", b"nonsense\r\n\r\n"])
def test_a_connection_that_breaks_is_uncertain(peer: Peer, said: bytes) -> None:
    def say(connection: socket.socket) -> bool:
        connection.sendall(said)
        return True

    peer.script = say
    with pytest.raises(ConnectionError) as broken:
        ask(peer.url)
    assert not isinstance(broken.value, ConnectionRefusedError)
    assert peer.requests == 1, "nothing is repeated here"


def test_a_redirect_is_an_answer_like_any_other(peer: Peer) -> None:
    peer.script = lambda connection: connection.sendall(
        b"HTTP/1.1 307 Elsewhere\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"
    )
    assert ask(peer.url)[0] == 307
    assert peer.requests == 1


def test_identifiers_differ_sort_by_time_and_never_end_in_a_dash_and_digits() -> None:
    ids = RandomIds()
    made = [ids.new("ord") for _ in range(1_000)]
    assert len(set(made)) == 1_000
    assert [name[:16] for name in made] == sorted(name[:16] for name in made)
    assert all(re.fullmatch(r"ord-[0-9a-f]{32}x", name) for name in made)
    assert len(ids.new("change")) == 40
    with pytest.raises(AssertionError, match="longer than 40"):
        ids.new("something")


def test_a_business_clock_runs_at_its_speed_from_where_it_was_set() -> None:
    wall_us = WallClock().now_us()
    clock = BusinessClock(60.0, shown_us=1_000_000_000, wall_us=wall_us - 2 * SECOND_US)
    assert 1_000_000_000 + 120 * SECOND_US <= clock.now_us() < 1_000_000_000 + 720 * SECOND_US
    assert isinstance(business_clock(1.0, None, None), WallClock)
    fast = business_clock(60.0, None, None)
    assert abs(fast.now_us() - WallClock().now_us()) < 600 * SECOND_US


def test_a_steady_clock_goes_on_as_before_when_somebody_sets_the_wall_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall_us = WallClock().now_us()
    pace(tmp_path / "live.json", (0, wall_us, 60.0))
    clocks: list[Clock] = [
        WallClock(),
        BusinessClock(60.0, shown_us=0, wall_us=wall_us),
        ToldClock(tmp_path / "live.json"),
    ]
    before = [(clock.now_us(), clock.steady_us()) for clock in clocks]
    true_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true_ns() - 3_600 * 1_000 * SECOND_US)
    for clock, (now_us, steady_us) in zip(clocks, before, strict=True):
        assert clock.now_us() < now_us - 2_000 * SECOND_US
        assert 0 <= clock.steady_us() - steady_us < 600 * SECOND_US


def pace(file: Path, *stretches: tuple[int, int, float]) -> None:
    """Tell how business time goes: what it showed, when by the wall clock, and its speed since."""
    told = [{"business_us": shown, "wall_us": at, "speed": speed} for shown, at, speed in stretches]
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps({"clock": told}))
    unfinished.replace(file)


def test_a_told_clock_follows_the_latest_stretch_and_keeps_it_when_the_file_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "live.json"
    now_us = WallClock().now_us()
    pace(file, (5 * SECOND_US, now_us, 0))
    clock = ToldClock(file)
    assert clock.now_us() == 5 * SECOND_US
    pace(file, (5 * SECOND_US, now_us, 0), (7_200 * SECOND_US, now_us, 0))
    assert clock.now_us() == 7_200 * SECOND_US
    file.unlink()
    assert clock.now_us() == 7_200 * SECOND_US
    pace(file, (0, now_us - 2 * SECOND_US, 60.0))
    assert 120 * SECOND_US <= clock.now_us() < 720 * SECOND_US


def test_who_sleeps_by_a_told_clock_that_stands_still_wakes_when_it_is_set_forward(tmp_path: Path) -> None:
    file, now_us = tmp_path / "live.json", WallClock().now_us()
    pace(file, (0, now_us, 0))
    clock, slept = ToldClock(file), threading.Event()

    def sleep() -> None:
        clock.sleep(3_600 * SECOND_US)
        slept.set()

    threading.Thread(target=sleep, daemon=True).start()
    assert not slept.wait(0.05)
    pace(file, (3_600 * SECOND_US, now_us, 0))
    assert slept.wait(10)


@pytest.mark.parametrize("text", ["", "{}", '{"clock": []}', '{"clock": [{"speed": 1}]}', "[]"])
def test_a_file_that_tells_no_clock_is_told_in_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "live.json").write_text(text)
    with pytest.raises(SettingsError, match=r"live\.json does not tell how business time goes"):
        ToldClock(tmp_path / "live.json")
    with pytest.raises(SettingsError, match="none does not tell"):
        ToldClock(tmp_path / "none")


def test_a_signal_wakes_one_wait_and_a_task_that_fails_is_begun_again() -> None:
    signal = ThreadSignal()
    assert not signal.wait(1_000)
    signal.set()
    assert (signal.wait(1_000), signal.wait(1_000)) == (True, False)
    runs: list[int] = []
    done = threading.Event()

    def once_wrong() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("the first time")
        done.set()

    ThreadTasks().spawn("once wrong", once_wrong)
    assert done.wait(10)
    assert len(runs) == 2


def test_sqlite_is_written_by_one_thread_at_a_time_and_postgresql_by_many() -> None:
    assert isinstance(gate_for("sqlite:////tmp/a.db"), OneWriter)
    assert type(gate_for("postgresql://localhost/a")) is OpenGate
    gate = OneWriter()
    gate.begin(True)
    gate.begin(False)

    def write() -> None:
        gate.begin(True)
        gate.end()

    second = threading.Thread(target=write, daemon=True)
    second.start()
    second.join(0.05)
    assert second.is_alive(), "a second writer waits"
    gate.end()
    second.join(5)
    assert not second.is_alive()
