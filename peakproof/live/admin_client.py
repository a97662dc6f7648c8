"""Asks a process of simulators about its world, and tells it what to change: its admin API from the other side."""

import time
from typing import Any

import orjson
import urllib3

from loadtests.plan import Pace
from peakproof.live.errors import LiveError

LOOKS = 15
SECOND_US = 1_000_000


class Admin:
    """The admin API behind the port of any host. LiveError when the simulators are gone or refuse."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self._hosts = {name: host["url"] for name, host in ready["hosts"].items()}
        self._first = next(iter(self._hosts))
        self._headers = {"Authorization": f"Bearer {ready['admin_token']}", "Content-Type": "application/json"}
        self._http = urllib3.PoolManager(retries=False)

    def call(self, method: str, path: str, asked: dict[str, Any] | None = None, host: str = "") -> Any:
        """One call of `/__admin/PATH`; its answer."""
        url = f"{self._hosts[host or self._first]}/__admin/{path}"
        body = None if asked is None else orjson.dumps(asked)
        try:
            answer = self._http.request(method, url, body=body, headers=self._headers, timeout=30.0)
        except urllib3.exceptions.HTTPError as error:
            raise LiveError(f"the simulators don't answer any more: {error}") from error
        if answer.status >= 300:
            raise LiveError(f"the simulators refused {method} {path}: {answer.data.decode(errors='replace')[:300]}")
        return orjson.loads(answer.data) if answer.data else None

    def quiet(self) -> bool:
        """Whether no partner has anything in work."""
        return all(self.call("GET", "state", host=host)["quiet"] for host in self._hosts)

    def set_pace(self, pace: Pace) -> int:
        """Let business time run as `pace` has it from its beginning on; by how much it may differ, in us of business.

        Returns when that moment has come. The clock is set forward by what the change came late.
        """
        wait_s = pace.seconds_until(pace.business_us) if pace.speed else 0.0
        time.sleep(max(0.0, wait_s))
        self.call("POST", "clock", {"speed": pace.speed})
        behind_us, _ = self.skew(pace)
        if behind_us > 0:
            self.call("POST", "clock", {"advance": behind_us})
        left_us, unsure_us = self.skew(pace)
        return abs(left_us) + unsure_us

    def skew(self, pace: Pace) -> tuple[int, int]:
        """By how much the simulators' business time is behind `pace`, and by how much that may be wrong; in us."""
        best = (0, 1 << 62)
        for _ in range(LOOKS):
            before_us = pace.now_us()
            shown_us = int(self.call("GET", "clock")["business_us"])
            after_us = pace.now_us()
            if after_us - before_us < 2 * best[1]:
                best = ((before_us + after_us) // 2 - shown_us, (after_us - before_us) // 2)
        return best
