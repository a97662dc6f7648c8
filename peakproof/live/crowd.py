"""The crowd's processes: the lead and the workers of this machine; those of other machines join by themselves.

CrowdLost      a worker, or the whole crowd, was gone before its part was done: nothing can be judged
"""

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

import loadtests
from loadtests.plan import (
    BEGIN_FILE,
    DIRECTORY,
    PLAN_FILE,
    SECRET,
    SECRET_AT_LEAST,
    TOKENS,
    Pace,
    Plan,
    Standing,
    leave,
)
from peakproof.live.children import Child, python
from peakproof.live.errors import LiveError, Undecided
from peakproof.live.target import LOOPBACK, free_port
from scenarios.runner import RunError

LOCUSTFILE = Path(loadtests.__file__).parent / "locustfile.py"
READY_WITHIN_S = 60.0
LOOK_EVERY_S = 0.2
MASTER_PORT, WEB_PORT = 5557, 8089
ANY = "0.0.0.0"
"""All addresses of this machine."""


class CrowdLost(Undecided):
    """Who was lost."""


@dataclass(frozen=True)
class Muster:
    """Which workers a crowd has, and where they meet.

    `workers` are processes here, `expect_workers` those that join from other machines within `max_wait_s`, at
    `bind_host` and `bind_port` (0: any that is free). `web_port` shows Locust's page, 0 none. `secret` lets workers in.
    """

    workers: int = 1
    expect_workers: int = 0
    max_wait_s: float = 60.0
    bind_host: str = LOOPBACK
    bind_port: int = 0
    web_port: int = 0
    secret: str = ""

    @property
    def size(self) -> int:
        """How many workers there are in all."""
        return self.workers + self.expect_workers

    def check(self) -> None:
        """LiveError when they could not meet."""
        if self.size == 0:
            raise LiveError("--workers 0 leaves nobody to send orders: expect some with --expect-workers")
        if self.expect_workers and len(self.secret) < SECRET_AT_LEAST:
            raise LiveError(
                f"--expect-workers needs a secret of {SECRET_AT_LEAST} characters or more in {SECRET}, the same here"
                " and at each worker: `openssl rand -hex 16` draws one"
            )
        if self.size > 1 or self.expect_workers:
            _check_free(self.bind_host, self.bind_port, "the workers", "--master-bind-port")
        if self.web_port:
            _check_free(LOOPBACK, self.web_port, "Locust's page", "--web-port")


class Crowds:
    """The crowd of a run. `directory` is where the lead finds its plan and leaves evidence."""

    def __init__(self, muster: Muster, directory: Path, children: list[Child]) -> None:
        self._muster = muster
        self._directory = directory
        self._children = children

    @property
    def standing(self) -> Standing:
        """What the lead last told."""
        return Standing.read(self._directory)

    def wait_until_ready(self, still: Callable[[], None]) -> None:
        """Until every worker has its plan. LiveError when one does not come in time, or can't do its part."""
        muster = self._muster
        ends_at = time.monotonic() + (max(READY_WITHIN_S, muster.max_wait_s) if muster.workers else muster.max_wait_s)
        while (standing := self.standing).ready < muster.size:
            if standing.trouble:
                raise LiveError(standing.trouble)
            for child in self._children:
                if child.code is not None:
                    raise LiveError(f"the crowd ended before it began: {child.said()}")
            if time.monotonic() > ends_at:
                raise LiveError(_too_few(standing, muster, self._directory))
            still()
            time.sleep(LOOK_EVERY_S)

    def begin(self, pace: Pace) -> None:
        """Let business time begin for all of them."""
        leave(self._directory / BEGIN_FILE, orjson.dumps(asdict(pace)))

    def is_over(self) -> bool:
        """Whether every client has its answer. CrowdLost or RunError when that can't come any more."""
        code, standing = self._children[0].code, self.standing
        if standing.trouble:
            raise CrowdLost(standing.trouble) if standing.lost else RunError(standing.trouble)
        if standing.ready < self._muster.size:
            raise CrowdLost(f"{self._muster.size - standing.ready} of {self._muster.size} workers went before the load")
        if code is None:
            return False
        if code or standing.ended < self._muster.size:
            raise RunError(f"the crowd ended with code {code}: {self._children[0].said()}")
        return True


@contextmanager
def crowd(muster: Muster, plan: Plan, tokens: Mapping[str, Any], url: str, directory: Path) -> Iterator[Crowds]:
    """Start it; whatever of it runs here at the end of the block is ended."""
    (directory / PLAN_FILE).write_bytes(plan.to_json())
    told = {**os.environ, "PYTHONPATH": import_path(), SECRET: muster.secret or secrets.token_hex(16)}
    port = muster.bind_port or free_port(muster.bind_host)
    leads = {DIRECTORY: str(directory), TOKENS: json.dumps(tokens)}
    children: list[Child] = []
    try:
        command = _leading(muster, url, directory, port)
        children.append(Child("the crowd", command, told | leads, directory / "crowd-process-0.log"))
        for number in range(1, muster.workers + 1) if _is_led(muster) else ():
            host = LOOPBACK if muster.bind_host == ANY else muster.bind_host
            log = directory / f"crowd-process-{number}.log"
            children.append(Child("a worker", python("locust", *worker_options(host, port)), told, log))
        yield Crowds(muster, directory, children)
    finally:
        for child in children:
            child.end(3.0)


def import_path() -> str:
    """PYTHONPATH for a process of the crowd, which Locust has look for modules beside its locustfile first."""
    return os.pathsep.join(filter(None, (str(LOCUSTFILE.parents[1]), os.environ.get("PYTHONPATH", ""))))


def worker_options(host: str, port: int) -> list[str]:
    """Locust's options for a worker of the master at an address."""
    return [*_COMMON, "--worker", "--master-host", host, "--master-port", str(port)]


_COMMON = ("-f", str(LOCUSTFILE), "--exit-code-on-error", "0", "--loglevel", "WARNING")


def _is_led(muster: Muster) -> bool:
    """Whether lead and workers are processes of their own."""
    return muster.workers != 1 or muster.expect_workers > 0


def _leading(muster: Muster, url: str, directory: Path, port: int) -> list[str]:
    """The command of the lead, whose end is that of the crowd."""
    web = ("--autostart", "--autoquit", "1", "--web-host", LOOPBACK, "--web-port", str(muster.web_port))
    shown = web if muster.web_port else ("--headless",)
    options = [*_COMMON, *shown, "--host", url, "--stop-timeout", "3", "--only-summary"]
    options += ["--csv", str(directory / "locust")]
    if _is_led(muster):
        options += ["--master", "--master-bind-host", muster.bind_host, "--master-bind-port", str(port)]
        options += ["--expect-workers", str(muster.size)]
    return python("locust", *options)


def _too_few(standing: Standing, muster: Muster, directory: Path) -> str:
    """Who did not come."""
    told = f"{standing.ready} of {muster.size} workers were ready in time"
    if standing.refused:
        return f"{told}; refused: {'; '.join(standing.refused)}"
    if muster.expect_workers:
        return (
            f"{told}: start the others with `peakproof load-worker`, with the secret that {SECRET} is here, or wait"
            " longer with --expect-workers-max-wait"
        )
    return f"{told}; what they said is in {directory}"


def _check_free(host: str, port: int, what: str, option: str) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        # socket.create_server adds the address to what the system says
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise LiveError(
            f"port {port} on {host}, for {what}, can't be had ({reason}): end what listens there, or choose"
            f" another with {option}"
        ) from error
