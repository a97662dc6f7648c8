"""What a vendor does with Idempotency-Keys: one key names one request.

Repeating a request under its key is let through; what was booked before is then found by its reference, after the
profile's duplicate policy. What is held here is the rule on keys themselves: another payload, or an attempt in work.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import orjson
from flask import Flask, Response

from contracts.edge import ProblemError, body, current_operation, environ
from simulators.kernel import World
from simulators.partnerkit.profile import Profile

_HEADER = "Idempotency-Key"
_IN_ENVIRON = "HTTP_IDEMPOTENCY_KEY"
_HELD = "partnerkit.held-key"
_OUTSIDE = "/__"
_RETRY_AFTER_S = 1

Place = tuple[str, str]
"""An operation and a key in it."""


class KeySettings(Profile):
    """`reuse`: a key that comes with another payload. `in_flight`: one whose first attempt is still being served."""

    reuse: Literal["refuse", "ignore"] = "refuse"
    in_flight: Literal["serve", "refuse"] = "serve"


@dataclass(slots=True)
class _Held:
    """What a key stands for; `booked` once an attempt succeeded. `in_work` counts attempts being served."""

    fingerprint: bytes
    since_us: int
    in_work: int = 0
    booked: bool = False


class Keys:
    """The keys that one partner has seen. A refused attempt leaves nothing, so that it may be mended and repeated."""

    def __init__(self, world: World, host: str, settings: KeySettings) -> None:
        self._world = world
        self._host = host
        self._settings = settings
        self._seen: dict[Place, _Held] = {}

    def take(self, place: Place, fingerprint: bytes) -> _Held:
        """Begin an attempt; raises ProblemError `idempotency-key-reused` or `request-in-flight`."""
        held = self._seen.get(place)
        if held is None or self._expired(held):
            held = self._seen[place] = _Held(fingerprint, self._world.now_us())
        elif held.fingerprint != fingerprint and self._settings.reuse == "refuse":
            detail = f"the key {place[1]!r} was used for another request: take a new one"
            raise ProblemError("idempotency-key-reused", detail)
        elif held.in_work and self._settings.in_flight == "refuse":
            detail = f"another attempt with the key {place[1]!r} is under way: wait for its answer"
            raise ProblemError("request-in-flight", detail, {"Retry-After": str(_RETRY_AFTER_S)})
        held.in_work += 1
        return held

    def settle(self, place: Place, held: _Held, booked: bool) -> None:
        """End an attempt."""
        held.in_work = max(0, held.in_work - 1)
        held.booked = held.booked or booked
        if not held.booked and not held.in_work and self._seen.get(place) is held:
            del self._seen[place]

    def restart(self) -> None:
        """After a crash nobody is being served; what was booked stands under its key."""
        self._seen = {place: held for place, held in self._seen.items() if held.booked}
        for held in self._seen.values():
            held.in_work = 0

    def _expired(self, held: _Held) -> bool:
        """A `dedupe_expired` fault lets a vendor forget keys as it forgets references."""
        fault = self._world.faults.in_force("dedupe_expired", self._host)
        return fault is not None and self._world.now_us() - held.since_us > fault.delay_us


def hold_keys(app: Flask, keys: Keys) -> None:
    """Have `app` observe `keys` in every operation whose contract asks for one. Call it after the contract's guard."""
    keyed: dict[str, bool] = {}

    def begin() -> None:
        asked = environ()
        if asked["REQUEST_METHOD"].upper() != "POST" or asked["PATH_INFO"].startswith(_OUTSIDE):
            return
        operation = current_operation()
        if operation.operation_id not in keyed:
            keyed[operation.operation_id] = any(header.name == _HEADER for header in operation.headers)
        if not keyed[operation.operation_id]:
            return
        place = (operation.operation_id, asked[_IN_ENVIRON])
        payload = asked["PATH_INFO"].encode() + b"\n" + orjson.dumps(body(), option=orjson.OPT_SORT_KEYS)
        held = keys.take(place, blake2b(payload, digest_size=16).digest())
        asked[_HELD] = (place, held)

    def end(response: Response) -> Response:
        taken: tuple[Place, _Held] | None = environ().pop(_HELD, None)
        if taken is not None:
            keys.settle(*taken, booked=response.status_code < 300)
        return response

    app.before_request(begin)
    app.after_request(end)
