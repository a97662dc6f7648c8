"""Starts the process that serves simulators, and ends it. The caller's own process stays as it is."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from peakproof.live.errors import LiveError
from peakproof.live.order import Order

END_WITHIN_S = 20.0


class Simulators:
    """A process that serves simulators: use as a context manager; `ready` is what it told of itself.

    LiveError when it can't be started for a reason that the user can mend.
    """

    def __init__(self, order: Order, environment: Mapping[str, str] | None = None) -> None:
        if importlib.util.find_spec("gevent") is None:
            raise LiveError('simulators on real ports need gevent: pip install "peakproof[live]"')
        self._process = subprocess.Popen(
            [sys.executable, "-m", "peakproof.live.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ if environment is None else environment),
            start_new_session=True,  # a Ctrl-C is the caller's, who ends this process in good order
        )
        assert self._process.stdin is not None
        self._process.stdin.write(order.to_json() + "\n")
        self._process.stdin.flush()
        self.ready: dict[str, Any] = self._first_word()

    def wait(self, seconds: float) -> int | None:
        """Wait so long for it to end by itself: its exit code, or None when it goes on."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> int:
        """Have it end, and wait until its evidence is complete; its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            code = self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return code

    def _first_word(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        told: dict[str, Any] = json.loads(line) if line else {}
        if "ready" in told:
            ready: dict[str, Any] = told["ready"]
            return ready
        self.close()
        if "error" in told:
            raise LiveError(told["error"])
        raise RuntimeError("the process of the simulators ended before it was ready; its own words are above")

    def __enter__(self) -> "Simulators":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
