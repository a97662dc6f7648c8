"""The event document is valid AsyncAPI 3, names every event schema once with who sends it, and its examples fit."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema_rs import Draft7Validator, meta

from contracts.documents import EVENTS, read_yaml
from contracts.validation import Contract, Events

ASYNCAPI = read_yaml(EVENTS / "asyncapi.yaml")
META_SCHEMA = orjson.loads((Path(__file__).with_name("data") / "asyncapi-3.0.0.json").read_bytes())
TYPES = Events.load().types


def channels_of(action: str) -> list[dict[str, Any]]:
    names = [op["channel"]["$ref"].split("/")[-1] for op in ASYNCAPI["operations"].values() if op["action"] == action]
    return [ASYNCAPI["channels"][name] for name in names]


def types_in(channels: list[dict[str, Any]]) -> list[str]:
    return sorted(name for channel in channels for name in channel["messages"])


def test_it_is_valid_asyncapi() -> None:
    assert [error.message for error in Draft7Validator(META_SCHEMA).iter_errors(ASYNCAPI)] == []


def test_every_event_is_in_one_channel_and_has_its_schema() -> None:
    assert types_in(list(ASYNCAPI["channels"].values())) == TYPES
    messages = ASYNCAPI["components"]["messages"]
    assert sorted(messages) == TYPES
    for name, message in messages.items():
        schema = Events.load().schemas[name]
        assert message["payload"]["schema"] == {"$ref": f"{name}.json"}
        assert (message["name"], message["title"]) == (name, schema["title"])


def test_what_is_received_is_what_partners_let_subscribe_to() -> None:
    offered = Contract.load("wms").document["components"]["schemas"]["EventTypes"]["items"]["enum"]
    assert types_in(channels_of("receive")) == sorted(offered)
    assert types_in(channels_of("send")) == sorted(set(TYPES) - set(offered))


@pytest.mark.parametrize("event_type", TYPES)
def test_a_schema_is_a_schema_and_its_example_is_such_an_event(event_type: str) -> None:
    schema = Events.load().schemas[event_type]
    meta.validate(schema)
    assert schema["$id"] == f"urn:peakproof:event:{event_type}"
    assert len(schema["examples"]) >= 1
    for example in schema["examples"]:
        assert example["type"] == event_type
        assert Events.load().envelope_errors(example) == []


@pytest.mark.parametrize("event_type", TYPES)
def test_data_are_closed_and_each_member_is_described_by_a_type(event_type: str) -> None:
    """Senders may not add what no schema knows."""
    data = Events.load().schemas[event_type]["properties"]["data"]
    assert data["additionalProperties"] is False
    assert set(data["required"]) <= set(data["properties"])
    example = Events.load().schemas[event_type]["examples"][0]["data"]
    assert Events.load().data_errors(event_type, {**example, "colour": "red"}) != []
