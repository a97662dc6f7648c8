"""Each consumer, put to a mock of its provider that answers as the consumer expects; and the files are of today."""

from pathlib import Path

import pytest

from contracts.documents import EVENTS, read_yaml
from tests.contracts.pacts.consumers import CALLS, CONTRACTS, EXPECTATIONS, MESSAGES, PACTS
from tests.contracts.pacts.expectations import Expectation, write_all


@pytest.mark.parametrize("expectation", CALLS, ids=str)
def test_the_consumer_copes_with_what_it_expects(expectation: Expectation) -> None:
    EXPECTATIONS[expectation].try_out(expectation)


@pytest.mark.parametrize("expectation", MESSAGES, ids=str)
def test_the_inbox_takes_what_it_expects(expectation: Expectation, tmp_path: Path) -> None:
    EXPECTATIONS[expectation].try_message(expectation, tmp_path)


@pytest.mark.parametrize(("action", "role"), [("receive", "consumer"), ("send", "provider")])
def test_there_is_a_message_of_every_type_of_event_that_the_integration_receives_or_sends(
    action: str, role: str
) -> None:
    asyncapi = read_yaml(EVENTS / "asyncapi.yaml")
    channels = [one["channel"]["$ref"] for one in asyncapi["operations"].values() if one["action"] == action]
    types = {name for channel in channels for name in asyncapi["channels"][channel.rpartition("/")[2]]["messages"]}
    mine = [one for one in MESSAGES if getattr(one, role) == "integration"]
    assert {one.description.split(" ")[0] for one in mine} == types


def test_the_committed_pacts_are_those_that_the_consumers_write(tmp_path: Path) -> None:
    fresh = {path.name: path.read_bytes() for path in write_all(CONTRACTS, tmp_path)}
    committed = {path.name: path.read_bytes() for path in PACTS.glob("*.json")}
    stale = [name for name in sorted({*fresh, *committed}) if fresh.get(name) != committed.get(name)]
    assert stale == [], f"{stale}: write them anew with python -m tests.contracts.pacts"
