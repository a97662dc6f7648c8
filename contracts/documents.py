"""Reads the OpenAPI documents and makes each self-contained.

The five documents share what they have in common through `common.yaml#/components/...`. A loaded document has those
components copied in, only those it uses, and an example of every problem that an answer may carry, so that it can be
served, compared and fuzzed as it is.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from contracts.errors import UnknownContract
from contracts.wire import problem_type

OPENAPI = Path(__file__).with_name("openapi")
EVENTS = Path(__file__).with_name("events")
PROBLEMS = Path(__file__).with_name("problems.yaml")
DOCUMENTS = ("orders", "erp", "wms", "threepl", "carrier")

_SHARED = "common.yaml#/"


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML 1.2 file, as plain dicts and lists."""
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return loaded


def load_document(name: str) -> dict[str, Any]:
    """The OpenAPI document of that name, self-contained; UnknownContract names those that exist."""
    if name not in DOCUMENTS:
        raise UnknownContract(f"there is no contract {name!r}: choose one of {', '.join(DOCUMENTS)}")
    document = read_yaml(OPENAPI / f"{name}.yaml")
    return exemplify(bundle(document, read_yaml(OPENAPI / "common.yaml")), read_problems())


def read_problems() -> dict[str, Any]:
    """problems.yaml as it stands: key to its members."""
    return read_yaml(PROBLEMS)


def exemplify(document: dict[str, Any], problems: dict[str, Any]) -> dict[str, Any]:
    """The document with a named example of each of `x-problems` on every answer that has them."""
    for answer in _answers(document):
        for media in answer["content"].values():
            media["examples"] = {key: _example(key, problems[key]) for key in answer["x-problems"]}
    return document


def _answers(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The answers that are problems: the shared ones, and those that an operation spells out."""
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    inline = [answer for operation in operations for answer in operation.get("responses", {}).values()]
    for answer in [*document["components"].get("responses", {}).values(), *inline]:
        if "x-problems" in answer:
            yield answer


def _example(key: str, problem: dict[str, Any]) -> dict[str, Any]:
    value = {"type": problem_type(key), "title": problem["title"], "status": problem["status"], **problem["example"]}
    return {"summary": problem["title"], "value": value}


def bundle(document: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """The document with every `common.yaml#/components/KIND/NAME` that it reaches copied in and pointed to locally."""
    components: dict[str, dict[str, Any]] = document.setdefault("components", {})
    waiting = list(_localize(document))
    while waiting:
        path = waiting.pop()
        _, kind, name = path.split("/")
        # A document that names a shared component as its own has pointed it at itself by now.
        if components.setdefault(kind, {}).get(name, {"$ref": f"#/{path}"}) != {"$ref": f"#/{path}"}:
            continue
        components[kind][name] = shared["components"][kind][name]
        # A reference inside the shared file is local to it, and stays local after the copy.
        waiting += _references(components[kind][name])
    return document


def _localize(node: object) -> Iterator[str]:
    """Point references at the shared file into this document instead, and yield their paths."""
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith(_SHARED):
            node["$ref"] = "#/" + target.removeprefix(_SHARED)
            yield target.removeprefix(_SHARED)
        for child in node.values():
            yield from _localize(child)
    elif isinstance(node, list):
        for child in node:
            yield from _localize(child)


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str):
            yield target.removeprefix("#/")
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)
