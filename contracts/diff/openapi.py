"""Compares two OpenAPI documents: operations, what they take, what they answer, who may call them.

The request of an operation is compared as one object (`path`, `query`, `header`, `body`), and so is each answer
(`header`, `body`): the rules for members of objects are then the rules for parameters and headers.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from contracts.diff import bearing
from contracts.diff.changes import Change, Subject
from contracts.diff.rules import Direction, Weight, weight_of, words_of
from contracts.diff.schema import Comparison, Schema, resolve
from contracts.errors import UnreadableContract
from contracts.wire import problem_type

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")

_PARAMETER = re.compile(r"\{[^{}]*\}")
_OPERATION_ANNOTATIONS = frozenset({"operationId", "summary", "description", "tags", "externalDocs", "servers"})
_PARAMETER_COMPARED = frozenset(
    {"name", "in", "required", "schema", "description", "deprecated", "example", "examples", "x-missing-problem"}
)
_OPERATION_COMPARED = frozenset({"parameters", "requestBody", "responses", "security", "deprecated"})


@dataclass(frozen=True, slots=True)
class _Operation:
    """One side of an operation. `path_names`: its path parameters in order, whose names are nobody's business."""

    source: Mapping[str, Any]
    shared: tuple[Mapping[str, Any], ...]
    document: Mapping[str, Any]

    @property
    def path_names(self) -> list[str]:
        return [parameter["name"] for parameter in self.parameters if parameter["in"] == "path"]

    @property
    def parameters(self) -> list[Mapping[str, Any]]:
        own = [self.resolved(parameter) for parameter in self.source.get("parameters", [])]
        named = {(parameter["name"], parameter["in"]) for parameter in own}
        shared = [self.resolved(parameter) for parameter in self.shared]
        return [parameter for parameter in shared if (parameter["name"], parameter["in"]) not in named] + own

    @property
    def body(self) -> Mapping[str, Any]:
        return self.resolved(self.source.get("requestBody", {}))

    @property
    def answers(self) -> dict[str, Mapping[str, Any]]:
        return {str(status): self.resolved(answer) for status, answer in self.source.get("responses", {}).items()}

    @property
    def security(self) -> dict[str, str]:
        """The ways to prove who calls, by their name and definition; none: anybody may."""
        schemes = self.document.get("components", {}).get("securitySchemes", {})
        told = {}
        for option in self.source.get("security", self.document.get("security", [])):
            parts = {name: [self.resolved(schemes.get(name, {})), scopes] for name, scopes in option.items()}
            definition = {name: [_unannotated(scheme), scopes] for name, (scheme, scopes) in parts.items()}
            told[orjson.dumps(definition, option=orjson.OPT_SORT_KEYS).decode()] = (
                " and ".join(sorted(option)) or "nothing"
            )
        return told

    def resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        seen = set()
        while "$ref" in node:
            if node["$ref"] in seen:
                raise UnreadableContract(f"the reference {node['$ref']!r} leads back to itself")
            seen.add(node["$ref"])
            node = resolve(node["$ref"], self.document)
        return node


def changes(name: str, base: Mapping[str, Any], head: Mapping[str, Any]) -> list[Change]:
    """The changes from one state of a document to another, operation by operation."""
    before, after = _operations(base), _operations(head)
    found: list[Change] = []
    for key in sorted(before.keys() | after.keys(), key=lambda key: (key[1], key[0])):
        method, route = key
        old, new = before.get(key), after.get(key)
        path = (old or new or ("",))[0]
        maker = _Maker(Subject(name, method, route), f"{method} {path}")
        if old is None:
            found.append(maker.change(Weight.COMPATIBLE, "is new", bearing.calls()))
        elif new is None:
            found.append(maker.change(Weight.BREAKING, "is gone", bearing.calls()))
        else:
            found += _Compared(maker, old[1], new[1]).changes()
    return found


def routes(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Method and path template of every operation."""
    return [(method, path) for (method, _), (path, _) in _operations(document).items()]


def route_of(path: str) -> str:
    """A path template with its parameters unnamed: what they are called is nobody's business."""
    return _PARAMETER.sub("{}", path)


def _operations(document: Mapping[str, Any]) -> dict[tuple[str, str], tuple[str, _Operation]]:
    return {
        (method.upper(), route_of(path)): (path, _Operation(item[method], tuple(item.get("parameters", ())), document))
        for path, item in document.get("paths", {}).items()
        for method in METHODS
        if method in item
    }


@dataclass(frozen=True, slots=True)
class _Maker:
    subject: Subject
    where: str

    def change(self, weight: Weight, words: str, concerns: bearing.Bearing, status: str = "") -> Change:
        return Change(self.subject, f"{self.where} {status}".rstrip(), weight, words, concerns)


@dataclass(frozen=True, slots=True)
class _Compared:
    """An operation that both sides have."""

    make: _Maker
    old: _Operation
    new: _Operation

    def changes(self) -> Iterator[Change]:
        yield from self._security()
        yield from self._request()
        yield from self._answers()
        yield from self._rest()

    def _security(self) -> Iterator[Change]:
        before, after = self.old.security, self.new.security
        if not before and after:
            words = f"now requires authentication ({', '.join(after.values())})"
            yield self.make.change(Weight.BREAKING, words, bearing.without_credentials)
            return
        if before and not after:
            yield self.make.change(Weight.COMPATIBLE, "no longer requires authentication", bearing.calls())
            return
        for definition, told in before.items():
            if definition not in after:
                words = f"no longer takes authentication by {told} as it was"
                yield self.make.change(Weight.BREAKING, words, bearing.calls())
        for definition, told in after.items():
            if definition not in before:
                yield self.make.change(Weight.COMPATIBLE, f"now takes authentication by {told}", bearing.calls())

    def _request(self) -> Iterator[Change]:
        before, after = self.old.body.get("content", {}), self.new.body.get("content", {})
        shared, gone, come = _parted(before, after)
        for media_type in gone if after else ():
            concerns = bearing.with_media_type("sent", media_type)
            yield self.make.change(Weight.BREAKING, f"no longer takes {media_type}", concerns)
        for media_type in come if before else ():
            yield self.make.change(Weight.COMPATIBLE, f"now takes {media_type}", bearing.calls())
        yield from self._schemas(
            _request_schema(self.old, shared, self.old.path_names),
            _request_schema(self.new, shared, self.old.path_names),
            Direction.REQUEST,
        )

    def _answers(self) -> Iterator[Change]:
        shared, gone, come = _parted(self.old.answers, self.new.answers)
        for status in gone:
            concerns = bearing.answered_with(_number(status))
            yield self.make.change(Weight.BREAKING, f"no longer answers {status}", concerns)
        for status in come:
            concerns = bearing.unhandled(_number(status))
            yield self.make.change(Weight.BREAKING, f"now answers {status}", concerns)
        for status in shared:
            yield from self._answer(status, self.old.answers[status], self.new.answers[status])

    def _answer(self, status: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
        number = _number(status)
        _, gone, come = _parted(old.get("x-problems", ()), new.get("x-problems", ()))
        for key in gone:
            concerns = bearing.problem(number, problem_type(key))
            yield self.make.change(Weight.BREAKING, f"no longer answers the problem {key}", concerns, status)
        for key in come:
            yield self.make.change(Weight.BREAKING, f"now answers the problem {key}", bearing.unhandled(number), status)
        shared, gone, come = _parted(old.get("content", {}), new.get("content", {}))
        for media_type in gone if new.get("content") else ():
            concerns = bearing.with_media_type("answered", media_type, number)
            yield self.make.change(Weight.BREAKING, f"no longer answers {media_type}", concerns, status)
        for media_type in come if old.get("content") else ():
            yield self.make.change(Weight.COMPATIBLE, f"may now answer {media_type}", bearing.calls(), status)
        before = _answer_schema(self.old, old, shared)
        after = _answer_schema(self.new, new, shared)
        yield from self._schemas(before, after, Direction.ANSWER, status)

    def _schemas(self, old: Schema, new: Schema, direction: Direction, status: str = "") -> Iterator[Change]:
        for difference in Comparison(self.old.document, self.new.document).differences(old, new):
            weight, words = weight_of(difference, direction), words_of(difference, direction)
            yield self.make.change(weight, words, bearing.of(difference, direction, _number(status)), status)

    def _rest(self) -> Iterator[Change]:
        old, new = self.old.source, self.new.source
        if new.get("deprecated") and not old.get("deprecated"):
            yield self.make.change(Weight.COMPATIBLE, "is now deprecated", bearing.calls())
        for key in sorted((old.keys() | new.keys()) - _OPERATION_ANNOTATIONS - _OPERATION_COMPARED):
            if old.get(key) != new.get(key):
                yield self.make.change(Weight.UNJUDGED, f"changes `{key}`", bearing.calls())


def _request_schema(operation: _Operation, shared: Iterable[str], path_names: list[str]) -> Schema:
    """What the operation takes, as one object. Path parameters go by the older side's names."""
    locations: Schema = {}
    parameters = operation.parameters
    for location in ("path", "query", "header"):
        here = [parameter for parameter in parameters if parameter["in"] == location]
        names = [parameter["name"].lower() if location == "header" else parameter["name"] for parameter in here]
        if location == "path" and len(here) == len(path_names):
            names = path_names
        locations[location] = _closed(
            {name: _value_schema(parameter) for name, parameter in zip(names, here, strict=True)},
            [name for name, parameter in zip(names, here, strict=True) if parameter.get("required")],
        )
    required = ["path", "query", "header"]
    if operation.body:
        locations["body"] = _body(operation.body, shared)
        required += ["body"] if operation.body.get("required") else []
    return _closed(locations, required)


def _answer_schema(operation: _Operation, answer: Mapping[str, Any], shared: Iterable[str]) -> Schema:
    headers = {name.lower(): operation.resolved(header) for name, header in answer.get("headers", {}).items()}
    required = [name for name, header in headers.items() if header.get("required")]
    parts = {"header": _closed({name: _value_schema(header) for name, header in headers.items()}, required)}
    if answer.get("content"):
        parts["body"] = _body(answer, shared)
    return _closed(parts, sorted(parts))


def _value_schema(source: Mapping[str, Any]) -> Schema:
    """The schema of a parameter or header; how it is written (`style`, `content`) stands in it as keywords."""
    written = {key: value for key, value in source.items() if key not in _PARAMETER_COMPARED}
    schema: Schema = source.get("schema", {})
    return {"allOf": [schema], **written} if written else schema


def _body(holder: Mapping[str, Any], shared: Iterable[str]) -> Schema:
    """The schemas of the media types that both sides have. Where there are several, each goes for itself."""
    schemas = [holder["content"][media_type].get("schema", {}) for media_type in shared]
    return schemas[0] if len(schemas) == 1 else {"allOf": schemas}


def _closed(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _parted(before: Iterable[str], after: Iterable[str]) -> tuple[list[str], list[str], list[str]]:
    """What both have, what only the first has, what only the second has; each in its own order."""
    old, new = list(before), list(after)
    shared = [item for item in old if item in new]
    return shared, [item for item in old if item not in new], [item for item in new if item not in old]


def _unannotated(scheme: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in scheme.items() if key not in ("description", "bearerFormat")}


def _number(status: str) -> int:
    """The status as a number; 0 for `default` and for ranges such as `4XX`, which stand for any."""
    return int(status) if status.isdigit() else 0
