"""Bad days of a live installation: each is told clearly, recovers by itself, and loses and doubles nothing."""

import mmap
import os
import resource
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from contracts.wire import parse_iso
from peakproof.live.postgres import Postgres
from tests.integration.live.house import Crowd, House, an_order, environment, free_port, house, wait_until
from tests.integration.live.partners import Partners, serving

pytestmark = pytest.mark.long

NAMES = ("api", "dispatch 1")
OVERLOADED = "urn:peakproof:problem:overloaded"
ONCE = ("booking", "release", "shipment", "label", "confirmation", "invoice")
OPERATIONS = "operations-token"


@dataclass
class Town:
    """The integration and its partners, who can be shut and opened again."""

    made: House
    partners: Partners
    port: int
    _stack: ExitStack

    def open_partners(self) -> None:
        self._stack.enter_context(serving(self.partners, self.port))

    def shut_partners(self) -> None:
        self._stack.close()

    def order(self, number: int) -> tuple[int, Any, Mapping[str, str]]:
        order = an_order(f"PO-{number}", Random(number))
        status, body, headers = self.made.call("POST", "/orders", order, idempotency_key=f"k{number}")
        return status, body, dict(headers.items())

    def open_for_business(self) -> None:
        wait_until(self.made.answers, 40, "the API answers")
        wait_until(lambda: self.order(0)[0] == 201, 40, "an order is taken")

    def all_is_done_once(self, orders: int, seconds: float = 60.0) -> None:
        wait_until(lambda: len(self.partners.count("invoice")) == orders, seconds, f"{orders} orders are invoiced")
        for kind in ONCE:
            counts = self.partners.count(kind)
            assert (kind, set(counts.values()), len(counts)) == (kind, {1}, orders)
        assert self.partners.undelivered == []
        assert [process.poll() for process in self.made.running.values()] == [None] * len(self.made.running)


@contextmanager
def town(url: str, log: Path, *names: str, **further: str) -> Iterator[Town]:
    port, partners_port = free_port(), free_port()
    partners = Partners(integration=f"http://127.0.0.1:{port}")
    told = environment(url, f"http://127.0.0.1:{partners_port}", partners.integration, database_connections=4) | further
    with ExitStack() as stack, house(told, port, log, *(names or NAMES)) as made:
        found = Town(made, partners, partners_port, stack)
        found.open_partners()
        yield found


def test_a_database_that_is_down_at_the_start_is_waited_for(own_server: Postgres, tmp_path: Path) -> None:
    url, log = own_server.create("late"), tmp_path / "log"
    own_server.stop()
    with town(url, log) as found:
        wait_until(lambda: log.exists() and log.read_text().count("waiting for the database") > 2, 20, "it is told")
        assert not found.made.answers()
        own_server.start()
        found.open_for_business()
        found.all_is_done_once(1)


def test_partners_that_cannot_be_reached_are_waited_for_and_orders_are_taken_all_the_same(tmp_path: Path) -> None:
    with town(f"sqlite:///{tmp_path}/shop.db", tmp_path / "log") as found:
        found.open_for_business()
        found.all_is_done_once(1)
        found.shut_partners()
        assert [found.order(number)[0] for number in range(1, 16)] == [201] * 15

        def health() -> dict[str, str]:
            _, body, _ = found.made.call("GET", "/operations/health", token=OPERATIONS)
            return {check["name"]: check["detail"] for check in body["checks"] if check["status"] == "degraded"}

        wait_until(lambda: "breaker" in health().get("lane erp", ""), 30, "health says which partner is away")
        assert " ready, 0 dead" in health()["lane erp"]
        found.open_partners()
        found.all_is_done_once(16)
        wait_until(lambda: not health(), 30, "all is well again")


def processes_of(made: House) -> list[int]:
    """Every process of the house, workers too."""
    leaders = {process.pid for process in made.running.values()}
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in found if _group_of(pid) in leaders]


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1


def allow_files_of(made: House, size: int) -> None:
    """How large a file may grow; beyond it every write fails, as on a disk that is full."""
    for pid in processes_of(made):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def test_a_full_disk_puts_calls_off_and_nothing_is_lost_when_there_is_room_again(tmp_path: Path) -> None:
    with town(f"sqlite:///{tmp_path}/shop.db", Path("/dev/null")) as found:
        found.open_for_business()
        allow_files_of(found.made, 4_096)
        for number in (1, 2, 3):
            status, body, headers = found.order(number)
            assert (status, body["type"], headers["retry-after"]) == (503, OVERLOADED, "1")
            assert "disk" not in body["detail"], "channels are told nothing of our machines"
        assert found.made.call("GET", "/availability")[0] == 200, "what needs no room goes on"
        allow_files_of(found.made, resource.RLIM_INFINITY)
        wait_until(lambda: all(found.order(number)[0] == 201 for number in (1, 2, 3)), 20, "there is room again")
        found.all_is_done_once(4)


CLOCK_THAT_JUMPS = """
import mmap, os, struct, time

_shown = mmap.mmap(os.open(os.environ["TEST_CLOCK"], os.O_RDONLY), 8, prot=mmap.PROT_READ)
_true = time.time_ns
time.time_ns = lambda: _true() + struct.unpack("q", _shown)[0]
time.time = lambda: time.time_ns() / 1e9
"""


def test_a_clock_that_jumps_ahead_and_back_by_several_leases_loses_and_doubles_nothing(
    postgres_url: str, tmp_path: Path
) -> None:
    """Ahead, every lease in work seems to be over; back, what was put off waits longer, by the jump at most."""
    (tmp_path / "sitecustomize.py").write_text(CLOCK_THAT_JUMPS)
    (tmp_path / "clock").write_bytes(bytes(8))
    told = {"PYTHONPATH": str(tmp_path), "TEST_CLOCK": str(tmp_path / "clock")}
    with (
        town(postgres_url, tmp_path / "log", "api", "dispatch 1", "dispatch 2", **told) as found,
        (tmp_path / "clock").open("r+b") as file,
        mmap.mmap(file.fileno(), 8) as clock,
    ):
        found.open_for_business()
        crowd = Crowd(found.made, [an_order(f"PO-{n}", Random(n)) for n in range(1, 61)], threads=3, pause_s=0.3)
        crowd.begin()
        clock[:8] = struct.pack("q", -5_000_000_000)
        shown = parse_iso(found.made.call("GET", "/availability")[1]["as_of"])
        assert 4 < time.time() - shown / 1_000_000 < 10, "the processes go by the clock that jumps"
        for seconds in (20, -10, 25, -15, 0):
            time.sleep(1.0)  # orders are under way at each jump
            clock[:8] = struct.pack("q", seconds * 1_000_000_000)
        crowd.join(60)
        assert {status for status, _ in crowd.answered.values()} == {201}
        found.all_is_done_once(61, 90)


def test_a_port_that_is_taken_disturbs_nobody_who_serves_there(tmp_path: Path) -> None:
    with town(f"sqlite:///{tmp_path}/shop.db", tmp_path / "log") as found:
        found.open_for_business()
        first = found.made.running.pop("api")
        found.made.start("api")
        assert found.made.running.pop("api").wait(30) == 2
        found.made.running["api"] = first
        assert f"port {found.made.port} of 127.0.0.1 is taken" in (tmp_path / "log").read_text()
        assert found.order(1)[0] == 201
        with socket.create_connection(("127.0.0.1", found.made.port), timeout=5):
            found.all_is_done_once(2)
