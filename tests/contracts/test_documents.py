"""The documents are valid OpenAPI 3.1, closed and bounded, agree with the problem catalogue, and their examples fit."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from contracts.documents import DOCUMENTS, OPENAPI, bundle, load_document, read_yaml
from contracts.errors import UnknownContract
from contracts.problems import CATALOGUE
from contracts.validation import Contract

# Writes that need no key: they book nothing, or repeating them changes nothing.
KEYLESS = {"issueToken", "quoteRates", "subscribe", "receiveWebhook", "redriveDeadLetter"}
# Writes that are not about an order of a client.
ORDERLESS = KEYLESS | {"adjustStock", "receiveStock", "cancelOrder", "subscribeToEvents"}

Node = dict[str, Any]


def objects_in(node: object, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every mapping in a document with its path, examples left out."""
    if isinstance(node, dict):
        yield path, node
        for name, child in node.items():
            if name not in ("examples", "example"):
                yield from objects_in(child, f"{path}/{name}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from objects_in(child, f"{path}/{index}")


def operations_in(document: Node) -> Iterator[tuple[str, Node]]:
    for item in document["paths"].values():
        for method in ("get", "post"):
            if method in item:
                yield method, item[method]


def resolved(document: Node, node: Node) -> Node:
    while "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


@pytest.fixture(params=DOCUMENTS)
def document(request: pytest.FixtureRequest) -> Node:
    return load_document(request.param)


def test_it_is_valid_openapi(document: Node) -> None:
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert document["openapi"].startswith("3.1")


def test_it_is_self_contained(document: Node) -> None:
    references = [node["$ref"] for _, node in objects_in(document) if "$ref" in node]
    assert [reference for reference in references if not reference.startswith("#/components/")] == []


def test_objects_are_closed(document: Node) -> None:
    open_objects = [
        path
        for path, node in objects_in(document)
        if node.get("type") == "object" and node.get("additionalProperties") is not False
    ]
    # Events are read tolerantly (docs/adr); contracts/events describes their data.
    event = "/components/schemas/CloudEvent"
    assert open_objects in ([], [event, f"{event}/properties/data"])


def test_strings_integers_and_arrays_are_bounded(document: Node) -> None:
    for path, node in objects_in(document):
        kinds = node.get("type", ())
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "string" in kinds:
            bounded = {"maxLength", "enum", "const"} & node.keys() or "{" in node.get("pattern", "")
            assert bounded, f"{path} is a string without a longest length"
        if "integer" in kinds:
            assert {"minimum", "maximum"} <= node.keys(), f"{path} is an integer without bounds"
        if "array" in kinds:
            assert "maxItems" in node, f"{path} is an array without a longest length"
        assert "number" not in kinds, f"{path}: money and quantities are integers"


def test_refusals_are_problems_of_the_catalogue_under_their_status(document: Node) -> None:
    for _, operation in operations_in(document):
        for status, answer in operation["responses"].items():
            if int(status) < 400:
                continue
            found = resolved(document, answer)
            where = f"{operation['operationId']} {status}"
            assert list(found["content"]) == ["application/problem+json"], where
            media = found["content"]["application/problem+json"]
            assert media["schema"] == {"$ref": "#/components/schemas/Problem"}, where
            assert list(media["examples"]) == found["x-problems"], where
            assert {CATALOGUE[key].status for key in found["x-problems"]} == {int(status)}, where


def test_writes_carry_an_idempotency_key(document: Node) -> None:
    for method, operation in operations_in(document):
        parameters = [resolved(document, parameter) for parameter in operation.get("parameters", [])]
        required = [parameter["name"] for parameter in parameters if parameter.get("required")]
        wanted = method == "post" and operation["operationId"] not in KEYLESS
        assert ("Idempotency-Key" in required) == wanted, operation["operationId"]


def test_writes_carry_the_clients_order_reference(document: Node) -> None:
    for method, operation in operations_in(document):
        if method == "post" and operation["operationId"] not in ORDERLESS:
            schema = resolved(document, operation["requestBody"]["content"]["application/json"]["schema"])
            assert {"customer_id", "order_reference"} <= set(schema["required"]), operation["operationId"]


def test_examples_fit_their_schemas(document: Node) -> None:
    for name, schema in document["components"]["schemas"].items():
        validator = Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": document["components"]}, validate_formats=True
        )
        for example in schema.get("examples", []):
            validator.validate(example)


def test_request_bodies_have_an_example(document: Node) -> None:
    for _, operation in operations_in(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert resolved(document, media["schema"])["examples"], operation["operationId"]


def test_every_problem_of_the_catalogue_is_answered_somewhere() -> None:
    answered = {
        key
        for name in DOCUMENTS
        for operation in Contract.load(name).operations
        for answer in operation.answers.values()
        for key in answer.problems
    }
    assert sorted(answered) == sorted(CATALOGUE)


def test_every_shared_component_is_used() -> None:
    shared = read_yaml(OPENAPI / "common.yaml")["components"]
    used = {
        (kind, name)
        for contract in DOCUMENTS
        for kind, parts in load_document(contract)["components"].items()
        for name in parts
    }
    unused = [(kind, name) for kind, parts in shared.items() for name in parts if (kind, name) not in used]
    assert unused == []


def test_bundling_copies_what_is_reached_and_nothing_else() -> None:
    shared = {"components": {"schemas": {"A": {"$ref": "#/components/schemas/B"}, "B": {}, "C": {}}}}
    bundled = bundle({"paths": {"/a": {"$ref": "common.yaml#/components/schemas/A"}}}, shared)
    assert bundled == {
        "paths": {"/a": {"$ref": "#/components/schemas/A"}},
        "components": {"schemas": {"A": {"$ref": "#/components/schemas/B"}, "B": {}}},
    }


def test_an_unknown_document_names_the_known_ones() -> None:
    with pytest.raises(UnknownContract, match="orders, erp, wms, threepl, carrier"):
        load_document("crm")


def test_no_reference_ends_at_itself(document: Node) -> None:
    loops = [path for path, node in objects_in(document) if node.get("$ref") == f"#{path}"]
    assert loops == [], "a shared component that a document names as its own must still be copied in"
