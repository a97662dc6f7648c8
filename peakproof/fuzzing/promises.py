"""What every exchange is judged by, beside Schemathesis's own checks.

answered          there is an answer, and it is no 5xx unless one was asked for
documented        status, headers and body are those of the document
problem           every refusal is problem+json of a catalogued type that the document allows there
refused-untouched a refused request leaves the partner's books as they were
one-effect        repeating a write under its key has no second effect, in turn and at the same moment
one-request       a key that stands for one request is refused with another payload
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from contracts.problems import CATALOGUE
from contracts.validation import Operation, told
from contracts.wire import problem_key
from peakproof.certification.transport import Reply, Request

PROBLEM_JSON = "application/problem+json"
_REUSED = "idempotency-key-reused"
_STANDS = ("request-in-flight", "duplicate-order", "duplicate-reference", "order-reference-used")
"""Problems that answer a repetition by saying that the first one stands."""


@dataclass(frozen=True, slots=True)
class Books:
    """What a partner has on record. `made` counts things of which one request makes one at most; `entered` counts
    what only requests enter, as many lines as it takes."""

    made: Mapping[str, int]
    entered: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it. `operation` is None where the document has none; books None: can't be seen."""

    operation: Operation | None
    request: Request
    reply: Reply
    before: Books | None = None
    after: Books | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that an exchange broke, and how."""

    promise: str
    told: str


def judged(exchange: Exchange, expected: Collection[int] = ()) -> Iterator[Broken]:
    """What one exchange breaks. `expected` are server errors that were asked for."""
    reply = exchange.reply
    if not reply.status:
        yield Broken("answered", f"there was no answer: {reply.failure} {reply.detail}".strip())
        return
    if reply.status >= 500 and reply.status not in expected:
        yield Broken("answered", f"answered {reply.status}")
    yield from _documented(exchange)
    if reply.status >= 400 and exchange.request.method != "HEAD":
        yield from _problem(exchange)
        if reply.status < 500 and exchange.before != exchange.after:
            change = _change(exchange.before, exchange.after)
            yield Broken("refused-untouched", f"refused with {reply.status}, yet {change}")


def repeated(first: Exchange, again: Exchange) -> Iterator[Broken]:
    """What the repetition of a write that succeeded breaks."""
    reply = again.reply
    if again.before != again.after:
        yield Broken(
            "one-effect", f"a repetition under the same key had an effect: {_change(again.before, again.after)}"
        )
    if 200 <= reply.status < 300:
        yield from _same_identity(first.reply, reply)
    elif not (reply.status == 409 and problem_of(reply) in _STANDS):
        said = f"{reply.status} {problem_of(reply)}".strip()
        yield Broken("one-effect", f"answered {first.reply.status}, and {said} when it was repeated under the same key")


def reused(exchange: Exchange) -> Iterator[Broken]:
    """What a second payload under a key that is taken breaks."""
    reply = exchange.reply
    if (reply.status, problem_of(reply)) != (422, _REUSED):
        said = f"{reply.status} {problem_of(reply)}".strip()
        yield Broken("one-request", f"another payload under a used key is answered {said}, not 422 {_REUSED}")


def simultaneous(replies: tuple[Reply, Reply], before: Books | None, after: Books | None) -> Iterator[Broken]:
    """What two attempts at the same moment under one key break."""
    if before is not None and after is not None:
        for name, count in after.made.items():
            grown = count - before.made.get(name, 0)
            if grown > 1:
                yield Broken("one-effect", f"two attempts at once under one key made {grown} {name}")
    succeeded = [reply for reply in replies if 200 <= reply.status < 300]
    if len(succeeded) == 2:
        yield from _same_identity(*replies)
    elif succeeded:
        other = next(reply for reply in replies if reply not in succeeded)
        if not (other.status == 409 and problem_of(other) in _STANDS):
            said = f"{other.status} {problem_of(other)}".strip()
            yield Broken("one-effect", f"of two attempts at once under one key, one succeeded and one got {said}")


def problem_of(reply: Reply) -> str:
    """The catalogue key of a problem answer; "" where there is none."""
    parsed = parsed_json(reply.body)
    return problem_key(str(parsed.get("type", ""))) if isinstance(parsed, dict) else ""


def parsed_json(body: bytes) -> Any:
    """The JSON in a body; None where there is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _documented(exchange: Exchange) -> Iterator[Broken]:
    operation, reply = exchange.operation, exchange.reply
    if operation is None:
        if reply.status not in (401, 404, 405):
            yield Broken("documented", f"answered {reply.status} to what the document does not know")
        return
    spec = operation.answers.get(reply.status)
    if spec is None:
        yield Broken("documented", f"answered {reply.status}, which is not documented")
        return
    for name in spec.required_headers:
        if name.lower() not in reply.headers:
            yield Broken("documented", f"answered {reply.status} without the header {name}")
    if exchange.request.method == "HEAD":
        return
    media_type = reply.headers.get("content-type", "").partition(";")[0].strip()
    if media_type != spec.media_type:
        yield Broken("documented", f"answered {reply.status} as {media_type!r}, not {spec.media_type!r}")
        return
    body = parsed_json(reply.body) if reply.body else None
    violations = operation.answer_errors(reply.status, body)
    if violations:
        yield Broken(
            "documented", f"answered {reply.status} with a body that breaks its schema: {told(violations[:3])}"
        )


def _problem(exchange: Exchange) -> Iterator[Broken]:
    operation, reply = exchange.operation, exchange.reply
    media_type = reply.headers.get("content-type", "").partition(";")[0].strip()
    parsed = parsed_json(reply.body)
    if media_type != PROBLEM_JSON or not isinstance(parsed, dict):
        yield Broken("problem", f"answered {reply.status} without problem+json (as {media_type!r})")
        return
    key = problem_key(str(parsed.get("type", "")))
    kind = CATALOGUE.get(key)
    if kind is None:
        yield Broken("problem", f"answered {reply.status} with type {parsed.get('type')!r}, which is not catalogued")
    elif parsed.get("status") != reply.status or kind.status != reply.status:
        said = f"the body says {parsed.get('status')!r} and the catalogue {kind.status}"
        yield Broken("problem", f"answered {reply.status} with {key}, but {said}")
    elif operation is not None and reply.status in operation.answers:
        allowed = operation.answers[reply.status].problems
        if key not in allowed:
            listed = ", ".join(allowed) or "none"
            yield Broken("problem", f"answered {reply.status} with {key}; the document allows {listed} there")


def _same_identity(one: Reply, other: Reply) -> Iterator[Broken]:
    """Both answers must name the same thing: equal in every identifier that both carry at the top."""
    first, second = parsed_json(one.body), parsed_json(other.body)
    if not isinstance(first, dict) or not isinstance(second, dict):
        return
    for name, value in first.items():
        if name.endswith(("_id", "_number", "reference")) and name in second and second[name] != value:
            yield Broken("one-effect", f"a repetition under the same key names {name} {second[name]!r}, not {value!r}")


def _change(before: Books | None, after: Books | None) -> str:
    if before is None or after is None:
        return "the books changed"
    changes = [
        f"{name} went from {old.get(name, 0)} to {count}"
        for old, new in ((before.made, after.made), (before.entered, after.entered))
        for name, count in new.items()
        if old.get(name, 0) != count
    ]
    return " and ".join(changes)
