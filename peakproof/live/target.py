"""The reference integration as processes of its own: API and dispatchers, over a database that they share."""

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import urllib3

from loadtests.plan import Pace
from peakproof.live.children import Child, python
from peakproof.live.errors import LiveError
from peakproof.live.postgres import CARELESS, running
from peakproof.live.reference import access_of

READY_WITHIN_S = 90.0
LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Size:
    """How many processes there are, and threads in each of the API's."""

    api_processes: int = 1
    api_threads: int = 8
    dispatchers: int = 1


class Integration:
    """The reference integration under `url`; its processes can be killed and begun again."""

    def __init__(self, url: str, children: list[Child]) -> None:
        self.url = url
        self.children = children

    def wait_until_ready(self, token: str, still: Callable[[], None]) -> None:
        """Wait until it has read what it needs of every partner. `still` is called at each look. LiveError if not."""
        http = urllib3.PoolManager(retries=False)
        ends_at = time.monotonic() + READY_WITHIN_S
        said = "it did not answer"
        while time.monotonic() < ends_at:
            still()
            with contextlib.suppress(urllib3.exceptions.HTTPError, OSError, ValueError):
                answer = http.request(
                    "GET", f"{self.url}/operations/health", headers={"Authorization": f"Bearer {token}"}, timeout=5.0
                )
                said = answer.data.decode(errors="replace")[:300]
                if answer.status == 200 and orjson.loads(answer.data)["status"] == "ok":
                    http.clear()
                    return
            for child in self.children:
                if child.code is not None:
                    raise LiveError(f"{child.name} of the integration ended: {child.said()}")
            time.sleep(LOOK_EVERY_S)
        raise LiveError(f"the integration was not ready within {READY_WITHIN_S:g} s: {said}")

    def end(self) -> None:
        """End all its processes; dispatchers first, which finish what they are at."""
        for child in reversed(self.children):
            child.signal(signal.SIGCONT)
            child.end()


def environment_of(
    ready: Mapping[str, Any], database_url: str, url: str, pace: Pace, settings: Mapping[str, Any], size: Size
) -> dict[str, str]:
    """What processes of the integration are told; secrets stand here alone."""
    told = {
        **os.environ,
        "PEAKPROOF_DATABASE_URL": database_url,
        "PEAKPROOF_PUBLIC_URL": url,
        "PEAKPROOF_SPEED": f"{pace.speed:g}",
        "PEAKPROOF_BUSINESS_US": str(pace.business_us),
        "PEAKPROOF_BUSINESS_AT_US": str(pace.wall_us),
        "PEAKPROOF_INTEGRATION": orjson.dumps({"api_processes": size.api_processes, **settings}).decode(),
    }
    return told | access_of(ready)


@contextmanager
def integration(told: Mapping[str, str], url: str, size: Size, logs: Path) -> Iterator[Integration]:
    """Start it; whatever of it runs at the end of the block is ended."""
    port = url.rpartition(":")[2]
    options = ("--port", port, "--workers", str(size.api_processes), "--threads", str(size.api_threads))
    children = [Child("the API", python("integration.live.api", *options), told, logs / "integration-api.log")]
    made = Integration(url, children)
    try:
        for number in range(1, size.dispatchers + 1):
            log = logs / f"integration-dispatcher-{number}.log"
            children.append(Child(f"dispatcher {number}", python("integration.live.dispatch"), told, log))
        yield made
    finally:
        made.end()


@contextmanager
def database(wanted: str, scratch: Path) -> Iterator[str]:
    """The URL of a database: that given, or a fresh one of `postgres` or `sqlite`, gone at the end of the block."""
    if wanted == "sqlite":
        yield f"sqlite:///{scratch / 'integration.db'}"
    elif wanted == "postgres":
        directory = Path(tempfile.mkdtemp(prefix="peakproof-postgres-"))
        try:
            with running(directory / "data", CARELESS) as server:
                yield server.create("integration")
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    else:
        yield wanted


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
