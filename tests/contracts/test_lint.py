"""Our own rules for OpenAPI documents. Each is shown to hold for every document, and to speak where one breaks it."""

import copy
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from contracts.documents import DOCUMENTS, load_document
from contracts.problems import CATALOGUE
from simulators.kernel import Fault
from simulators.kernel.tampering import put_in_place

Node = dict[str, Any]
Rule = Callable[[Node], Iterator[str]]

METHODS = ("get", "put", "post", "delete", "patch")
ANSWERERS = {"edge", "access", "application", "gateway"}
# What the faults that answer in place of a host answer with, and the problem that they name.
GATEWAY = {
    (answer.status, answer.body.split(b"urn:peakproof:problem:")[1].split(b'"')[0].decode())
    for kind in ("error_before", "error_after", "throttle", "token_expired")
    for answer in [put_in_place(Fault("it", kind, source="a", target="b"))]
}
ALWAYS = {"405", "422", "429", "500", "503"}
WITH_A_BODY = {"400", "413", "415"}
PROMISED_HEADERS = {"401": "WWW-Authenticate", "405": "Allow", "429": "Retry-After"}


@cache
def loaded(name: str) -> Node:
    """The document of that name, read once; not to be changed."""
    return load_document(name)


def operations_of(document: Node) -> Iterator[tuple[str, Node]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, item[method]


def resolved(document: Node, node: Node) -> Node:
    while "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def answers_of(document: Node) -> Iterator[tuple[str, str, Node]]:
    for _, operation in operations_of(document):
        for status, answer in operation["responses"].items():
            yield operation["operationId"], status, resolved(document, answer)


def parameters_of(document: Node, operation: Node) -> list[Node]:
    return [resolved(document, parameter) for parameter in operation.get("parameters", [])]


def media_of(document: Node) -> Iterator[tuple[str, Node]]:
    """Every body that crosses the wire: where it is, and its media type object."""
    for _, operation in operations_of(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            yield f"{operation['operationId']} request", media
    for name, status, answer in answers_of(document):
        for media in answer.get("content", {}).values():
            yield f"{name} {status}", media


def names(document: Node) -> Iterator[str]:
    seen: set[str] = set()
    for path, operation in operations_of(document):
        name = operation.get("operationId", "")
        if not re.fullmatch(r"[a-z][A-Za-z]+", name) or name in seen:
            yield f"{path}: operationId {name!r} is missing, taken, or not in camel case"
        seen.add(name)


def texts(document: Node) -> Iterator[str]:
    declared = [tag["name"] for tag in document.get("tags", []) if tag.get("description")]
    for _, operation in operations_of(document):
        where = operation["operationId"]
        if not operation.get("summary") or operation["summary"].endswith("."):
            yield f"{where} has no summary, or a whole sentence for one"
        if not operation.get("description", "").endswith("."):
            yield f"{where} has no description"
        if len(operation.get("tags", [])) != 1 or operation["tags"][0] not in declared:
            yield f"{where} has not exactly one tag that the document describes"


def security(document: Node) -> Iterator[str]:
    schemes = document["components"]["securitySchemes"]
    for _, operation in operations_of(document):
        if "security" not in operation:
            yield f"{operation['operationId']} does not say who may call it"
        for need in operation.get("security", []):
            yield from (f"{operation['operationId']} needs {name}" for name in need if name not in schemes)


def statuses(document: Node) -> Iterator[str]:
    for path, operation in operations_of(document):
        wanted = set(ALWAYS)
        wanted |= WITH_A_BODY if "requestBody" in operation else set()
        wanted |= {"401"} if operation["security"] else set()
        wanted |= {"404"} if "{" in path else set()
        for status in sorted(wanted - operation["responses"].keys()):
            yield f"{operation['operationId']} does not document {status}"
        if not any(status < "300" for status in operation["responses"]):
            yield f"{operation['operationId']} documents no success"


def problems(document: Node) -> Iterator[str]:
    for name, status, answer in answers_of(document):
        if int(status) < 400:
            continue
        if list(answer["content"]) != ["application/problem+json"]:
            yield f"{name} {status} is not problem+json"
        for key in answer.get("x-problems") or [""]:
            if key not in CATALOGUE or CATALOGUE[key].status != int(status):
                yield f"{name} {status} names {key!r}, which problems.yaml does not have under {status}"
        who = set(answer.get("x-answered-by", ()))
        if not who or who - ANSWERERS:
            yield f"{name} {status} does not say who answers it: one or more of {sorted(ANSWERERS)}"
        if who == {"gateway"} and {(int(status), key) for key in answer["x-problems"]} - GATEWAY:
            yield f"{name} {status} is said to come from the gateway alone, and no fault plays that"


def examples(document: Node) -> Iterator[str]:
    for where, media in media_of(document):
        if not media.get("examples"):
            yield f"{where} has no named example"
            continue
        schema = {**media["schema"], "components": document["components"]}
        validator = Draft202012Validator(schema, validate_formats=True)
        for name, reference in media["examples"].items():
            example = resolved(document, reference)
            if not example.get("summary"):
                yield f"{where} {name} has no summary"
            yield from (f"{where} {name}: {error.message}" for error in validator.iter_errors(example["value"]))


def descriptions(document: Node) -> Iterator[str]:
    for _, operation in operations_of(document):
        for parameter in parameters_of(document, operation):
            if not parameter.get("description"):
                yield f"{operation['operationId']} does not describe {parameter['name']}"
    for name, status, answer in answers_of(document):
        if not answer.get("description"):
            yield f"{name} {status} is not described"
        for header, node in answer.get("headers", {}).items():
            if not resolved(document, node).get("description"):
                yield f"{name} {status} does not describe {header}"


def headers(document: Node) -> Iterator[str]:
    for name, status, answer in answers_of(document):
        header = PROMISED_HEADERS.get(status)
        if header and header not in answer.get("headers", {}):
            yield f"{name} {status} does not document {header}"


def links(document: Node) -> Iterator[str]:
    targets = {operation["operationId"]: operation for _, operation in operations_of(document)}
    for name, status, answer in answers_of(document):
        for link in answer.get("links", {}).values():
            target = targets.get(link["operationId"])
            if target is None:
                yield f"{name} {status} leads to {link['operationId']}, which is not there"
                continue
            known = {parameter["name"] for parameter in parameters_of(document, target)}
            yield from (f"{name} {status}: {one} is no parameter" for one in link.get("parameters", {}).keys() - known)
            content = target.get("requestBody", {}).get("content", {})
            body = [resolved(document, media["schema"])["properties"] for media in content.values()]
            given = link.get("requestBody", {}).keys()
            yield from (f"{name} {status}: {one} is no member" for one in given - {m for p in body for m in p})


RULES: tuple[Rule, ...] = (
    names, texts, security, statuses, problems, examples, descriptions, headers, links,
)  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_holds(rule: Rule, document: str) -> None:
    assert list(rule(loaded(document))) == []


def of_wms(change: Callable[[Node], object]) -> Node:
    document = copy.deepcopy(loaded("wms"))
    change(document)
    return document


def create(document: Node) -> Node:
    operation: Node = document["paths"]["/releases"]["post"]
    return operation


def read(document: Node) -> Node:
    operation: Node = document["paths"]["/releases/{release_id}"]["get"]
    return operation


def example(document: Node) -> Node:
    value: Node = document["components"]["examples"]["OneLine"]["value"]
    return value


BREAKS: list[tuple[Rule, Callable[[Node], object], str]] = [
    (names, lambda d: read(d).update(operationId="createRelease"), "operationId 'createRelease' is missing, taken"),
    (texts, lambda d: read(d).pop("summary"), "readRelease has no summary"),
    (texts, lambda d: read(d).pop("description"), "readRelease has no description"),
    (texts, lambda d: read(d).update(tags=["Odds"]), "not exactly one tag"),
    (security, lambda d: read(d).pop("security"), "does not say who may call it"),
    (security, lambda d: read(d).update(security=[{"magic": []}]), "readRelease needs magic"),
    (statuses, lambda d: create(d)["responses"].pop("413"), "createRelease does not document 413"),
    (statuses, lambda d: read(d)["responses"].pop("404"), "readRelease does not document 404"),
    (statuses, lambda d: read(d)["responses"].pop("200"), "readRelease documents no success"),
    (problems, lambda d: create(d)["responses"]["409"].update({"x-problems": ["gone"]}), "names 'gone'"),
    (problems, lambda d: create(d)["responses"]["409"].update({"x-problems": ["not-found"]}), "names 'not-found'"),
    (problems, lambda d: create(d)["responses"]["409"].update({"x-answered-by": []}), "does not say who answers"),
    (problems, lambda d: create(d)["responses"]["409"].update({"x-answered-by": ["gateway"]}), "no fault plays that"),
    (problems, lambda d: create(d)["responses"]["409"].update(content={"text/html": {}}), "is not problem"),
    (examples, lambda d: example(d).pop("lines"), '"lines" is a required property'),
    (examples, lambda d: read(d)["responses"]["200"]["content"]["application/json"].pop("examples"), "no named"),
    (descriptions, lambda d: read(d)["parameters"][0].pop("description"), "does not describe release_id"),
    (descriptions, lambda d: d["components"]["headers"]["RetryAfter"].pop("description"), "describe Retry-After"),
    (headers, lambda d: d["components"]["responses"]["Unauthorized"].pop("headers"), "document WWW-Authenticate"),
    (links, lambda d: read(d).update(operationId="seeRelease"), "leads to readRelease, which is not there"),
    (links, lambda d: read(d).update(parameters=[]), "release_id is no parameter"),
    (
        links,
        lambda d: create(d)["responses"]["201"]["links"]["CancelRelease"]["requestBody"].update(colour="red"),
        "colour is no member",
    ),
]


@pytest.mark.parametrize(("rule", "change", "said"), BREAKS, ids=[f"{b[0].__name__}: {b[2]}" for b in BREAKS])
def test_it_speaks(rule: Rule, change: Callable[[Node], object], said: str) -> None:
    found = list(rule(of_wms(change)))
    assert any(said in complaint for complaint in found), found


def test_every_rule_is_shown_to_speak() -> None:
    assert {rule for rule, _, _ in BREAKS} == set(RULES)
