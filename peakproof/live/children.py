"""Processes beside simulators: each in a session and with a log of its own, ended by its own number.

They end with the process that began them, also where that is killed: Linux tells them, and ours watch their standard
input, which other systems close as well.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

END_WITHIN_S = 15.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with the interpreter that runs this."""
    return [sys.executable, "-m", module, *arguments]


class Child:
    """A program that runs as a process. What it says goes to `log`, whose end tells why it failed.

    `watches_stdin`: it ends by itself when its standard input does. `stops_at` is the signal that has it end in good
    order, `user` the system's user that it runs as. Linux sends it that signal when the thread that began it ends.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        watches_stdin: bool = False,
        stops_at: signal.Signals = signal.SIGTERM,
        user: str | None = None,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._environment = dict(environment)
        self._log = log
        self._stdin = subprocess.PIPE if watches_stdin else subprocess.DEVNULL
        self._stops_at = stops_at
        self._user = user
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
        if self._process.stdin is not None:
            self._process.stdin.close()

    def ask_to_end(self) -> None:
        """Have it begin to end in good order, also where it was paused."""
        self.signal(signal.SIGCONT)
        if self.code is None:
            self._process.send_signal(self._stops_at)

    def end(self, within_s: float = END_WITHIN_S) -> None:
        """Have it end in good order, or kill it when it does not in time; its own children end with it."""
        self.ask_to_end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        self.kill()

    def _begun(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=self._stdin,
                stdout=log,
                stderr=log,
                user=self._user,
                preexec_fn=self._ends_with(os.getpid()) if _LIBC is not None else None,  # noqa: PLW1509 - no lock is held
                start_new_session=True,  # a Ctrl-C is the caller's, who ends this process in good order
            )

    def _ends_with(self, parent: int) -> Callable[[], None]:
        """Have Linux send it the signal that ends it when its parent dies, by kill -9 too."""

        def prepare() -> None:
            assert _LIBC is not None
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(self._stops_at))
            if os.getppid() != parent:
                os._exit(1)  # it died in between

        return prepare
