"""What a pact says of requests, answers and messages, and which values its matching rules take."""

import base64
from typing import Any

import orjson
import pytest

from contracts.diff.compare import Verdict, compare
from contracts.diff.pacts import Rule, read
from contracts.diff.schema import Witness
from contracts.errors import UnreadableContract
from tests.contracts.diff.trees import Json, closed, exchange, message, operation, pact, shop, tree

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
ANY_TEXT = Witness("string")


def known(value: Any, kind: str) -> Witness:
    return Witness(kind, value, known=True)


@pytest.mark.parametrize(
    ("matcher", "witness", "example", "taken"),
    [
        ({"match": "type"}, ANY_TEXT, "x", True),
        ({"match": "type"}, known(None, "null"), "x", False),
        ({"match": "type"}, known([], "array"), [1], False),
        ({"match": "type", "min": 0}, known([], "array"), [1], True),
        ({"match": "type", "max": 3}, Witness("array"), [1], None),
        ({"match": "integer"}, known(9, "integer"), 1, True),
        ({"match": "integer"}, Witness("fraction"), 1, False),
        ({"match": "number"}, Witness("fraction"), 1, True),
        ({"match": "equality"}, known("y", "string"), "x", False),
        ({"match": "equality"}, ANY_TEXT, "x", None),
        ({"match": "regex", "regex": "^(x|y)$"}, known("y", "string"), "x", True),
        ({"match": "regex", "regex": "^(x|y)$"}, known("z", "string"), "x", False),
        ({"match": "regex", "regex": "^(x|y)$"}, ANY_TEXT, "x", None),
        ({"match": "regex", "regex": "(?<"}, known("z", "string"), "x", None),
        ({"match": "include", "value": "y"}, known("xyz", "string"), "y", True),
        ({"match": "timestamp", "format": "yyyy"}, known("2026", "string"), "2025", None),
    ],
)
def test_what_a_matcher_takes(matcher: Json, witness: Witness, example: object, taken: bool | None) -> None:
    assert Rule((matcher,)).takes(witness, example) is taken


def test_all_matchers_or_one_of_them() -> None:
    matchers = ({"match": "type"}, {"match": "regex", "regex": "^x$"})
    assert Rule(matchers).takes(known("y", "string"), "x") is False
    assert Rule(matchers, every=False).takes(known("y", "string"), "x") is True


def test_a_rule_above_reaches_down_unless_there_is_one_below() -> None:
    rules = {"$.lines": {"match": "type"}, "$.lines[*].sku": {"match": "regex", "regex": "."}}
    body = {"lines": [{"sku": "A", "quantity": 1}]}
    (interaction,) = read("p.json", pact(exchange(reads=body, rules={"response": rules})))
    side = interaction.answered

    def kind(*place: str) -> Any:
        rule = side.rule(("body", *place))
        return rule and rule.matchers[0]["match"]

    assert kind("lines", "[]", "sku") == "regex"
    assert kind("lines", "[]", "quantity") == "type"
    assert kind("status") is None
    assert side.values(("body", "lines", "[]", "sku")) == ["A"]


def test_what_is_sent_by_location() -> None:
    source = exchange(
        sends={"a": 1}, query={"sku": ["A", "B"], "page": ["2"]}, headers={"Idempotency-Key": ["k"]}, path="/orders"
    )
    source["request"]["matchingRules"] = {
        "header": {"Idempotency-Key": {"matchers": [{"match": "type"}]}},
        "query": {"page": {"matchers": [{"match": "integer"}]}},
    }
    (interaction,) = read("p.json", pact(source))
    assert interaction.sent.carried == {
        "body": {"a": 1},
        "query": {"sku": ["A", "B"], "page": "2"},
        "header": {"idempotency-key": "k"},
    }
    assert interaction.sent.rule(("header", "idempotency-key")) == Rule(({"match": "type"},))
    assert interaction.sent.rule(("query", "page")) == Rule(({"match": "integer"},))


def test_json_in_base64_is_read() -> None:
    source = exchange()
    content = base64.b64encode(orjson.dumps({"a": 1})).decode()
    source["request"]["body"] = {"content": content, "contentType": "application/json", "encoded": "base64"}
    (interaction,) = read("p.json", pact(source))
    assert interaction.sent.values(("body", "a")) == [1]


def test_a_message_is_an_envelope_or_the_data_alone() -> None:
    envelope = message({"type": "order.placed", "data": {"a": 1}})
    alone = message({"a": 1}, metadata={"type": "order.placed"})
    for interaction in read("p.json", pact(envelope, alone)):
        assert interaction.event == "order.placed"
        assert interaction.answered.values(("body", "data", "a")) == [1]


def test_a_pending_interaction_promises_nothing() -> None:
    assert read("p.json", pact({**exchange(), "pending": True})) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({}, r"contracts/p.json is no pact of specification V4: KeyError 'metadata'"),
        ({"metadata": {"pactSpecification": {"version": "3.0.0"}}}, r"of specification 3.0.0; only V4 is read"),
        ({**pact({"description": "x", "type": "Synchronous/Messages"})}, r"'x' of type 'Synchronous/Messages'"),
        ({**pact(), "interactions": [{"type": "Synchronous/HTTP"}]}, r"KeyError 'description'"),
    ],
)
def test_what_is_no_pact_is_told(broken: Json, said: str) -> None:
    with pytest.raises(UnreadableContract, match=said):
        read("p.json", broken)


def verdict(side: str, base: Json, head: Json, interaction: Json) -> tuple[Verdict, str]:
    documents = [shop(operation(**{side: closed({"a": schema})})) for schema in (base, head)]
    compared = compare(tree("base", documents[0], pact(interaction)), tree("head", documents[1]))
    (change,) = compared.changes
    return change.verdict, "".join(who.told for who in change.concerned)


def test_a_consumer_that_takes_any_text_is_not_broken_by_a_new_value() -> None:
    base, head = {"enum": ["x"]}, {"enum": ["x", "y"]}
    for matcher, wanted in (
        ({"match": "type"}, (Verdict.NOBODY, "")),
        ({"match": "regex", "regex": "^(x|y)$"}, (Verdict.NOBODY, "")),
        ({"match": "regex", "regex": "^x$"}, (Verdict.SOMEBODY, "reads it and does not expect such a value")),
    ):
        interaction = exchange(reads={"a": "x"}, rules={"response": {"$.a": matcher}})
        assert verdict("answer", base, head, interaction) == wanted


def test_a_consumer_that_holds_itself_to_the_newer_pattern_is_not_concerned() -> None:
    base, head = ({**TEXT, "pattern": pattern} for pattern in ("^x+$", "^[xy]+$"))
    for regex, told in (
        ("^[xy]+$", ("", "")),
        ("^x+$", ("may send such a value", "reads it and does not expect such a value")),
    ):
        rule = {"$.a": {"match": "regex", "regex": regex}}
        sending = exchange(sends={"a": "x"}, rules={"request": rule})
        reading = exchange(reads={"a": "x"}, rules={"response": rule})
        assert verdict("request", base, head, sending) == (Verdict.UNJUDGED, told[0])
        assert verdict("answer", base, head, reading) == (Verdict.UNJUDGED, told[1])


def test_a_consumer_that_may_send_a_value_is_broken_when_it_goes() -> None:
    base, head = {"enum": ["x", "y"]}, {"enum": ["x"]}
    for matcher, wanted in (
        ({"match": "regex", "regex": "^(x|y)$"}, (Verdict.SOMEBODY, "may send 'y'")),
        ({"match": "regex", "regex": "^x$"}, (Verdict.NOBODY, "")),
        ({"match": "type"}, (Verdict.SOMEBODY, "may send 'y'")),
    ):
        interaction = exchange(sends={"a": "x"}, rules={"request": {"$.a": matcher}})
        assert verdict("request", base, head, interaction) == wanted
    assert verdict("request", base, head, exchange(sends={"a": "x"})) == (Verdict.NOBODY, "")
    assert verdict("request", TEXT, {**TEXT, "maxLength": 5}, interaction) == (
        Verdict.SOMEBODY,
        "may send such a value",
    )
