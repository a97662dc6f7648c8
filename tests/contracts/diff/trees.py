"""Small trees of contracts: a shop with one operation, one event, and pacts with it."""

from collections.abc import Mapping
from typing import Any

import orjson

from contracts.diff.tree import Tree

Json = dict[str, Any]

OK = 200


def closed(properties: Json, required: list[str] | None = None) -> Json:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required or []}


def operation(request: Json | None = None, answer: Json | None = None, **more: Any) -> Json:
    """An operation that takes and answers such bodies; `more` replaces or adds keys."""
    described: Json = {"responses": {"200": {"description": "Done."}}}
    if request is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": request}}}
    if answer is not None:
        described["responses"]["200"]["content"] = {"application/json": {"schema": answer}}
    return {**described, **more}


def shop(*operations: Json, **components: Json) -> Json:
    """The shop's document; its operations are POST /orders and then GET /orders/{order_id}."""
    methods = (("/orders", "post"), ("/orders/{order_id}", "get"))
    paths = {path: {method: described} for (path, method), described in zip(methods, operations, strict=False)}
    return {"openapi": "3.1.1", "servers": [{"url": "http://till"}], "paths": paths, "components": components}


def tree(label: str, document: Json | None = None, *pacts: Json, **events: Json) -> Tree:
    """A tree with the shop's document, event schemas by their type (`_` for the dot) and pacts."""
    files = {} if document is None else {"openapi/shop.yaml": orjson.dumps(document)}
    files |= {f"events/{name.replace('_', '.')}.json": orjson.dumps(schema) for name, schema in events.items()}
    files |= {f"pacts/{number}.json": orjson.dumps(one) for number, one in enumerate(pacts)}
    return Tree(label, files)


def pact(*interactions: Json, consumer: str = "portal", provider: str = "shop") -> Json:
    return {
        "consumer": {"name": consumer},
        "provider": {"name": provider},
        "interactions": list(interactions),
        "metadata": {"pactSpecification": {"version": "4.0"}},
    }


def exchange(
    sends: object = None,
    reads: object = None,
    *,
    method: str = "POST",
    path: str = "/orders",
    status: int = OK,
    rules: Mapping[str, Json] | None = None,
    **more: Any,
) -> Json:
    """An interaction. `rules`: matchers by `request` or `response`, then by path; `more` goes to the request."""
    request: Json = {"method": method, "path": path, **more}
    response: Json = {"status": status}
    for side, body in ((request, sends), (response, reads)):
        if body is not None:
            side["body"] = {"content": body, "contentType": "application/json", "encoded": False}
    for name, matchers in (rules or {}).items():
        side = request if name == "request" else response
        listed = {place: {"combine": "AND", "matchers": [matcher]} for place, matcher in matchers.items()}
        side["matchingRules"] = {"body": listed}
    return {"type": "Synchronous/HTTP", "description": f"a call for {status}", "request": request, "response": response}


def message(contents: object, **more: Any) -> Json:
    return {
        "type": "Asynchronous/Messages",
        "description": "an event",
        "contents": {"content": contents, "contentType": "application/json", "encoded": False},
        **more,
    }
