"""What the clients of all partners share: headers, JSON, and what an answer, a problem or an exception amounts to.

| what comes back | outcome |
|---|---|
| 2xx with the members that we need | Done |
| 2xx without them, or a body that can't be read | Uncertain, the partner's fault |
| 429, or a problem that is catalogued retryable and definite | Retry, after the time asked for |
| time-out, broken connection, 408, 5xx | Uncertain |
| connection refused | Retry |
| 401, 403 | Retry: credentials are renewed or mended, the message is not at fault |
| other 4xx | Refused: `data` for what is wrong with the message, `partner` for a conflict with the partner's state |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from contracts.problems import CATALOGUE
from contracts.wire import problem_key, traceparent
from integration.messaging.message import Stamp
from integration.messaging.outcomes import Defer, Done, ErrorClass, Outcome, Refused, Retry, Uncertain
from integration.runtime import Answer, Http, ReadFailed

SECOND_US = 1_000_000
_UNSTAMPED = Stamp("", "")
_NO_ACCESS = (401, 403)
_DATA_STATUSES = (400, 404, 405, 410, 413, 414, 415, 422)
# A body cut on its way is refused as no JSON; what we sent was JSON.
_DAMAGED_ON_THE_WAY = ("malformed-json", "idempotency-key-missing")


@dataclass(frozen=True, slots=True)
class Call:
    """One exchange to be. `needs` maps members of the answer to their JSON type."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    stamp: Stamp = _UNSTAMPED
    needs: Mapping[str, type] = field(default_factory=dict)


class PartnerClient:
    """Talks to one partner with a token that does not change. Every method of a client makes one exchange."""

    def __init__(self, http: Http, base_url: str, token: str, timeout_us: int) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._authorization = f"Bearer {token}"
        self._timeout_us = timeout_us

    def _exchange(self, call: Call) -> Outcome:
        answer = self._send(call, self._authorization)
        return outcome_of(call, answer) if not isinstance(answer, Retry | Uncertain) else answer

    def _send(self, call: Call, authorization: str) -> Answer | Retry | Uncertain:
        body = b"" if call.body is None else orjson.dumps(call.body)
        url = self._base_url + call.path
        try:
            return self._http.send(call.method, url, _headers(call, authorization), body, self._timeout_us)
        except TimeoutError:
            return Uncertain(f"{call.method} {call.path} was not answered within {self._timeout_us} us")
        except ConnectionRefusedError:
            return Retry(f"{call.method} {call.path}: connection refused")
        except ConnectionError as error:
            return Uncertain(f"{call.method} {call.path}: connection broke: {error}")


def _headers(call: Call, authorization: str) -> dict[str, str]:
    headers = {"authorization": authorization, "accept": "application/json"}
    if call.body is not None:
        headers["content-type"] = "application/json"
    stamp = call.stamp
    if stamp.key:
        headers["idempotency-key"] = stamp.key
    if stamp.correlation_id:
        place = f"{call.method} {call.path} {stamp.key} {stamp.attempt}"
        headers["traceparent"] = traceparent(stamp.correlation_id, blake2b(place.encode(), digest_size=8).hexdigest())
    return headers


def answer_of(what: str, outcome: Outcome) -> Mapping[str, Any]:
    """The answer of a read of `what`; raises ReadFailed for every other outcome."""
    match outcome:
        case Done(answer):
            return answer
        case Refused(_, detail):
            raise ReadFailed(what, detail)
        case Retry(reason, after_us) | Uncertain(reason, after_us) | Defer(reason, after_us):
            raise ReadFailed(what, reason, after_us)


def path(*segments: str, **query: str | int | None) -> str:
    """A path whose segments and query values may hold any character; a query value of None is left out."""
    asked = {name: value for name, value in query.items() if value is not None}
    joined = "/" + "/".join(quote(segment, safe="") for segment in segments)
    return f"{joined}?{urlencode(asked)}" if asked else joined


def outcome_of(call: Call, answer: Answer) -> Outcome:
    """What an answer amounts to."""
    parsed = _parse(answer.body)
    where = f"{call.method} {call.path} answered {answer.status}"
    if 200 <= answer.status < 300:
        missing = [
            name for name, kind in call.needs.items() if parsed is None or not isinstance(parsed.get(name), kind)
        ]
        if parsed is None or missing:
            told = f"without {', '.join(missing)}" if missing else "with a body that is no JSON object"
            return Uncertain(f"{where} {told}", error_class=ErrorClass.PARTNER)
        return Done(parsed)
    after_us = _retry_after_us(answer.headers)
    if answer.status == 408 or answer.status >= 500:
        return Uncertain(where, after_us)
    if answer.status == 429:
        return Retry(where, after_us, healthy=True)
    if parsed is None:
        return Uncertain(f"{where} with a body that can't be read", after_us, ErrorClass.PARTNER)
    return _problem(answer.status, parsed, where, after_us)


def _problem(status: int, parsed: Mapping[str, Any], where: str, after_us: int) -> Outcome:
    key = problem_key(str(parsed.get("type", "")))
    detail = f"{where} {key or 'no problem of ours'}: {parsed.get('detail') or parsed.get('title') or ''}"
    kind = CATALOGUE.get(key)
    if status in _NO_ACCESS:
        return Retry(detail, after_us, ErrorClass.PLATFORM)
    if key in _DAMAGED_ON_THE_WAY or (kind is not None and kind.retryable):
        return Retry(detail, after_us, healthy=True)
    error_class = ErrorClass.DATA if status in _DATA_STATUSES else ErrorClass.PARTNER
    extensions = {name: value for name, value in parsed.items() if name not in {"type", "title", "status", "detail"}}
    return Refused(key, detail, error_class, extensions)


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _retry_after_us(headers: Mapping[str, str]) -> int:
    """Retry-After in whole seconds, as every partner here sends it; an HTTP date or nonsense counts as not given."""
    value = headers.get("retry-after", "")
    return int(value) * SECOND_US if value.isascii() and value.isdigit() else 0
