"""What was found: one finding per operation and broken promise, with its smallest example as a curl line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

import orjson

from peakproof.certification.transport import Reply, Request

BLACKED_OUT = "***"
_SECRET_MEMBERS = frozenset({"client_secret", "access_token", "refresh_token", "secret", "password", "token"})
_SECRET_HEADERS = frozenset({"authorization", "webhook-signature", "cookie", "proxy-authorization"})
_OWN_HEADERS = frozenset({"content-length", "user-agent", "accept-encoding", "accept", "connection", "host"})
_LONGEST_TEXT = 2_000


@dataclass(frozen=True, slots=True)
class Finding:
    """A promise that did not hold. `operation` is method and path template; `phase` and
    `round` are where its example was seen."""

    role: str
    operation: str
    promise: str
    told: str
    phase: str
    round: int
    curl: str
    answer: str
    weight: int
    """Bytes of the example request; the smallest example is kept."""


class Findings:
    """The findings of one run, each promise of an operation told once, with how often it was broken."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], Finding] = {}
        self._seen: dict[tuple[str, str, str], int] = {}

    def add(self, finding: Finding) -> None:
        """Note one more break of a promise; the smallest request becomes the example."""
        place = _place(finding)
        self._seen[place] = self._seen.get(place, 0) + 1
        self._keep(finding)

    def merge(self, other: "Findings") -> None:
        """Take in what another run found."""
        for finding in other:
            place = _place(finding)
            self._seen[place] = self._seen.get(place, 0) + other.times(finding)
            self._keep(finding)

    def _keep(self, finding: Finding) -> None:
        place = _place(finding)
        kept = self._kept.get(place)
        if kept is None or finding.weight < kept.weight:
            self._kept[place] = finding

    def __iter__(self) -> Iterator[Finding]:
        return iter(sorted(self._kept.values(), key=lambda each: (each.role, each.operation, each.promise)))

    def __len__(self) -> int:
        return len(self._kept)

    def times(self, finding: Finding) -> int:
        """How often this promise of this operation was broken."""
        return self._seen[_place(finding)]


def _place(finding: Finding) -> tuple[str, str, str]:
    return finding.role, finding.operation, finding.promise


def curl_of(base_url: str, request: Request) -> str:
    """The request as a line for a shell; credentials are blacked out."""
    words = ["curl", "-i", "-X", request.method]
    for name, value in request.headers.items():
        if name.lower() in _OWN_HEADERS:
            continue
        shown = BLACKED_OUT if name.lower() in _SECRET_HEADERS else value
        words += ["-H", f"{name}: {shown}"]
    if request.body:
        words += ["--data-binary", cleaned(request.body)]
    return " ".join(quote(word) for word in [*words, base_url + request.path])


def answer_of(reply: Reply) -> str:
    """An answer in one line: status and the beginning of its body."""
    if not reply.status:
        return f"no answer: {reply.failure} {reply.detail}".strip()
    return f"{reply.status} {cleaned(reply.body)}".strip()


def cleaned(body: bytes) -> str:
    """A body as text, secrets blacked out, cut where it is long."""
    try:
        text = orjson.dumps(_without_secrets(orjson.loads(body))).decode()
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "backslashreplace")
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}... ({len(body)} bytes)"


def _without_secrets(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {
            name: BLACKED_OUT if name in _SECRET_MEMBERS and isinstance(child, str) else _without_secrets(child)
            for name, child in node.items()
        }
    return [_without_secrets(child) for child in node] if isinstance(node, list) else node
