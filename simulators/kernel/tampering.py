"""What faults make of messages: bodies cut or overwritten, answers that nobody gave, members that drift.

Everything is decided by keyed chance. `Answer` is what came back from an exchange.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from contracts.problems import kind_of
from simulators.kernel.chance import Chance
from simulators.kernel.faults import Fault

_TAIL_POWER = 1 / 1.2  # a Pareto tail of index 1.2: finite mean, infinite variance
_TAIL_CAP = 100.0
_ADDED = "x_vendor_extension"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes


def tail_us(chance: Chance, fault: Fault, *key: object) -> int:
    """How much longer a leg takes, in microseconds: at least the fault's delay, at most 100 times that."""
    rest = 1.0 - chance.uniform("latency-tail", fault.id, *key)
    longer: float = min(_TAIL_CAP, rest**-_TAIL_POWER)
    return round(fault.delay_us * longer)


def garbled(chance: Chance, fault: Fault, body: bytes, *key: object) -> bytes:
    """A body that ends in the middle, or whose middle is overwritten by bytes that no text has. Never readable JSON."""
    half = len(body) // 2
    if half and chance.hit(0.5, "garbled", fault.id, *key):
        return body[:half]
    third = max(1, len(body) // 3)
    return body[:half] + b"\xff" * third + body[half + third :]


def with_body(answer: Answer, body: bytes) -> Answer:
    """The same answer with another body, its length told right."""
    headers = {**answer.headers, "content-length": str(len(body))}
    return Answer(answer.status, headers, body)


def put_in_place(fault: Fault) -> Answer:
    """The answer that a fault gives in place of the one called."""
    if fault.kind == "error_before":
        return _problem("overloaded", "the upstream gateway turned this call away", {})
    if fault.kind == "error_after":
        return _problem("internal-error", "the gateway lost the answer", {})
    if fault.kind == "token_expired":
        return _problem("token-expired", "this token has expired", {})
    if fault.kind == "throttle":
        wait_s = -(-fault.delay_us // 1_000_000)
        return _problem("rate-limited", "too many calls", {"retry-after": str(wait_s)} if wait_s else {})
    assert fault.kind == "error_in_200", f"{fault.kind} answers nothing by itself"
    body = orjson.dumps({"success": False, "error": {"code": "E500", "message": "internal error"}})
    return Answer(200, {"content-type": "application/json", "content-length": str(len(body))}, body)


def _problem(key: str, detail: str, headers: Mapping[str, str]) -> Answer:
    kind = kind_of(key)
    body = orjson.dumps({"type": kind.type, "title": kind.title, "status": kind.status, "detail": detail})
    told = {"content-type": "application/problem+json", "content-length": str(len(body)), **headers}
    return Answer(kind.status, told, body)


def drifted(chance: Chance, fault: Fault, body: bytes, *key: object) -> bytes:
    """A JSON object with a member added, missing or of another type; what is no object stays as it is.

    Of a CloudEvent it is a member of its data.
    """
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(whole, dict):
        return body
    members = whole["data"] if "specversion" in whole and isinstance(whole.get("data"), dict) else whole
    if fault.drift == "added":
        members[fault.field or _ADDED] = {"version": 2}
    elif members:
        name = fault.field or chance.choose(sorted(members), "schema-drift", fault.id, *key)
        if fault.drift == "missing":
            members.pop(name, None)
        elif name in members:
            members[name] = _retyped(members[name])
    return orjson.dumps(whole)


def _retyped(value: Any) -> Any:
    """The same in another JSON type: a number as text, all else as an object."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return {"value": value}
