"""The events as one page that needs no network, and as one AsyncAPI document that stands by itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from contracts.diff.schema import resolve
from contracts.diff.tree import Tree
from contracts.documents import EVENTS, read_yaml
from contracts.pages import environment

_SCHEMAS = "#/components/schemas/"
_NO_LIMITS = frozenset({"title", "description", "type", "properties", "required", "items", "additionalProperties"})


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an event's data: `path` as in `lines[].sku`, and what may stand there."""

    path: str
    required: bool
    kind: str
    limits: str
    description: str


@cache
def events_json() -> bytes:
    """The AsyncAPI document with the schemas of all events in it, as JSON."""
    return orjson.dumps(_bundled())


@cache
def events_page() -> str:
    """The HTML page of all events: channel by channel, each with its data and an example."""
    document = _bundled()
    schemas = document["components"]["schemas"]
    messages = {
        name: {
            "title": message["title"],
            "description": schemas[name].get("description", ""),
            "members": list(_members(schemas[name]["properties"]["data"], "", document)),
            "example": orjson.dumps(schemas[name]["examples"][0], option=orjson.OPT_INDENT_2).decode(),
        }
        for name, message in document["components"]["messages"].items()
    }
    operations = {one["channel"]["$ref"].rpartition("/")[2]: one for one in document["operations"].values()}
    envelope = list(_members(schemas["common"], "", document))
    template = environment().get_template("events.html")
    return template.render(document=document, messages=messages, operations=operations, envelope=envelope)


def _bundled() -> dict[str, Any]:
    """asyncapi.yaml, its references to files turned into references into itself."""
    document = read_yaml(EVENTS / "asyncapi.yaml")
    files = {f"events/{path.name}": path.read_bytes() for path in sorted(EVENTS.glob("*.json"))}
    schemas = Tree("this version", files).events()["components"]["schemas"]
    # An $id would become the base of the references below it, and they lead into the document.
    document["components"]["schemas"] = {
        name: {key: value for key, value in schema.items() if key not in ("$id", "$schema")}
        for name, schema in schemas.items()
    }
    for name, message in document["components"]["messages"].items():
        message["payload"]["schema"] = {"$ref": _SCHEMAS + name}
    return document


def _members(schema: Mapping[str, Any], above: str, document: Mapping[str, Any]) -> Iterator[Member]:
    """The members of an object, each followed by those below it."""
    for name, source in schema.get("properties", {}).items():
        member = _whole(source, document)
        path = f"{above}{name}"
        items = _whole(member.get("items", {}), document)
        required, told = name in schema.get("required", ()), member.get("description", "")
        yield Member(path, required, _kind(member, items), _limits(member), told)
        yield from _members(member, f"{path}.", document)
        yield from _members(items, f"{path}[].", document)


def _whole(source: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with what it refers to; what it says itself goes before that."""
    if "$ref" not in source:
        return source
    own = {key: value for key, value in source.items() if key != "$ref"}
    return {**_whole(resolve(source["$ref"], document), document), **own}


def _kind(member: Mapping[str, Any], items: Mapping[str, Any]) -> str:
    kinds = member.get("type", "string")
    told = kinds if isinstance(kinds, str) else " or ".join(kinds)
    return f"{told} of {items['type']}" if "type" in items else told


def _limits(member: Mapping[str, Any]) -> str:
    if "enum" in member:
        return "one of " + ", ".join(str(value) for value in member["enum"])
    kept = {key: value for key, value in member.items() if key not in _NO_LIMITS}
    return ", ".join(f"{key} {value}" for key, value in kept.items())
