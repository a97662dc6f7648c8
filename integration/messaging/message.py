"""One message on its way to a partner."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """`attempts` counts those that failed before. `lease_until_us` is the fence: who holds an older lease has lost it.

    `maybe_sent`: an earlier attempt, of this process or of one that died, may have reached the partner.
    `span_id`: where in its trace it was put.
    """

    message_id: int
    lane: str
    kind: str
    business_key: str
    payload: Mapping[str, Any]
    correlation_id: str
    attempts: int
    lease_until_us: int
    maybe_sent: bool
    span_id: str = ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every write to a partner carries: the Idempotency-Key, the order's trace id, and which attempt it is."""

    key: str
    correlation_id: str
    attempt: int = 0
