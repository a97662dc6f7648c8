"""How a process learns that whoever began it is gone, also when he was killed, and then stops as if told to."""

import os
import signal
import time
from collections.abc import Callable

from integration.live.ports import ThreadTasks

_LOOK_S = 0.2
_STDIN = 0


def end_with_parent() -> None:
    """For a worker of granian, which leaves its workers behind when killed: they would go on answering on its port."""
    parent = os.getppid()

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)

    _stop_after(wait)


def end_with_stdin() -> None:
    """For who holds the other end of the standard input: it ends when he does, whatever becomes of him."""

    def wait() -> None:
        while os.read(_STDIN, 4_096):
            pass

    _stop_after(wait)


def _stop_after(wait: Callable[[], None]) -> None:
    def watch() -> None:
        wait()
        os.kill(os.getpid(), signal.SIGTERM)

    ThreadTasks().spawn("watch for the end", watch)
