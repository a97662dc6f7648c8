"""The journal of calls that came in, and the patterns that find calls in it: WireMock's, as far as they are of use."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from peakproof.live.errors import LiveError
from simulators.kernel.doors import Call

LONGEST = 1_000
"""Calls that are kept unless the settings say otherwise."""
_PLACES = ("method", "url", "urlPattern", "urlPath", "urlPathPattern", "headers", "queryParameters", "bodyPatterns")
_MATCHERS = ("equalTo", "contains", "matches", "doesNotMatch", "absent", "equalToJson")
_REDACTED = "authorization"


class Journal:
    """The latest calls of one run, numbered from 1."""

    def __init__(self) -> None:
        self._calls: deque[tuple[int, Call]] = deque(maxlen=LONGEST)
        self._count = 0

    @property
    def limit(self) -> int:
        """How many calls are kept."""
        return self._calls.maxlen or 0

    def keep(self, limit: int) -> None:
        """Keep so many from now on."""
        self._calls = deque(self._calls, maxlen=limit)

    def note(self, call: Call) -> None:
        self._count += 1
        self._calls.append((self._count, call))

    def clear(self) -> None:
        self._calls.clear()

    def remove(self, pattern: Mapping[str, Any], host: str) -> list[dict[str, Any]]:
        """Forget what a pattern finds, and return it."""
        found = list(self._matching(pattern, host))
        gone = {number for number, _ in found}
        self._calls = deque((entry for entry in self._calls if entry[0] not in gone), maxlen=self.limit)
        return [_request(number, call) for number, call in found]

    def find(self, pattern: Mapping[str, Any], host: str) -> list[dict[str, Any]]:
        """The calls to a host that fit a pattern, newest last. LiveError for a pattern that can't be read."""
        return [_request(number, call) for number, call in self._matching(pattern, host)]

    def listed(self, host: str) -> list[dict[str, Any]]:
        """Each call to a host with what it was answered, newest first."""
        entries = [_entry(number, call) for number, call in self._calls if call.host == host]
        return entries[::-1]

    def _matching(self, pattern: Mapping[str, Any], host: str) -> Iterator[tuple[int, Call]]:
        unknown = sorted(pattern.keys() - set(_PLACES))
        if unknown:
            raise LiveError(f"a pattern has no {unknown[0]!r}: use {', '.join(_PLACES)}")
        return ((number, call) for number, call in self._calls if call.host == host and _fits(call, pattern))


def _fits(call: Call, pattern: Mapping[str, Any]) -> bool:
    parts = urlsplit(call.path)
    query, headers = parse_qs(parts.query, keep_blank_values=True), _headers(call)
    return (
        pattern.get("method", "ANY") in ("ANY", call.method)
        and pattern.get("url", call.path) == call.path
        and pattern.get("urlPath", parts.path) == parts.path
        and _whole(pattern.get("urlPattern", ".*"), call.path)
        and _whole(pattern.get("urlPathPattern", ".*"), parts.path)
        and all(_match(headers.get(name.lower()), how) for name, how in pattern.get("headers", {}).items())
        and all(_any(query.get(name), how) for name, how in pattern.get("queryParameters", {}).items())
        and all(_match(call.body.decode(errors="replace"), how) for how in pattern.get("bodyPatterns", []))
    )


def _any(values: list[str] | None, how: Mapping[str, Any]) -> bool:
    return any(_match(value, how) for value in values) if values else _match(None, how)


def _match(value: str | None, how: Mapping[str, Any]) -> bool:
    if len(how) != 1 or next(iter(how)) not in _MATCHERS:
        raise LiveError(f"{dict(how)!r} is not one matcher: use one of {', '.join(_MATCHERS)}")
    ((matcher, wanted),) = how.items()
    if matcher == "absent" or value is None:
        return matcher == "absent" and (value is None) == bool(wanted)
    if matcher == "equalToJson":
        return bool(_json(value) == (_json(wanted) if isinstance(wanted, str) else wanted))
    wanted = str(wanted)
    if matcher == "equalTo":
        return value == wanted
    if matcher == "contains":
        return wanted in value
    return _whole(wanted, value) == (matcher == "matches")


def _whole(pattern: str, text: str) -> bool:
    try:
        return re.fullmatch(pattern, text, re.DOTALL) is not None
    except re.error as error:
        raise LiveError(f"{pattern!r} is not a regular expression: {error}") from error


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _headers(call: Call) -> dict[str, str]:
    names = ((name.removeprefix("HTTP_").replace("_", "-").lower(), value) for name, value in call.headers.items())
    return {name: "(not kept)" if name == _REDACTED else value for name, value in names}


def _request(number: int, call: Call) -> dict[str, Any]:
    return {
        "id": str(number),
        "url": call.path,
        "method": call.method,
        "client": call.source,
        "headers": _headers(call),
        "body": call.body.decode(errors="replace"),
        "loggedDate": call.at_us // 1_000,
        "loggedDateString": datetime.fromtimestamp(call.at_us / 1_000_000, UTC).isoformat(),
    }


def _entry(number: int, call: Call) -> dict[str, Any]:
    answered = {"status": call.status} if call.status else {"fault": "no answer"}
    return {"id": str(number), "request": _request(number, call), "response": answered, "wasMatched": True}
