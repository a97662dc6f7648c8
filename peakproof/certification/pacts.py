"""The pacts of our own consumers, held against a partner whose test system is in the provider states they need.

Only interactions whose states are all mapped in the test data are made; the others are listed as not run. The verifier
talks to a door of ours, which sends what it asks within the budget, logged, with the partner's own credentials.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson

from peakproof.certification.errors import NotRun, Outcome
from peakproof.certification.partner import Partner
from peakproof.certification.session import Finding, Word
from peakproof.certification.transport import Request
from peakproof.live.loopback import served
from peakproof.live.pacts import PACTS, PactError, PactFile, read_pacts, verify_at
from peakproof.live.provider import STATES

REPLACE = "replace"
"""The name under which a mapped state tells which other texts of the pact the partner's own ones stand for."""
_HTTP = "Synchronous/HTTP"
_KEPT_BACK = 5
_HOP = frozenset({"host", "connection", "content-length", "accept-encoding", "transfer-encoding"})


def pacts(role: str, states: Mapping[str, Mapping[str, Any] | None], partner: Partner) -> list[Finding]:
    """One finding per HTTP interaction of the pacts with this role, or one on why there is none."""
    try:
        found = [pact for pact in read_pacts(PACTS) if pact.provider == role]
    except PactError as error:
        return [_finding("pacts", "not run", str(error))]
    if not found:
        return [_finding("pacts", "not run", f"no pact with a {role} is kept in contracts/pacts")]
    return [finding for pact in found for finding in _of_pact(pact, states, partner)]


def _of_pact(pact: PactFile, states: Mapping[str, Mapping[str, Any] | None], partner: Partner) -> Iterator[Finding]:
    mapped: list[dict[str, Any]] = []
    values: dict[str, Any] = {}
    used: dict[str, int] = {}
    for interaction in pact.document["interactions"]:
        if interaction["type"] != _HTTP:
            continue
        try:
            mapped.append(_mapped(interaction, states, used, values))
        except NotRun as error:
            yield _finding(_name(pact.consumer, interaction["description"]), "not run", str(error))
    if not mapped:
        return
    partner.probe = "pacts"
    try:
        yield from _verified(pact, mapped, values, partner)
    except PactError as error:
        yield _finding("pacts", "not run", str(error))
    finally:
        partner.probe = ""


def _mapped(
    interaction: Mapping[str, Any],
    states: Mapping[str, Mapping[str, Any] | None],
    used: dict[str, int],
    values: dict[str, Any],
) -> dict[str, Any]:
    """The interaction with the partner's own ids in place of the pact's. NotRun when a state is not mapped."""
    text = orjson.dumps(interaction).decode()
    for state in interaction.get("providerStates", ()):
        name = state["name"]
        if name not in states:
            raise NotRun(f"its provider state {name!r} is not mapped in the test data")
        number = used[name] = used.get(name, 0) + 1
        own = {key: _nth(name, value, number) for key, value in (states[name] or {}).items() if key != REPLACE}
        values |= own
        swapped = {str(given): own[key] for key, given in (state.get("params") or {}).items() if key in own}
        for given, replaced in {**swapped, **((states[name] or {}).get(REPLACE) or {})}.items():
            text = text.replace(str(given), str(replaced))
    mapped: dict[str, Any] = orjson.loads(text)
    return mapped


def _nth(state: str, value: Any, number: int) -> Any:
    """A value of a mapped state; of a list each interaction takes the next."""
    if not isinstance(value, list):
        return value
    if number > len(value):
        raise NotRun(f"its provider state {state!r} is mapped for {len(value)} interactions, and this is one more")
    return value[number - 1]


def _verified(
    pact: PactFile, mapped: Sequence[Mapping[str, Any]], values: Mapping[str, Any], partner: Partner
) -> Iterator[Finding]:
    if partner.budget.left < len(mapped) + _KEPT_BACK:
        for each in mapped:
            told = f"{partner.budget.left} requests are left of the budget; raise --max-requests"
            yield _finding(_name(pact.consumer, each["description"]), "not run", told)
        return
    door = _Door(partner, values)
    with tempfile.TemporaryDirectory(prefix="peakproof-pact-") as scratch, served(door) as url:
        file = Path(scratch) / pact.path.name
        file.write_bytes(orjson.dumps({**pact.document, "interactions": list(mapped)}))
        results = verify_at(url, pact.provider, lambda verifier: verifier.add_source(file))
    for result in results:
        name = _name(pact.consumer, result.description)
        unsent = door.unsent.get(result.description, "")
        if result.holds:
            yield _finding(name, "passed", "answered as the consumer expects", result.duration_ms / 1_000)
        elif unsent:
            yield _finding(name, "not run", unsent)
        else:
            yield _finding(name, "failed", "; ".join(result.differences), result.duration_ms / 1_000)


class _Door:
    """What the verifier talks to: the partner, and the door where it asks for states."""

    def __init__(self, partner: Partner, values: Mapping[str, Any]) -> None:
        self._partner = partner
        self._values = values
        self._description = ""
        self.unsent: dict[str, str] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body: bytes = environ["wsgi.input"].read(length) if length else b""
        if environ.get("PATH_INFO") == STATES:
            answer = orjson.dumps({**self._values, "token": self._partner.token})
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
            return [answer]
        try:
            reply = self._partner.carry(_request_of(environ, body)).reply
        except Outcome as error:
            self.unsent[self._description] = str(error)
            start_response("599 Not Sent", [("Content-Length", "0")])
            return [b""]
        headers = [(name, value) for name, value in reply.headers.items() if name not in _HOP]
        start_response(f"{reply.status or 599} Answered", [*headers, ("Content-Length", str(len(reply.body)))])
        return [reply.body]


def _request_of(environ: WSGIEnvironment, body: bytes) -> Request:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name == "CONTENT_TYPE" and value)
    }
    query = environ.get("QUERY_STRING", "")
    path = quote(environ.get("PATH_INFO", "/"), "/~:", "latin-1") + (f"?{query}" if query else "")
    kept = {name: value for name, value in headers.items() if name not in _HOP}
    return Request(environ["REQUEST_METHOD"], path, kept, body)


def _name(consumer: str, description: str) -> str:
    return f"pact-{consumer}-{re.sub(r'[^a-z0-9]+', '-', description.lower()).strip('-')}"


def _finding(name: str, outcome: Word, said: str, seconds: float = 0.0) -> Finding:
    promise = "What a consumer expects of the partner is answered so."
    return Finding(name, promise, "blocking", True, outcome, said, seconds=seconds)
