"""Who sends and reads what: the interactions of the Pact files (specification V4), made comparable with the contracts.

What a consumer sends and what it expects become one object each, by location (`path`, `query`, `header`, `body`), and a
matching rule can be asked whether it takes a value. An example without a rule stands for itself alone.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from contracts.diff.schema import ITEMS, OTHERS, Place, Witness, json_type
from contracts.errors import UnreadableContract

Rules = Mapping[Place, "Rule"]

_STEP = re.compile(r"\.([^.\[\]]+)|\[(?:'([^']*)'|\"([^\"]*)\"|(\d+|\*))\]")
_MATCHERS_OF_TYPE = {
    "integer": ("integer",),
    "number": ("integer", "fraction"),
    "decimal": ("fraction",),
    "boolean": ("boolean",),
    "null": ("null",),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """The matchers of one place; `every`: all of them must take a value, else one is enough."""

    matchers: tuple[Mapping[str, Any], ...]
    every: bool = True

    def takes(self, witness: Witness, example: object) -> bool | None:
        """Whether the rule takes such a value where the example stands; None when it can't be told."""
        told = [_takes(matcher, witness, example) for matcher in self.matchers]
        decisive = not self.every
        if decisive in told:
            return decisive
        return None if None in told else self.every

    def holds_to(self, pattern: object) -> bool:
        """Whether the rule lets only texts of this very pattern through."""
        return any(matcher.get("match") == "regex" and matcher.get("regex") == pattern for matcher in self.matchers)

    @property
    def cascades(self) -> bool:
        """Whether the rule holds for what is below its place, too, as `type` does."""
        return any(matcher.get("match") == "type" for matcher in self.matchers)


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of an interaction carries, by location, with the rules that it is matched by."""

    carried: Mapping[str, Any]
    rules: Rules = field(default_factory=dict)

    def values(self, place: Place) -> list[Any]:
        """The examples at a place: several below a list, none where the interaction has nothing there."""
        return list(_values(self.carried, place))

    def rule(self, place: Place) -> Rule | None:
        """The rule for a place: its own, else the nearest one above that reaches down to it."""
        for length in range(len(place), 0, -1):
            rule = self.rules.get(place[:length])
            if rule is not None and (length == len(place) or rule.cascades):
                return rule
        return None


@dataclass(frozen=True, slots=True)
class Interaction:
    """One expectation of a consumer. `sent` and `answered` are its sides.

    `path` is the concrete one; `route` is the path template of the contract that it falls under, once that is known.
    """

    consumer: str
    provider: str
    description: str
    method: str = ""
    path: str = ""
    route: str = ""
    status: int = 0
    event: str = ""
    sent: Side = field(default_factory=lambda: Side({}))
    answered: Side = field(default_factory=lambda: Side({}))


def read(path: str, pact: Mapping[str, Any]) -> list[Interaction]:
    """The interactions of one pact; UnreadableContract names the file and what is missing."""
    try:
        version = str(pact["metadata"]["pactSpecification"]["version"])
        if not version.startswith("4"):
            raise UnreadableContract(
                f"contracts/{path} is a pact of specification {version}; only V4 is read: write it anew"
            )
        consumer, provider = pact["consumer"]["name"], pact["provider"]["name"]
        # A pending one is not yet promised by anybody: its consumer does not rely on it.
        promised = [source for source in pact["interactions"] if not source.get("pending")]
        return [_interaction(consumer, provider, source) for source in promised]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableContract(
            f"contracts/{path} is no pact of specification V4: {type(error).__name__} {error}"
        ) from error


def _interaction(consumer: str, provider: str, source: Mapping[str, Any]) -> Interaction:
    description = str(source["description"])
    kind = source["type"]
    if kind == "Synchronous/HTTP":
        request, response = source["request"], source["response"]
        sent = _side(request)
        return Interaction(
            consumer,
            provider,
            description,
            method=str(request["method"]).upper(),
            path=str(request["path"]),
            status=int(response.get("status", 200)),
            sent=sent,
            answered=_side(response),
        )
    if kind == "Asynchronous/Messages":
        return _message(consumer, provider, description, source)
    raise UnreadableContract(
        f"the pact of {consumer} with {provider} has {description!r} of type {kind!r}, which is not read"
    )


def _message(consumer: str, provider: str, description: str, source: Mapping[str, Any]) -> Interaction:
    contents = _content(source.get("contents"))
    side = _side({"body": source.get("contents"), "matchingRules": source.get("matchingRules")})
    metadata = source.get("metadata") or {}
    if isinstance(contents, dict) and "type" in contents and "data" in contents:
        return Interaction(consumer, provider, description, event=str(contents["type"]), answered=side)
    # The data alone, without the envelope: what it is stands in the metadata or else in the description.
    event = str(metadata.get("type") or metadata.get("ce_type") or metadata.get("ce-type") or description)
    rules = {("body", "data", *place[1:]): rule for place, rule in side.rules.items()}
    return Interaction(consumer, provider, description, event=event, answered=Side({"body": {"data": contents}}, rules))


def _side(source: Mapping[str, Any]) -> Side:
    query = {name: _lone(values) for name, values in (source.get("query") or {}).items()}
    headers = {name.lower(): _lone(values) for name, values in (source.get("headers") or {}).items()}
    carried: dict[str, Any] = {"query": query, "header": headers}
    if source.get("body") is not None:
        carried["body"] = _content(source["body"])
    return Side(carried, dict(_rules(source.get("matchingRules") or {})))


def _lone(values: Any) -> Any:
    return values[0] if isinstance(values, list) and len(values) == 1 else values


def _content(body: Any) -> Any:
    """What a V4 body holds; JSON in a text or in base64 is parsed."""
    if not isinstance(body, dict) or "content" not in body:
        return None
    content, encoded = body["content"], body.get("encoded", False)
    if isinstance(content, str) and "json" in str(body.get("contentType", "")):
        try:
            raw = base64.b64decode(content) if str(encoded).lower() == "base64" else content.encode()
            return orjson.loads(raw)
        except (orjson.JSONDecodeError, binascii.Error):
            return content
    return content


def _rules(source: Mapping[str, Any]) -> Iterator[tuple[Place, Rule]]:
    for location, rules in source.items():
        if location == "path":
            yield ("path",), _rule(rules)
        elif location in ("body", "header", "query"):
            for path, rule in rules.items():
                steps = _steps(path) if path.startswith("$") else (path,)
                yield (location, *_lowered(location, steps)), _rule(rule)


def _lowered(location: str, steps: Place) -> Place:
    return tuple(step.lower() for step in steps if step != ITEMS) if location == "header" else steps


def _rule(source: Mapping[str, Any]) -> Rule:
    return Rule(tuple(source["matchers"]), str(source.get("combine", "AND")).upper() == "AND")


def _steps(path: str) -> Place:
    """A path expression of Pact as a place: `$.lines[*].sku` is lines, [], sku."""
    steps = []
    for dotted, single, double, index in _STEP.findall(path):
        steps.append(ITEMS if index else OTHERS if dotted == "*" else dotted or single or double)
    return tuple(steps)


def _values(value: Any, place: Sequence[str]) -> Iterator[Any]:
    if not place:
        yield value
    elif place[0] == ITEMS:
        for element in value if isinstance(value, list) else ():
            yield from _values(element, place[1:])
    elif isinstance(value, dict):
        if place[0] == OTHERS:
            for member in value.values():
                yield from _values(member, place[1:])
        elif place[0] in value:
            yield from _values(value[place[0]], place[1:])


def _takes(matcher: Mapping[str, Any], witness: Witness, example: object) -> bool | None:
    kind = matcher.get("match")
    if kind in _MATCHERS_OF_TYPE:
        return witness.type in _MATCHERS_OF_TYPE[kind]
    if witness.type != json_type(example):
        return False
    if kind == "type":
        return _takes_length(matcher, witness) if witness.type == "array" else True
    if not witness.known:
        return None
    told: dict[object, Callable[[], bool | None]] = {
        "equality": lambda: witness.value == example,
        "regex": lambda: _matches(str(matcher["regex"]), str(witness.value)),
        "include": lambda: str(matcher["value"]) in str(witness.value),
    }
    return told[kind]() if kind in told else None


def _matches(regex: str, text: str) -> bool | None:
    try:
        return re.search(regex, text) is not None
    except re.error:  # written for the regular expressions of Rust, which are not all those of Python
        return None


def _takes_length(matcher: Mapping[str, Any], witness: Witness) -> bool | None:
    if isinstance(witness.value, list) and witness.known:
        return bool(matcher.get("min", 1) <= len(witness.value))
    return True if "max" not in matcher else None
