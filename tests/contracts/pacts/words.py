"""What consumers expect of values, in the contracts' words: a pattern, a type, one of several; not the example."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pact import generate, match
from pact.interaction import HttpInteraction
from pact.match.matcher import AbstractMatcher, AndMatcher, GenericMatcher

from contracts.documents import OPENAPI, read_yaml
from contracts.problems import kind_of

_SCHEMAS: dict[str, dict[str, Any]] = read_yaml(OPENAPI / "common.yaml")["components"]["schemas"]
PROBLEM_JSON = "application/problem+json"
CLOUD_EVENT = "application/cloudevents+json"

Matcher = AbstractMatcher[Any]


class _Both(AndMatcher[Any]):
    """Matchers together, with the example that the library leaves out."""

    def to_integration_json(self) -> dict[str, Any]:
        return {**super().to_integration_json(), "value": self._value}


def text(example: str) -> Matcher:
    """Any text."""
    return match.str(example)


def spelled(example: str, regex: str, expression: str = "") -> Matcher:
    """What has no type of its own: a header, a path, a query. The provider's state puts the value of `expression` in
    its place.
    """
    assert re.search(regex, example), f"example {example!r} does not fit {regex}"
    generator = generate.provider_state(expression) if expression else None
    return GenericMatcher("regex", example, generator=generator, regex=regex)


def pattern(example: str, regex: str) -> Matcher:
    """JSON text of a pattern. Pact would take a number or an object, too, whose JSON happens to fit."""
    return _Both(match.type(example), spelled(example, regex), value=example)


def _schema(name: str, example: str) -> Matcher:
    return pattern(example, pattern_of(name))


def pattern_of(name: str) -> str:
    """The pattern of a schema that the contracts share."""
    return str(_SCHEMAS[name]["pattern"])


def identifier(example: str) -> Matcher:
    return _schema("Identifier", example)


def reference(example: str) -> Matcher:
    return _schema("Reference", example)


def sku(example: str) -> Matcher:
    return _schema("Sku", example)


def currency(example: str) -> Matcher:
    return _schema("Currency", example)


def country(example: str) -> Matcher:
    return _schema("Country", example)


def timestamp(example: str) -> Matcher:
    return _schema("Timestamp", example)


def whole(example: int) -> Matcher:
    """A JSON integer."""
    return match.integer(example)


def one_of(example: str, values: Sequence[str]) -> Matcher:
    return pattern(example, f"^({'|'.join(values)})$")


def given(name: str, example: str) -> Matcher:
    """An identifier that the provider made: in a request, the value that its state tells under that name."""
    return spelled(example, pattern_of("Identifier"), f"${{{name}}}")


def given_path(template: str, **examples: str) -> Matcher:
    """A path that holds identifiers which the provider made: `/labels/{label_id}/void`."""
    expression = re.sub(r"\{(\w+)\}", r"${\1}", template)
    regex = "^" + re.sub(r"\{\w+\}", "[^/]+", template) + "$"
    return spelled(template.format(**examples), regex, expression)


def some(example: Any) -> Matcher:
    """At least one of these."""
    return match.each_like(example, min=1)


def problem(key: str, **extensions: Any) -> dict[str, Any]:
    """A problem of the catalogue: its type and status are meant, its words are not."""
    kind = kind_of(key)
    return {"type": kind.type, "title": text(kind.title), "status": kind.status, "detail": text("told to people"),
            **extensions}  # fmt: skip


def address() -> dict[str, Any]:
    return {
        "name": text("Gift Shop Ltd"),
        "street": text("1 High Street"),
        "city": text("Leeds"),
        "postcode": text("LS1 1AA"),
        "country": country("GB"),
    }


ADDRESS = {"name": "Gift Shop Ltd", "street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}


def authorized(upon: HttpInteraction, token: str = "good-token") -> HttpInteraction:
    """With the token that the provider's state tells."""
    return upon.with_header("Authorization", spelled(f"Bearer {token}", r"^Bearer \S+$", "Bearer ${token}"))


def asks(
    upon: HttpInteraction, path: str | Matcher, query: Mapping[str, str | Matcher] | None = None
) -> HttpInteraction:
    """A read."""
    upon.with_request("GET", path)
    for name, value in (query or {}).items():
        upon.with_query_parameter(name, value)
    return authorized(upon)


def posts(upon: HttpInteraction, path: str | Matcher, body: Any, key: str = "") -> HttpInteraction:
    """A write, under an Idempotency-Key where `key` gives an example of one."""
    upon.with_request("POST", path)
    if key:
        upon.with_header("Idempotency-Key", spelled(key, r"^[\x21-\x7e]{1,255}$"))
    return authorized(upon).with_body(body, "application/json")


def answers(
    upon: HttpInteraction, status: int, body: Any, headers: Mapping[str, str | Matcher] | None = None
) -> HttpInteraction:
    upon.will_respond_with(status)
    for name, value in (headers or {}).items():
        upon.with_header(name, value)
    return upon.with_body(body, "application/json")


def refuses(
    upon: HttpInteraction, key: str, headers: Mapping[str, str | Matcher] | None = None, **extensions: Any
) -> HttpInteraction:
    """A problem of the catalogue, with its status."""
    upon.will_respond_with(kind_of(key).status)
    for name, value in (headers or {}).items():
        upon.with_header(name, value)
    return upon.with_body(problem(key, **extensions), PROBLEM_JSON)


def seconds(example: str) -> Matcher:
    """Retry-After as every partner here sends it."""
    return spelled(example, "^[0-9]{1,5}$")
