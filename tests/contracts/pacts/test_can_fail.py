"""Every expectation can fail: a provider that breaks one operation, or one kind of event, fails just its pacts."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import orjson
import pytest

from contracts.validation import Contract, Events
from peakproof.live.coverage import document_of, exercised_by
from peakproof.live.pacts import PACTS, Interaction, PactFile, read_pacts, registry_of, verify_files

Operation = tuple[str, str, str]
"""Provider, method and path template."""
# Makes another answer (status, body) of one; `name` is a member that a consumer reads.
Break = Callable[[int, dict[str, Any], str], tuple[int, dict[str, Any]]]


def other_status(status: int, body: dict[str, Any], name: str) -> tuple[int, dict[str, Any]]:
    return 418, body


def member_dropped(status: int, body: dict[str, Any], name: str) -> tuple[int, dict[str, Any]]:
    return status, {key: value for key, value in body.items() if key != name}


def member_retyped(status: int, body: dict[str, Any], name: str) -> tuple[int, dict[str, Any]]:
    return status, {key: {"value": value} if key == name else value for key, value in body.items()}


BREAKS: tuple[Break, ...] = (other_status, member_dropped, member_retyped)


@cache
def pacts_with(provider: str) -> tuple[PactFile, ...]:
    return tuple(pact for pact in read_pacts(PACTS) if pact.provider == provider)


@cache
def members_read(operation: Operation) -> dict[int, str]:
    """By status, one member of the operation's answers that every pact of it reads; none where they have no body."""
    read: dict[int, set[str]] = {}
    for _, interaction in calls(operation):
        content = interaction["response"].get("body", {}).get("content", {})
        status = int(interaction["response"]["status"])
        read[status] = read.get(status, set(content)) & set(content)
    return {status: min(names) for status, names in read.items() if names}


def calls(operation: Operation) -> list[tuple[str, Mapping[str, Any]]]:
    """The consumer and the interaction of every call of an operation."""
    return [
        (pact.consumer, interaction)
        for pact in pacts_with(operation[0])
        for interaction in pact.document["interactions"]
        if (found := exercised_by(pact.provider, interaction)) and found[1:3] == operation[1:]
    ]


def operations() -> list[Operation]:
    return sorted(
        {
            (pact.provider, *found[1:3])
            for pact in read_pacts(PACTS)
            for interaction in pact.document["interactions"]
            if (found := exercised_by(pact.provider, interaction))
        }
    )


@dataclass
class Broken:
    """An application that breaks the answers of one operation."""

    operation: Operation
    how: Break

    def __call__(self, app: WSGIApplication) -> WSGIApplication:
        contract = Contract.load(document_of(self.operation[0]))

        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            called = environ["REQUEST_METHOD"], contract.route_of(environ["PATH_INFO"])
            if called != self.operation[1:]:
                return app(environ, start)
            said: list[Any] = []
            body = b"".join(app(environ, lambda *told: said.extend(told)))  # type: ignore[arg-type]
            status = int(said[0].split(" ")[0])
            name = members_read(self.operation).get(status, "")
            broken, members = self.how(status, orjson.loads(body or b"{}"), name)
            headers = [(key, value) for key, value in said[1] if key.lower() != "content-length"]
            start(f"{broken} Broken", headers)
            return [orjson.dumps(members) if body else b""]

        return answer


def name_of(value: Operation | Break) -> str:
    return " ".join(value) if isinstance(value, tuple) else getattr(value, "__name__", "")


def failing(results: Iterable[Interaction]) -> set[tuple[str, str]]:
    return {(one.consumer, one.description) for one in results if not one.holds}


def assert_only_its_pacts_fail(operation: Operation, how: Break) -> None:
    results = verify_files(registry_of(operation[0]), pacts_with(operation[0]), Broken(operation, how))
    read = members_read(operation)
    broken = [call for call in calls(operation) if how is other_status or int(call[1]["response"]["status"]) in read]
    assert failing(results) == {(consumer, str(one["description"])) for consumer, one in broken}


SAMPLE: tuple[tuple[Operation, Break], ...] = (
    (("carrier", "GET", "/labels"), member_dropped),
    (("carrier", "POST", "/labels/{label_id}/void"), member_retyped),
    (("threepl", "POST", "/fulfillment-orders"), other_status),
)


@pytest.mark.parametrize(("operation", "how"), SAMPLE, ids=name_of)
def test_a_broken_operation_fails_its_pacts_and_no_others(operation: Operation, how: Break) -> None:
    assert_only_its_pacts_fail(operation, how)


@pytest.mark.long
@pytest.mark.parametrize("how", BREAKS, ids=name_of)
@pytest.mark.parametrize("operation", operations(), ids=name_of)
def test_every_broken_operation_fails_its_pacts_and_no_others(operation: Operation, how: Break) -> None:
    assert_only_its_pacts_fail(operation, how)


def retold_without(event_type: str, member: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def retell(event: dict[str, Any]) -> dict[str, Any]:
        if event["type"] != event_type:
            return event
        return {**event, "data": {key: value for key, value in event["data"].items() if key != member}}

    return retell


def messages_of(event_type: str) -> list[tuple[PactFile, Mapping[str, Any]]]:
    """The pact and the interaction of every message of a type."""
    return [
        (pact, one)
        for pact in read_pacts(PACTS)
        for one in pact.document["interactions"]
        if one["type"] == "Asynchronous/Messages" and one["description"].split(" ")[0] == event_type
    ]


def assert_only_its_messages_fail(event_type: str) -> None:
    told = messages_of(event_type)
    provider, member = told[0][0].provider, min(told[0][1]["contents"]["content"]["data"])
    results = verify_files(registry_of(provider), pacts_with(provider), retell=retold_without(event_type, member))
    assert failing(results) == {(pact.consumer, str(one["description"])) for pact, one in told}


@pytest.mark.parametrize("event_type", ["tracking.updated", "order.shipped"])
def test_an_event_that_lacks_a_member_fails_its_pacts_and_no_others(event_type: str) -> None:
    assert_only_its_messages_fail(event_type)


@pytest.mark.long
@pytest.mark.parametrize("event_type", sorted(Events.load().types))
def test_every_event_that_lacks_a_member_fails_its_pacts_and_no_others(event_type: str) -> None:
    assert_only_its_messages_fail(event_type)
