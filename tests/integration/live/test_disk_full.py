"""PostgreSQL's disk is really full: calls are put off, nothing that was acknowledged is lost, and all goes on.

A disk of a few megabytes is mounted, which takes the right to do so: without it these tests skip. On SQLite the same
day is in test_bad_days.py.
"""

import errno
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from peakproof.live.postgres import CARELESS, Postgres, running
from tests.integration.live.house import wait_until
from tests.integration.live.test_bad_days import OVERLOADED, Town, town

pytestmark = pytest.mark.long

BLOCK = b"\0" * 65_536
MOST_ORDERS = 60


@contextmanager
def small_disk(at: Path, megabytes: int) -> Iterator[None]:
    """A disk of that size at this directory; the test skips where none may be mounted."""
    if sys.platform != "linux":
        pytest.skip("a small disk is mounted on Linux alone")
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(at)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    if ran.returncode:
        pytest.skip(f"no disk may be mounted here: {ran.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on it; the file that took the room."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (len(BLOCK), 4_096, 1):
            try:
                while file.write(BLOCK[:size]):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return ballast


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that the server's own user can get at."""
    made = Path(tempfile.mkdtemp(prefix="peakproof-postgres-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def order_until_put_off(found: Town, first: int) -> tuple[list[int], list[int]]:
    """Order until three calls were put off: numbers of those that were taken, and of those that were not."""
    taken: list[int] = []
    put_off: list[int] = []
    for number in range(first, first + MOST_ORDERS):
        status, body, headers = found.order(number)
        if status == 201:
            taken.append(number)
            continue
        told = status, body["type"], headers.get("Retry-After", headers.get("retry-after"))
        assert told == (503, OVERLOADED, "1")
        assert "database can't be used now" in body["detail"], "channels are told nothing of our machines"
        put_off.append(number)
        if len(put_off) == 3:
            return taken, put_off
    raise AssertionError(f"{MOST_ORDERS} orders were taken on a disk without room")


def all_are_taken(found: Town, numbers: list[int]) -> bool:
    return all(found.order(number)[0] == 201 for number in numbers)


def test_no_room_for_tables_puts_calls_off_until_there_is_room_again(directory: Path, tmp_path: Path) -> None:
    """The server goes on without it, and so do we without anybody's help."""
    disk, log = directory / "disk", tmp_path / "log"
    disk.mkdir()
    with small_disk(disk, 32), running(directory / "data", CARELESS) as server:
        space = disk / "space"
        space.mkdir()
        shutil.chown(space, (directory / "data").owner())
        server.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        with town(server.create("shop", tablespace="small"), log) as found:
            found.open_for_business()
            ballast = fill(disk)
            taken, put_off = order_until_put_off(found, 1)
            assert "No space left on device" in log.read_text(), "who runs it is told why"
            assert found.made.call("GET", "/availability")[0] == 200, "what needs no room goes on"
            ballast.unlink()
            wait_until(lambda: all_are_taken(found, put_off), 20, "there is room again")
            found.all_is_done_once(1 + len(taken) + len(put_off))


def test_no_room_for_the_log_takes_the_server_down_and_nothing_that_was_acknowledged_with_it(
    directory: Path, tmp_path: Path
) -> None:
    """It panics, and needs room before it can be started again; we need nothing but the server."""
    disk = directory / "data"
    disk.mkdir()
    careful = {"restart_after_crash": "off", "min_wal_size": "32MB"}
    with (
        small_disk(disk, 256),
        running(disk, careful) as server,
        town(server.create("shop"), tmp_path / "log") as found,
    ):
        found.open_for_business()
        ballast = fill(disk)
        spend_the_log(server)
        taken, put_off = order_until_put_off(found, 1)
        assert found.made.call("GET", "/availability")[0] == 503
        ballast.unlink()
        server.start()
        wait_until(lambda: all_are_taken(found, put_off), 30, "the server is back")
        found.all_is_done_once(1 + len(taken) + len(put_off))


def spend_the_log(server: Postgres) -> None:
    """Leave no room in the segments of the log that are there already."""
    import psycopg  # noqa: PLC0415

    with pytest.raises(psycopg.OperationalError):
        for _ in range(40):
            server.execute("SELECT pg_switch_wal()")
            server.execute("CHECKPOINT")
