"""What a change has to do with an interaction: nothing, or a Concern, which is what its consumer does.

A Bearing is asked with one interaction and with everything that its consumer does with the provider, because whether a
new status is handled shows in another interaction.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import orjson
from jsonschema_rs import Draft202012Validator, ValidationError

from contracts.diff.pacts import Interaction, Rule, Side
from contracts.diff.rules import Direction
from contracts.diff.schema import Difference, Effect, Place, json_type
from contracts.errors import UnreadableContract


class Concern(NamedTuple):
    """What the consumer does; `proven`: the interaction itself shows that the newer side would not go with it."""

    told: str
    proven: bool = False


Bearing = Callable[[Interaction, Sequence[Interaction]], Concern | None]

_LONGEST_SHOWN = 60


def of(difference: Difference, direction: Direction, status: int = 0) -> Bearing:
    """The bearing of a schema's difference; for an answer, of the status it belongs to."""
    match direction:
        case Direction.REQUEST:
            return _on_request(difference)
        case Direction.ANSWER:
            return _on_answer(difference, status)
        case Direction.EVENT:
            return _on_event(difference)


def calls(told: str = "calls it") -> Bearing:
    """Concerns whoever calls the operation or receives the event."""
    return lambda _interaction, _all: Concern(told)


def answered_with(status: int) -> Bearing:
    """Concerns whoever expects that status; 0: any."""
    if not status:
        return calls()
    return lambda interaction, _all: Concern(f"expects {status}") if interaction.status == status else None


def unhandled(status: int) -> Bearing:
    """Concerns whoever handles neither this status nor, for a refusal, any refusal of its class from this provider.

    RFC 9110, section 15: a client treats an error status that it does not know as the x00 status of its class. A new
    success has another meaning than the old one and is handled only by an interaction of its own. A status of 0 stands
    for any, which nobody handles.
    """
    if not status:
        return calls()

    def bearing(interaction: Interaction, everything: Sequence[Interaction]) -> Concern | None:
        if status >= 400:
            handled = any(other.status // 100 == status // 100 for other in everything)
        else:
            handled = any(
                other.status == status and (other.method, other.route) == (interaction.method, interaction.route)
                for other in everything
            )
        return None if handled else Concern(f"handles no {status}")

    return bearing


def problem(status: int, uri: str) -> Bearing:
    """Concerns whoever expects this very type of problem."""

    def bearing(interaction: Interaction, _all: Sequence[Interaction]) -> Concern | None:
        expected = status in (0, interaction.status) and uri in interaction.answered.values(("body", "type"))
        return Concern("expects it") if expected else None

    return bearing


def without_credentials(interaction: Interaction, _all: Sequence[Interaction]) -> Concern | None:
    """Concerns whoever sends no Authorization and does not expect to be refused for that."""
    bare = not interaction.sent.values(("header", "authorization")) and interaction.status != 401
    return Concern("sends no Authorization") if bare else None


def with_media_type(side: str, media_type: str, status: int = 0) -> Bearing:
    """Concerns whoever sends (side `sent`) or reads (side `answered`) a body of that media type."""

    def bearing(interaction: Interaction, _all: Sequence[Interaction]) -> Concern | None:
        carrying: Side = interaction.sent if side == "sent" else interaction.answered
        if (status and interaction.status != status) or not carrying.values(("body",)):
            return None
        declared = [str(value).split(";")[0].strip() for value in carrying.values(("header", "content-type"))]
        told = "sends it" if side == "sent" else "reads it"
        return Concern(told) if media_type in (declared or [media_type]) else None

    return bearing


def _on_request(difference: Difference) -> Bearing:
    place = difference.place
    if difference.kind in ("required", "required member") and difference.effect is Effect.ADDED:
        return _lacking(place)
    if difference.kind == "default":
        return _lacking(place)
    if difference.effect is Effect.REMOVED:
        return lambda interaction, _all: Concern("sends it") if interaction.sent.values(place) else None

    def bearing(interaction: Interaction, _all: Sequence[Interaction]) -> Concern | None:
        examples = interaction.sent.values(place)
        refused = [value for value in examples if not _fits(difference, value)]
        if refused:
            return Concern(f"sends {_shown(refused[0])}", proven=True)
        if examples and not difference.demand:
            return Concern("sends it")
        rule = interaction.sent.rule(place)
        if not examples or rule is None or _knows(rule, difference):
            return None
        may = [witness for witness in difference.witnesses if rule.takes(witness, examples[0]) is not False]
        if not may:
            return None
        shown = [_shown(witness.value) for witness in may if witness.known]
        return Concern(f"may send {shown[0] if shown else 'such a value'}")

    return bearing


def _lacking(place: Place) -> Bearing:
    """Concerns whoever sends what should hold the member without it."""
    *above, name = place

    def bearing(interaction: Interaction, _all: Sequence[Interaction]) -> Concern | None:
        if not above:
            return None if name in interaction.sent.carried else Concern("does not send it")
        holders = interaction.sent.values(tuple(above))
        lacks = any(isinstance(holder, dict) and name not in holder for holder in holders)
        return Concern("does not send it") if lacks else None

    return bearing


def _on_answer(difference: Difference, status: int) -> Bearing:
    def bearing(interaction: Interaction, _all: Sequence[Interaction]) -> Concern | None:
        if status and interaction.status != status:
            return None
        examples = interaction.answered.values(difference.place)
        if not examples:
            return None
        rule = interaction.answered.rule(difference.place)
        if rule is not None and _knows(rule, difference):
            return None
        if rule is not None and difference.witnesses:
            taken = all(rule.takes(witness, examples[0]) for witness in difference.witnesses)
            return None if taken else Concern("reads it and does not expect such a value")
        return Concern("reads it")

    return bearing


def _on_event(difference: Difference) -> Bearing:
    """Receivers hold what an event's schema names to it: only an optional member matters to its readers alone."""

    def bearing(interaction: Interaction, _all: Sequence[Interaction]) -> Concern | None:
        if interaction.answered.values(difference.place):
            return Concern("reads it")
        optional = difference.kind == "member" and difference.effect is Effect.REMOVED
        return None if optional else Concern("receives it and holds it to its schema")

    return bearing


def _knows(rule: Rule, difference: Difference) -> bool:
    """Whether the consumer holds itself to the newer side's pattern already."""
    return difference.kind == "pattern" and rule.holds_to(difference.head)


def _fits(difference: Difference, value: object) -> bool:
    """Whether a value is what the newer side demands. Outside a body values are texts, read as their schema says."""
    checker = _checker(orjson.dumps(difference.demand))
    if difference.place[:1] == ("body",):
        return checker.is_valid(value)
    readings = list(_readings(value))
    if difference.kind in ("type", "enum"):
        return any(checker.is_valid(reading) for reading in readings)
    types = {witness.type for witness in difference.witnesses}
    return all(checker.is_valid(reading) for reading in readings if json_type(reading) in types)


def _readings(value: object) -> Iterable[object]:
    yield value
    if isinstance(value, str):
        with contextlib.suppress(orjson.JSONDecodeError):
            yield orjson.loads(value)
    yield [value]


@cache
def _checker(demand: bytes) -> Draft202012Validator:
    try:
        return Draft202012Validator(orjson.loads(demand), validate_formats=True)
    except ValidationError as error:
        raise UnreadableContract(f"{demand.decode()} in a schema is not understood: {error.message}") from error


def _shown(value: object) -> str:
    text = f"'{value}'" if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
