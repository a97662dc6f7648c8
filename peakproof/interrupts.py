"""What ends a verb that serves or plays in real time: Ctrl-C, and SIGTERM as well, in good order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDINGS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[None]:
    """Each of ENDINGS raises KeyboardInterrupt in this block."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def no_more_interrupts() -> None:
    """It ends: whoever is impatient would only lose evidence."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
