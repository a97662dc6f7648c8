"""The events for people and tools: a page that shows every member and fetches nothing, a document that stands alone."""

import re
from pathlib import Path
from typing import Any

import orjson
from jsonschema_rs import Draft7Validator, Draft202012Validator

from contracts.event_pages import events_json, events_page
from contracts.validation import Events

META_SCHEMA = orjson.loads((Path(__file__).with_name("data") / "asyncapi-3.0.0.json").read_bytes())


def bundled() -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(events_json())
    return document


def test_the_bundle_is_valid_asyncapi_and_refers_to_nothing_outside() -> None:
    assert [error.message for error in Draft7Validator(META_SCHEMA).iter_errors(bundled())] == []
    references = set(re.findall(rb'"\$ref":"([^"]+)"', events_json()))
    assert b"#/components/schemas/order.shipped" in references
    assert [reference for reference in references if not reference.startswith(b"#/")] == []


def test_a_schema_of_the_bundle_takes_its_example_and_no_other_event() -> None:
    document = bundled()
    for name, schema in Events.load().schemas.items():
        checker = Draft202012Validator({**document, "$ref": f"#/components/schemas/{name}"})
        example = schema["examples"][0]
        assert checker.is_valid(example)
        assert not checker.is_valid({**example, "data": {}})
        assert not checker.is_valid({**example, "id": ""})


def test_the_page_shows_every_event_with_its_members_and_fetches_nothing() -> None:
    page = events_page()
    for name in Events.load().types:
        assert page.count(f'<h3 id="{name}">') == page.count(f'href="#{name}"') == 1
    packed = page[page.index('<h3 id="release.packed">') : page.index('<h3 id="release.shipped">')]
    assert re.findall(r"<td><code>([^<]+)</code></td>", packed) == [
        "release_id",
        "customer_id",
        "order_reference",
        "sequence",
        "parcels",
        "parcels[].parcel_id",
        "parcels[].weight_g",
        "parcels[].lines",
        "parcels[].lines[].line_no",
        "parcels[].lines[].sku",
        "parcels[].lines[].quantity",
    ]
    assert "<td>array of object</td><td>minItems 1, maxItems 2000</td>" in packed
    assert "Counts the events of this release from 1" in packed
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!#|data:)', page) == []
