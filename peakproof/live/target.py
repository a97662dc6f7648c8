"""The reference integration as processes of its own: API and dispatchers, over a database that they share."""

import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import urllib3

from loadtests.plan import Pace
from peakproof.live.children import Child, python
from peakproof.live.errors import LiveError, PortTaken
from peakproof.live.order import RECORD
from peakproof.live.postgres import CARELESS, running

READY_WITHIN_S = 90.0
END_WITHIN_S = 30.0
"""Longer than a dispatcher takes to finish what it is at."""
LOOK_EVERY_S = 0.1
LOOPBACK = "127.0.0.1"
DATABASE = "PEAKPROOF_DATABASE_URL"
PARTS = "PEAKPROOF_PARTS"
# A house on one machine has its subscribers there, too.
AT_HOME = {"subscriber_networks": ["127.0.0.0/8", "::1/128"]}


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

    def wait_until_ready(self, token: str, still: Callable[[], None], degraded: bool = False) -> None:
        """Wait until it has read what it needs of every partner, or just answers where it may be `degraded`.

        `still` is called at each look. LiveError when it is not ready in time.
        """
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
                if answer.status == 200 and (degraded or orjson.loads(answer.data)["status"] == "ok"):
                    http.clear()
                    return
            ended = self.ended()
            if ended is not None:
                raise LiveError(f"{ended.name} of the integration ended: {ended.said()}")
            time.sleep(LOOK_EVERY_S)
        raise LiveError(f"the integration was not ready within {READY_WITHIN_S:g} s: {said}")

    def ended(self) -> Child | None:
        """The first of its processes that has ended by itself."""
        return next((child for child in self.children if child.code is not None), None)

    def end(self) -> None:
        """End all its processes; each finishes what it is at."""
        for child in reversed(self.children):
            child.ask_to_end()
        for child in reversed(self.children):
            child.end(END_WITHIN_S)


def environment_of(
    ready: Mapping[str, Any],
    database_url: str,
    url: str,
    clock: Mapping[str, str],
    settings: Mapping[str, Any],
    size: Size = Size(),
    parts: str = "",
) -> dict[str, str]:
    """What processes of the integration are told beside simulators that told `ready` of themselves; secrets stand here
    alone. `clock` is how business time goes, by `clock_of_pace` or `clock_of_record`; `parts` puts a mutant in."""
    told = {
        **os.environ,
        DATABASE: database_url,
        "PEAKPROOF_PUBLIC_URL": url,
        "PEAKPROOF_INTEGRATION": orjson.dumps({"api_processes": size.api_processes, **AT_HOME, **settings}).decode(),
        PARTS: parts,  # never one that happens to stand in our own environment
    }
    return told | dict(clock) | access_of(ready)


def clock_of_pace(pace: Pace) -> dict[str, str]:
    """Business time that begins at a moment that is known."""
    return {
        "PEAKPROOF_SPEED": f"{pace.speed:g}",
        "PEAKPROOF_BUSINESS_US": str(pace.business_us),
        "PEAKPROOF_BUSINESS_AT_US": str(pace.wall_us),
    }


def clock_of_record(ready: Mapping[str, Any]) -> dict[str, str]:
    """Business time as the simulators tell each change of it."""
    return {
        "PEAKPROOF_SPEED": str(ready["clock"]["speed"]),
        "PEAKPROOF_BUSINESS_FILE": str((Path(ready["evidence"]) / RECORD).resolve()),
    }


def access_of(ready: Mapping[str, Any]) -> dict[str, str]:
    """Where partners are, and every secret between them, the integration and its channels."""
    told: dict[str, str] = {}
    for host, partner in ready["hosts"].items():
        prefix = f"PEAKPROOF_{host.upper().replace('-', '_')}"
        told[f"{prefix}_URL"] = partner["url"]
        told[f"{prefix}_CREDENTIAL"] = partner["token"]
        if partner["webhook_secret"]:
            told[f"{prefix}_WEBHOOK_SECRET"] = partner["webhook_secret"]
    for channel, token in ready["channels"].items():
        name = "OPERATIONS" if channel == "monitor" else channel.upper()
        told[f"PEAKPROOF_CHANNEL_{name}_TOKEN"] = token
    told["PEAKPROOF_EVENT_KEY"] = ready["event_key"]
    return told


@contextmanager
def integration(told: Mapping[str, str], url: str, size: Size, logs: Path) -> Iterator[Integration]:
    """Start it; whatever of it runs at the end of the block is ended."""
    place = urlsplit(url)
    api = ["--host", str(place.hostname), "--port", str(place.port)]
    api += ["--workers", str(size.api_processes), "--threads", str(size.api_threads)]
    made = Integration(url, [])

    def begin(name: str, log: str, module: str, *options: str) -> None:
        command = python(f"integration.live.{module}", "--end-with-stdin", *options)
        made.children.append(Child(name, command, told, logs / log, watches_stdin=True))

    try:
        begin("the API", "integration-api.log", "api", *api)
        for number in range(1, size.dispatchers + 1):
            begin(f"dispatcher {number}", f"integration-dispatcher-{number}.log", "dispatch")
        yield made
    finally:
        made.end()


@contextmanager
def database(wanted: str, scratch: Path) -> Iterator[str]:
    """The URL of a database: that given, or a fresh one of `postgres` or `sqlite`, gone at the end of the block."""
    if wanted == "sqlite":
        yield f"sqlite:///{(scratch / 'integration.db').resolve()}"
    elif wanted == "postgres":
        directory = Path(tempfile.mkdtemp(prefix="peakproof-postgres-"))
        try:
            with running(directory / "data", CARELESS) as server:
                yield server.create("integration")
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    else:
        yield wanted


def free_port(address: str = LOOPBACK) -> int:
    """A port that nobody listens on now."""
    with socket.create_server((address, 0)) as found:
        port: int = found.getsockname()[1]
        return port


def check_port(address: str, port: int) -> None:
    """PortTaken when somebody listens there."""
    try:
        socket.create_server((address, port)).close()
    except OSError as error:
        raise PortTaken(address, port, "integration", error.strerror or str(error)) from error
