"""The table of rules: which difference of a schema breaks in which direction, and how it is said.

In a request the consumer writes and the provider checks, so that taking less breaks. In an answer the provider writes
and the consumer reads, so that promising less or answering more breaks. Consumers read answers and events tolerantly: a
member that they do not know does them no harm.
"""

from enum import StrEnum

import orjson

from contracts.diff.schema import ITEMS, OTHERS, Difference, Effect, Place


class Direction(StrEnum):
    """Who writes what is described."""

    REQUEST = "request"
    ANSWER = "answer"
    EVENT = "event"


class Weight(StrEnum):
    """What a change may do to those who rely on the older side."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"
    UNJUDGED = "unjudged"


_B, _C = Weight.BREAKING, Weight.COMPATIBLE
_A, _R, _N, _W = Effect.ADDED, Effect.REMOVED, Effect.NARROWER, Effect.WIDER
_REQUEST, _ANSWER, _EVENT = Direction.REQUEST, Direction.ANSWER, Direction.EVENT

# Kind and effect -> per direction: what it weighs and how it is said.
_MEMBERS: dict[tuple[str, Effect], dict[Direction, tuple[Weight, str]]] = {
    ("member", _A): {
        _REQUEST: (_C, "now accepts {what}"),
        _ANSWER: (_C, "may now have {what}"),
        _EVENT: (_C, "may now have {what}"),
    },
    ("member", _R): {
        _REQUEST: (_B, "no longer accepts {what}"),
        _ANSWER: (_B, "no longer has {what}"),
        _EVENT: (_B, "no longer has {what}"),
    },
    ("required member", _A): {
        _REQUEST: (_B, "now requires {what}"),
        _ANSWER: (_C, "now has {what}"),
        _EVENT: (_C, "now has {what}"),
    },
    ("required member", _R): {
        _REQUEST: (_B, "no longer accepts {what}"),
        _ANSWER: (_B, "no longer has {what}"),
        _EVENT: (_B, "no longer has {what}"),
    },
    ("required", _A): {
        _REQUEST: (_B, "now requires {what}"),
        _ANSWER: (_C, "now promises {what}"),
        _EVENT: (_C, "now promises {what}"),
    },
    ("required", _R): {
        _REQUEST: (_C, "no longer requires {what}"),
        _ANSWER: (_B, "no longer promises {what}"),
        _EVENT: (_B, "no longer promises {what}"),
    },
}
# What a difference of values weighs, whatever its keyword.
_VALUES: dict[Effect, dict[Direction, Weight]] = {
    _N: {_REQUEST: _B, _ANSWER: _C, _EVENT: _C},
    _W: {_REQUEST: _C, _ANSWER: _B, _EVENT: _B},
}
_VERBS = {_REQUEST: "takes", _ANSWER: "answers", _EVENT: "sends"}
_BOUNDS = {
    "minimum": "values from {head} for {what}, before from {base}",
    "maximum": "values up to {head} for {what}, before up to {base}",
    "exclusiveMinimum": "values above {head} for {what}, before above {base}",
    "exclusiveMaximum": "values below {head} for {what}, before below {base}",
    "minLength": "at least {head} characters for {what}, before {base}",
    "maxLength": "at most {head} characters for {what}, before {base}",
    "minItems": "at least {head} elements of {what}, before {base}",
    "maxItems": "at most {head} elements of {what}, before {base}",
    "minProperties": "at least {head} members of {what}, before {base}",
    "maxProperties": "at most {head} members of {what}, before {base}",
}
_UNBOUNDED = {"minLength": "0", "minItems": "0", "minProperties": "0"}
_TYPES = {
    "null": "null",
    "boolean": "a boolean",
    "integer": "an integer",
    "fraction": "a fraction",
    "string": "a string",
    "array": "an array",
    "object": "an object",
}
# What is no longer taken where it is narrower, and taken from now on where it is wider.
_TAKEN = {
    "type": "{types} for {what}",
    "additionalProperties": "members of {what} that are not listed",
    "alternatives": "one more form of {what}",
    "uniqueItems": "equal elements in {what}",
}
_LOCATIONS = {"query": "the query parameter", "path": "the path parameter", "header": "the header"}


def weight_of(difference: Difference, direction: Direction) -> Weight:
    """What a difference may do to those who rely on the older side."""
    if _unread_header(difference, direction):
        return _C
    known = _MEMBERS.get((difference.kind, difference.effect))
    if known is not None:
        return known[direction][0]
    if difference.kind == "default":
        return _B if direction is _REQUEST else _C
    if difference.effect is Effect.CHANGED:
        return Weight.UNJUDGED
    return _VALUES[difference.effect][direction]


def words_of(difference: Difference, direction: Direction) -> str:
    """A difference as what the provider now does: ``now requires `carrier```."""
    what = named(difference.place)
    if _unread_header(difference, direction):
        return f"no longer reads {what}"
    known = _MEMBERS.get((difference.kind, difference.effect))
    if known is not None:
        return known[direction][1].format(what=what)
    verb, base, head = _VERBS[direction], difference.base, difference.head
    if difference.kind == "default":
        return f"reads {what} as {_shown(head)} where it is left out, before as {_shown(base)}"
    if difference.kind in _BOUNDS:
        absent = _UNBOUNDED.get(difference.kind, "any")
        bounds = {"head": absent if head is None else head, "base": absent if base is None else base}
        return f"now {verb} {_BOUNDS[difference.kind].format(what=what, **bounds)}"
    return _value_words(difference, verb, what)


def _unread_header(difference: Difference, direction: Direction) -> bool:
    """A request header that is no longer described: headers that nobody knows are ignored, not refused."""
    gone = difference.kind in ("member", "required member") and difference.effect is _R
    return gone and direction is _REQUEST and difference.place[0] == "header"


def _value_words(difference: Difference, verb: str, what: str) -> str:
    kind, narrower = difference.kind, difference.effect is _N
    if kind == "enum":
        return _enum_words(difference, verb, what)
    if kind == "nesting":
        return f"nests {what} too deeply to compare"
    if difference.effect is Effect.CHANGED:
        return f"changes {kind} of {what} from {_shown(difference.base)} to {_shown(difference.head)}"
    if kind in _TAKEN:
        types = _or([_TYPES[witness.type] for witness in difference.witnesses])
        told = _TAKEN[kind].format(what=what, types=types)
        return f"{'no longer' if narrower else 'now'} {verb} {told}"
    if narrower:
        return f"now {verb} {what} only with {kind} {_shown(difference.head)}"
    return f"now {verb} {what} also without {kind} {_shown(difference.base)}"


def _enum_words(difference: Difference, verb: str, what: str) -> str:
    narrower = difference.effect is _N
    known = [_shown(witness.value) for witness in difference.witnesses if witness.known]
    if known:
        return f"{'no longer' if narrower else 'now'} {verb} {_or(known)} for {what}"
    listed = difference.head if narrower else difference.base
    values = _or([_shown(value) for value in listed] if isinstance(listed, list) else [])
    return f"now {verb} only {values} for {what}" if narrower else f"now {verb} more than {values} for {what}"


def named(place: Place) -> str:
    """A place as people write it: ``lines[].sku`` in backticks, with where it is unless it is in the body."""
    location, *steps = place or ("body",)
    if location == "body":
        return f"`{_path(steps)}`" if steps else "a body"
    if not steps:
        return _LOCATIONS.get(location, location) + "s"
    return f"{_LOCATIONS.get(location, location)} `{_path(steps)}`"


def _path(steps: list[str]) -> str:
    text = ""
    for step in steps:
        text += ITEMS if step == ITEMS else ".*" if step == OTHERS else f".{step}"
    return text.removeprefix(".")


def _or(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else "nothing"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return "nothing" if value is None else orjson.dumps(value).decode()
