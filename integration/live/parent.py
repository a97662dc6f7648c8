"""How a process learns that it is to stop: it is told, or whoever began it is gone, also when he was killed."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from integration.live.ports import ThreadTasks

_STOPS = (signal.SIGTERM, signal.SIGINT)
_LOOK_S = 0.2
_STDIN = 0


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """Set once SIGTERM or Ctrl-C has come in this block, where they do nothing else."""
    told = threading.Event()
    before = {number: signal.signal(number, lambda _number, _frame: told.set()) for number in _STOPS}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
