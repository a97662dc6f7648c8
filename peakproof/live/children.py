"""Processes of a load run: each in a session of its own, with a log of its own, and ended by its own number."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

END_WITHIN_S = 15.0
_PR_SET_PDEATHSIG = 1


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with the interpreter that runs this."""
    return [sys.executable, "-m", module, *arguments]


class Child:
    """A program that runs as a process. What it says goes to `log`, whose end tells why it failed."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._command = list(command)
        self._environment = dict(environment)
        self._log = log
        self._process = self._begun()

    def begin_anew(self) -> None:
        """Start it again once it has ended."""
        self._process = self._begun()

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def said(self, lines: int = 3) -> str:
        """The last that it said."""
        return " / ".join(self._log.read_text(errors="replace").strip().splitlines()[-lines:])

    def signal(self, number: int) -> None:
        """Send a signal to it and to whatever it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it where it stands."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def end(self, within_s: float = END_WITHIN_S) -> None:
        """Have it end in good order, or kill it when it does not in time; its own children end with it."""
        if self.code is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(within_s)
        self.kill()

    def _begun(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no lock is held
                start_new_session=True,  # a Ctrl-C is the caller's, who ends this process in good order
            )


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
