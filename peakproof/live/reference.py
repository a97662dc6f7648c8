"""The reference integration beside simulators: an API process and a dispatcher, on a database of their own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import urllib3

from peakproof.live.errors import LiveError, PortTaken
from peakproof.live.order import RECORD

HEALTHY_WITHIN_S = 60.0
END_WITHIN_S = 30.0
_DATABASE = "PEAKPROOF_DATABASE_URL"
_LOOK_EVERY_S = 0.1


def environment_of(
    ready: Mapping[str, Any], url: str, database_url: str, settings: Mapping[str, object]
) -> dict[str, str]:
    """What the integration is told by its environment (integration/live/environment.py), beside simulators that told
    `ready` of themselves. `settings` are those of a scenario."""
    told = {
        _DATABASE: database_url,
        "PEAKPROOF_PUBLIC_URL": url,
        "PEAKPROOF_SPEED": str(ready["clock"]["speed"]),
        "PEAKPROOF_BUSINESS_FILE": str((Path(ready["evidence"]) / RECORD).resolve()),
        "PEAKPROOF_INTEGRATION": json.dumps(dict(settings)),
    }
    return told | access_of(ready)


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
    return told


def free_port(address: str) -> int:
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


class Integration:
    """The processes of one integration. Use as a context manager; made once it is healthy, else LiveError."""

    def __init__(
        self, ready: Mapping[str, Any], address: str, port: int, directory: Path, settings: Mapping[str, object]
    ) -> None:
        self.url = f"http://{address}:{port}"
        database_url = os.environ.get(_DATABASE) or f"sqlite:///{(directory / 'integration.db').resolve()}"
        told = environment_of(ready, self.url, database_url, settings)
        self.log = directory / "integration.log"
        self._environment = {**os.environ, **told}
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            self._start("integration.live.api", "--host", address, "--port", str(port))
            self._start("integration.live.dispatch")
            self._wait_until_healthy(ready["channels"]["monitor"])
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """RuntimeError when one of its processes has ended by itself."""
        ended = [process for process in self._processes if process.poll() is not None]
        if ended:
            raise RuntimeError(f"a process of the integration ended with {ended[0].returncode}; see {self.log}")

    def close(self) -> None:
        """Have the dispatcher and then the API finish what is at hand, and wait for them."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdin is not None
            process.stdin.close()

    def _start(self, module: str, *arguments: str) -> None:
        with self.log.open("ab") as log:
            command: Sequence[str] = [sys.executable, "-m", module, "--end-with-stdin", *arguments]
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # it ends with this process, however that ends
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # a Ctrl-C is the caller's, who ends this process in good order
            )
        self._processes.append(process)

    def _wait_until_healthy(self, token: str) -> None:
        ends_s = time.monotonic() + HEALTHY_WITHIN_S
        headers = {"authorization": f"Bearer {token}"}
        while time.monotonic() < ends_s:
            if any(process.poll() is not None for process in self._processes):
                break
            try:
                health = f"{self.url}/operations/health"
                if urllib3.request("GET", health, headers=headers, timeout=5.0, retries=False).status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                pass
            time.sleep(_LOOK_EVERY_S)
        last = self.log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise LiveError(f"the integration did not become healthy: {last[0]}; all that it said is in {self.log}")

    def __enter__(self) -> "Integration":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
