"""The seam for HTTP: one exchange, several at once, and one whose answer is never read.

Whatever goes wrong on the way is a `Reply` without a status, never an exception: a dead host, a bad certificate, a
server that drips, one that speaks no HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Failure = Literal["", "refused", "unresolved", "tls", "time-out", "broken", "garbage"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `body` is sent as it is; `headers` are all that is sent beside what HTTP itself needs."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; status 0 and a `failure` where nothing did. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_us: int
    failure: Failure = ""
    detail: str = ""


class Transport(Protocol):
    """How requests reach a partner."""

    def send(self, request: Request) -> Reply: ...
    def together(self, requests: Sequence[Request]) -> list[Reply]:
        """All of them at the same moment, answers in their order."""
        ...

    def cut(self, request: Request) -> None:
        """Send it and break the connection before its answer is read."""
        ...
