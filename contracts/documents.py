"""Reads the OpenAPI documents and makes each self-contained.

The five documents share what they have in common through `common.yaml#/components/...`. A loaded document has those
components copied in, only those it uses, so that it can be served, compared and fuzzed as it is.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from contracts.errors import UnknownContract

OPENAPI = Path(__file__).with_name("openapi")
EVENTS = Path(__file__).with_name("events")
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
    return bundle(document, read_yaml(OPENAPI / "common.yaml"))


def bundle(document: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """The document with every `common.yaml#/components/KIND/NAME` that it reaches copied in and pointed to locally."""
    components: dict[str, dict[str, Any]] = document.setdefault("components", {})
    waiting = list(_localize(document))
    while waiting:
        _, kind, name = waiting.pop().split("/")
        if name in components.setdefault(kind, {}):
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
