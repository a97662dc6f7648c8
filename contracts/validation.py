"""The contracts as compiled validators: what an operation accepts and answers, and what an event must look like.

`Contract.load("erp").operation("POST", "/shipments")` gives an Operation, compiled once per process and document.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator, Registry

from contracts.documents import EVENTS, load_document
from contracts.errors import ContractBreach, UnknownContract

Schema = dict[str, Any]

MOST_VIOLATIONS = 10
_LONGEST_MESSAGE = 200
_METHODS = ("get", "put", "post", "delete", "patch")
_FLASK_CONVERTER = re.compile(r"<(?:[^:<>]+:)?([^:<>]+)>")
_PATH_PARAMETER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Violation:
    """One place that breaks a schema; `pointer` is an RFC 6901 JSON pointer into the instance."""

    pointer: str
    message: str


class Checker:
    """One compiled schema; formats are asserted, not only annotated."""

    __slots__ = ("_validator", "fits")

    def __init__(self, validator: Draft202012Validator) -> None:
        self._validator = validator
        self.fits = validator.is_valid

    def violations(self, instance: object) -> list[Violation]:
        """The first violations in order of their pointers, MOST_VIOLATIONS of them; none when the instance fits."""
        if self.fits(instance):
            return []
        found = {(_pointer(error.instance_path), error.message) for error in self._validator.iter_errors(instance)}
        return [Violation(pointer, _shortened(message)) for pointer, message in sorted(found)[:MOST_VIOLATIONS]]


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """A parameter after `?`. `kind` is its JSON type: string, integer, boolean, or array (strings, by repetition)."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class HeaderParameter:
    """A request header; `missing_problem` is the catalogue key to answer when a required one is absent."""

    name: str
    environ_key: str
    required: bool
    missing_problem: str
    checker: Checker


@dataclass(frozen=True, slots=True)
class AnswerSpec:
    """What one status of an operation carries. `checker` None: no body. `problems`: the keys it may stand for."""

    status: int
    media_type: str
    checker: Checker | None
    required_headers: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path template, compiled. `scopes` are what a key needs to use it, if the document names any."""

    contract: str
    operation_id: str
    method: str
    path: str
    secured: bool
    scopes: tuple[str, ...]
    media_types: tuple[str, ...]
    body: Checker | None
    path_values: Checker | None
    query: tuple[QueryParameter, ...]
    query_values: Checker | None
    query_defaults: Mapping[str, object]
    headers: tuple[HeaderParameter, ...]
    answers: Mapping[int, AnswerSpec]

    def request_errors(self, body: object) -> list[Violation]:
        """What is wrong with a parsed request body; none for an operation that takes no body."""
        return self.body.violations(body) if self.body else []

    def answer(self, status: int) -> AnswerSpec:
        """The answer documented for a status; ContractBreach when there is none."""
        found = self.answers.get(status)
        if found is None:
            documented = ", ".join(str(known) for known in self.answers)
            raise ContractBreach(f"{self} does not document status {status}, only {documented}")
        return found

    def answer_errors(self, status: int, body: object) -> list[Violation]:
        """What is wrong with an answer's parsed body (None: no body)."""
        spec = self.answer(status)
        if spec.checker is None:
            return [] if body is None else [Violation("", f"status {status} carries no body")]
        return spec.checker.violations(body)

    def __str__(self) -> str:
        return f"{self.contract}.yaml {self.method} {self.path}"


class Contract:
    """One OpenAPI document, self-contained, with all operations compiled."""

    def __init__(self, name: str, document: Schema) -> None:
        self.name = name
        self.document = document
        compiler = _Compiler(name, document)
        self.operations: tuple[Operation, ...] = tuple(compiler.operations())
        self._by_route = {(operation.method, operation.path): operation for operation in self.operations}
        fixed_first: list[str] = sorted(document["paths"], key=lambda path: path.count("{"))
        self._templates = [(_path_pattern(path), path) for path in fixed_first]

    @staticmethod
    @cache
    def load(name: str) -> "Contract":
        """The contract of that name (orders, erp, wms, threepl, carrier), read and compiled once."""
        return Contract(name, load_document(name))

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every scope that an operation asks for, in order of name."""
        return tuple(sorted({scope for operation in self.operations for scope in operation.scopes}))

    def operation(self, method: str, rule: str) -> Operation:
        """The operation at a Flask rule or a path template; UnknownContract when the document has none."""
        path = template_of(rule)
        found = self._by_route.get((method, path))
        if found is None:
            raise UnknownContract(f"{self.name}.yaml has no {method} {path}")
        return found

    def methods(self, rule: str) -> list[str]:
        """The methods documented for a Flask rule or path template, in the document's order."""
        path = template_of(rule)
        return [operation.method for operation in self.operations if operation.path == path]

    def route_of(self, path: str) -> str:
        """The path template that a concrete path (no query) falls under; "" when none does. Fixed parts win."""
        for pattern, template in self._templates:
            if pattern.fullmatch(path):
                return template
        return ""


class _Compiler:
    """Turns a document's operations into compiled ones; equal schemas share one validator."""

    def __init__(self, name: str, document: Schema) -> None:
        self._name = name
        self._document = document
        self._registry = Registry([(f"urn:peakproof:openapi:{name}", {"components": document["components"]})])
        self._compiled: dict[bytes, Checker] = {}

    def operations(self) -> Iterator[Operation]:
        for path, item in self._document["paths"].items():
            for method in _METHODS:
                if method in item:
                    yield self._operation(method.upper(), path, item[method], item.get("parameters", []))

    def _operation(self, method: str, path: str, source: Schema, shared: list[Schema]) -> Operation:
        parameters = [self._resolve(parameter) for parameter in [*shared, *source.get("parameters", [])]]
        content: Schema = self._resolve(source.get("requestBody", {})).get("content", {})
        query = [parameter for parameter in parameters if parameter["in"] == "query"]
        security: list[Schema] = source["security"] if "security" in source else self._document.get("security", [])
        return Operation(
            contract=self._name,
            operation_id=source["operationId"],
            method=method,
            path=path,
            secured=bool(security),
            scopes=tuple(scope for option in security for scopes in option.values() for scope in scopes),
            media_types=tuple(content),
            body=self._checker(next(iter(content.values()))["schema"]) if content else None,
            path_values=self._object([parameter for parameter in parameters if parameter["in"] == "path"]),
            query=tuple(self._query_parameter(parameter) for parameter in query),
            query_values=self._object(query),
            query_defaults=self._defaults(query),
            headers=tuple(self._header(parameter) for parameter in parameters if parameter["in"] == "header"),
            answers={int(status): self._answer(int(status), answer) for status, answer in source["responses"].items()},
        )

    def _answer(self, status: int, source: Schema) -> AnswerSpec:
        answer = self._resolve(source)
        headers = {name: self._resolve(header) for name, header in answer.get("headers", {}).items()}
        media_type, media = next(iter(answer.get("content", {}).items()), ("", None))
        return AnswerSpec(
            status=status,
            media_type=media_type,
            checker=self._checker(media["schema"]) if media else None,
            required_headers=tuple(name for name, header in headers.items() if header.get("required")),
            problems=tuple(answer.get("x-problems", ())),
        )

    def _header(self, source: Schema) -> HeaderParameter:
        missing = source.get("x-missing-problem", "invalid-request")
        name: str = source["name"]
        environ_key = "HTTP_" + name.upper().replace("-", "_")
        checker = self._checker(source["schema"])
        return HeaderParameter(name, environ_key, source.get("required", False), missing, checker)

    def _query_parameter(self, source: Schema) -> QueryParameter:
        return QueryParameter(source["name"], self._resolve(source["schema"])["type"])

    def _defaults(self, query: list[Schema]) -> dict[str, object]:
        schemas = {parameter["name"]: self._resolve(parameter["schema"]) for parameter in query}
        return {name: schema["default"] for name, schema in schemas.items() if "default" in schema}

    def _object(self, parameters: list[Schema]) -> Checker | None:
        """One checker over all path or all query parameters, taken together as an object."""
        if not parameters:
            return None
        return self._checker(
            {
                "type": "object",
                "properties": {parameter["name"]: parameter["schema"] for parameter in parameters},
                "required": [parameter["name"] for parameter in parameters if parameter.get("required")],
                "additionalProperties": False,
            }
        )

    def _checker(self, schema: Schema) -> Checker:
        text = orjson.dumps(schema)
        if text not in self._compiled:
            outward = text.replace(b'"#/components/', f'"urn:peakproof:openapi:{self._name}#/components/'.encode())
            validator = Draft202012Validator(orjson.loads(outward), validate_formats=True, registry=self._registry)
            self._compiled[text] = Checker(validator)
        return self._compiled[text]

    def _resolve(self, node: Schema) -> Schema:
        while "$ref" in node:
            target: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node


class Events:
    """The schemas of all events: contracts/events/<type>.json, each over the shared envelope in common.json.

    Senders are held to them as they stand. Receivers read tolerantly: members that a schema does not know are let pass,
    so that a partner may add one; what is known must fit.
    """

    def __init__(self) -> None:
        files = sorted(EVENTS.glob("*.json"))
        schemas: dict[str, Schema] = {path.stem: orjson.loads(path.read_bytes()) for path in files}
        self.schemas = {name: schema for name, schema in schemas.items() if name != "common"}
        registry = Registry([(schema["$id"], schema) for schema in schemas.values()])
        tolerant = Registry([(schema["$id"], _opened(schema)) for schema in schemas.values()])
        self._envelopes: dict[str, Checker] = {}
        self._received: dict[str, Checker] = {}
        self._data: dict[str, Checker] = {}
        for name, schema in self.schemas.items():
            self._envelopes[name] = _event_checker(schema["$id"], registry)
            self._received[name] = _event_checker(schema["$id"], tolerant)
            self._data[name] = _event_checker(schema["$id"] + "#/properties/data", registry)

    @staticmethod
    @cache
    def load() -> "Events":
        """All event schemas, read and compiled once."""
        return Events()

    @property
    def types(self) -> list[str]:
        """The known event types, in order of name."""
        return list(self.schemas)

    def data_errors(self, event_type: str, data: object) -> list[Violation]:
        """What is wrong with an event's data; UnknownContract for a type that has no schema."""
        return self._of(self._data, event_type).violations(data)

    def envelope_errors(self, envelope: Mapping[str, object]) -> list[Violation]:
        """What is wrong with a whole CloudEvent, its data included; an unknown type is a violation at /type."""
        return self._whole_errors(self._envelopes, envelope)

    def received_errors(self, envelope: Mapping[str, object]) -> list[Violation]:
        """As `envelope_errors`, for receivers: members that are not known are let pass, at any depth."""
        return self._whole_errors(self._received, envelope)

    def _whole_errors(self, checkers: Mapping[str, Checker], envelope: Mapping[str, object]) -> list[Violation]:
        event_type = envelope.get("type")
        if not isinstance(event_type, str) or event_type not in checkers:
            return [Violation("/type", f"{event_type!r} is none of {', '.join(self.types)}")]
        return checkers[event_type].violations(envelope)

    def check(self, event_type: str, data: object) -> None:
        """For senders: ContractBreach unless the data fit their type."""
        violations = self.data_errors(event_type, data)
        if violations:
            raise ContractBreach(f"event {event_type}: {told(violations)}")

    @staticmethod
    def _of(checkers: Mapping[str, Checker], event_type: str) -> Checker:
        if event_type not in checkers:
            raise UnknownContract(f"there is no event type {event_type!r}: contracts/events has {', '.join(checkers)}")
        return checkers[event_type]


def _opened(node: Any) -> Any:
    """A schema without its bans on further members."""
    if isinstance(node, dict):
        closed = node.get("additionalProperties") is False
        return {name: _opened(child) for name, child in node.items() if not (closed and name == "additionalProperties")}
    return [_opened(child) for child in node] if isinstance(node, list) else node


def template_of(rule: str) -> str:
    """A Flask rule as an OpenAPI path template: `/orders/<order_id>` is `/orders/{order_id}`."""
    return _FLASK_CONVERTER.sub(r"{\1}", rule)


def told(violations: Sequence[Violation]) -> str:
    """Violations as one line of text."""
    return "; ".join(f"{violation.pointer or 'the whole'}: {violation.message}" for violation in violations)


def _event_checker(reference: str, registry: Registry) -> Checker:
    return Checker(Draft202012Validator({"$ref": reference}, validate_formats=True, registry=registry))


def _path_pattern(path: str) -> re.Pattern[str]:
    parts = _PATH_PARAMETER.split(path)
    return re.compile("".join("[^/]+" if index % 2 else re.escape(part) for index, part in enumerate(parts)))


def _pointer(path: Sequence[str | int]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 3] + "..."
