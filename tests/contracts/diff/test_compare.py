"""Verdicts over whole trees: whose pacts count, how changes are folded, events, and what can't be read."""

import orjson
import pytest

from contracts.diff.compare import Verdict, compare, consumers
from contracts.diff.tree import Tree
from contracts.documents import EVENTS, OPENAPI
from contracts.errors import UnreadableContract
from contracts.wire import problem_type
from tests.contracts.diff.trees import Json, closed, exchange, message, operation, pact, shop, tree

TEXT = {"type": "string"}


def requiring(*names: str) -> Json:
    return shop(operation(request=closed(dict.fromkeys(names, TEXT), list(names))))


OLD, NEW = requiring("sku"), requiring("sku", "carrier")
BEFORE, AFTER = exchange(sends={"sku": "A"}), exchange(sends={"sku": "A", "carrier": "B"})
SENTENCE = "shop: POST /orders now requires `carrier`"


def verdicts(base: Tree, head: Tree, *together: str) -> list[tuple[str, Verdict]]:
    return [(change.sentence, change.verdict) for change in compare(base, head, together).changes]


def test_the_pacts_of_base_count_because_they_run_until_the_change_is_out() -> None:
    base, head = tree("base", OLD, pact(BEFORE)), tree("head", NEW, pact(AFTER))
    assert verdicts(base, head) == [(f"{SENTENCE}; the portal does not send it", Verdict.SOMEBODY)]


def test_a_consumer_deployed_with_the_change_is_judged_by_the_pacts_of_head() -> None:
    base, head = tree("base", OLD, pact(BEFORE)), tree("head", NEW, pact(AFTER))
    assert verdicts(base, head, "portal") == [(SENTENCE, Verdict.NOBODY)]
    stubborn = tree("head", NEW, pact(BEFORE))
    assert verdicts(base, stubborn, "portal") == [(f"{SENTENCE}; the portal does not send it", Verdict.SOMEBODY)]


def test_the_pacts_of_head_count_because_they_run_after_it() -> None:
    base, head = tree("base", OLD), tree("head", NEW, pact(BEFORE, consumer="app"))
    assert verdicts(base, head) == [(f"{SENTENCE}; the app does not send it", Verdict.SOMEBODY)]


def test_every_consumer_is_told_with_its_interactions() -> None:
    second = {**BEFORE, "description": "another"}
    base = tree("base", OLD, pact(BEFORE, second), pact(AFTER, consumer="app"), pact(BEFORE, consumer="till"))
    (change,) = compare(base, tree("head", NEW)).changes
    assert [(who.consumer, who.interactions) for who in change.concerned] == [
        ("portal", ("a call for 200", "another")),
        ("till", ("a call for 200",)),
    ]
    assert change.sentence == f"{SENTENCE}; the portal does not send it; the till does not send it"
    assert consumers(base) == ["app", "portal", "till"]


def test_a_provider_is_known_by_a_host_that_it_is_served_under() -> None:
    base = tree("base", OLD, pact(BEFORE, provider="till"), pact(BEFORE, consumer="app", provider="elsewhere"))
    assert verdicts(base, tree("head", NEW)) == [(f"{SENTENCE}; the portal does not send it", Verdict.SOMEBODY)]


def test_a_change_of_several_operations_is_told_once() -> None:
    def both(schema: Json) -> Json:
        return shop(operation(answer=schema), operation(answer=schema))

    base, head = both(closed({"a": TEXT})), both(closed({"a": {"type": ["string", "null"]}}))
    (change,) = compare(tree("base", base, pact(exchange())), tree("head", head)).changes
    assert change.where == ("POST /orders 200", "GET /orders/{order_id} 200")
    assert change.sentence == "shop: POST /orders 200 (and 1 more) now answers null for `a`"


def test_a_file_that_is_not_compared_is_remarked_when_it_differs() -> None:
    base, head = (Tree("state", {"events/asyncapi.yaml": text}) for text in (b"a: 1", b"a: 2"))
    compared = compare(base, head)
    assert compared.changes == ()
    assert "contracts/events/asyncapi.yaml differs and is not compared: read its change yourself" in compared.remarks


def catalogue(label: str, *pacts: Json, **problem: object) -> Tree:
    sold_out = {"title": "Sold out", "definite": True, "retryable": False, **problem}
    listed = {"sold-out": sold_out, "other": {"definite": True, "retryable": True}}
    return Tree(label, {**tree(label, None, *pacts).files, "problems.yaml": orjson.dumps(listed)})


HANDLED = exchange(reads={"type": problem_type("sold-out")}, status=409)
ELSEWHERE = exchange(reads={"type": problem_type("other")}, status=409)


@pytest.mark.parametrize(
    ("before", "after", "words", "verdict"),
    [
        (
            {"definite": True},
            {"definite": False},
            "is no longer definite: the attempt may still have an effect",
            Verdict.SOMEBODY,
        ),
        (
            {"definite": False},
            {"definite": True},
            "is now definite: the attempt has no effect and never will",
            Verdict.COMPATIBLE,
        ),
        (
            {"retryable": True},
            {"retryable": False},
            "is no longer retryable: the same request will not succeed later",
            Verdict.SOMEBODY,
        ),
        (
            {"retryable": False},
            {"retryable": True},
            "is now retryable: the same request may succeed later",
            Verdict.SOMEBODY,
        ),
    ],
)
def test_what_a_problem_means_is_compared(before: Json, after: Json, words: str, verdict: Verdict) -> None:
    pacts = (pact(HANDLED, consumer="till"), pact(ELSEWHERE, consumer="app"))
    told = "; the till handles it" if verdict is Verdict.SOMEBODY else ""
    expected = [(f"problems: sold-out {words}{told}", verdict)]
    assert verdicts(catalogue("base", *pacts, **before), catalogue("head", **after)) == expected


def test_the_meaning_of_a_problem_that_nobody_handles_breaks_nobody() -> None:
    ((_, verdict),) = verdicts(catalogue("base", pact(ELSEWHERE)), catalogue("head", definite=False))
    assert verdict is Verdict.NOBODY


def test_texts_for_people_and_problems_of_one_side_alone_change_no_meaning() -> None:
    base, none = catalogue("base", pact(HANDLED)), Tree("none", {})
    assert verdicts(base, catalogue("head", title="Gone")) == verdicts(base, none) == verdicts(none, base) == []


def test_a_catalogue_that_holds_something_else_is_named() -> None:
    broken = Tree("head", {"problems.yaml": b"sold-out: 409"})
    with pytest.raises(
        UnreadableContract, match=r"contracts/problems\.yaml in head: sold-out holds no mapping but '409'"
    ):
        compare(catalogue("base"), broken)


def test_an_interaction_with_an_operation_that_is_not_there_is_remarked() -> None:
    compared = compare(tree("base", OLD, pact(exchange(path="/refunds"))), tree("head", NEW))
    assert compared.remarks == (
        "the pact of portal with shop calls POST /refunds ('a call for 200'), which shop does not have",
    )
    assert compare(
        tree("base", OLD, pact(BEFORE, provider="shop"), pact(BEFORE, provider="mall")), tree("head", NEW)
    ).remarks == ("the pact of portal with mall is of no use: no document has that name or is served under it",)
    assert compare(tree("base", OLD), tree("head", NEW)).remarks == (
        "there are no pacts: nothing can be told to break anybody",
    )


def event(data: Json, kind: str = "order.placed") -> Json:
    envelope = closed({"type": TEXT, "data": {"type": "object"}}, ["type", "data"])
    refined = {"type": {"const": kind}, "data": data}
    return {"$id": f"urn:event:{kind}", "allOf": [{**envelope, "title": "Shared"}], "properties": refined}


RECEIVED = message({"type": "order.placed", "data": {"sku": "A"}})
REQUIRED = closed({"sku": TEXT}, ["sku"])


def events(base: Json | None, head: Json | None, *messages: Json) -> list[tuple[str, Verdict]]:
    states = [{} if data is None else {"order_placed": event(data)} for data in (base, head)]
    found = compare(tree("base", None, pact(*messages), **states[0]), tree("head", **states[1]))
    return [(change.sentence, change.verdict) for change in found.changes]


HELD = "receives it and holds it to its schema"


@pytest.mark.parametrize(
    ("base", "head", "words", "told"),
    [
        (REQUIRED, None, "is no longer sent", "receives it"),
        (REQUIRED, closed({"sku": TEXT}), "no longer promises `data.sku`", "reads it"),
        (REQUIRED, closed({}), "no longer has `data.sku`", "reads it"),
        (closed({"note": TEXT}, ["note"]), closed({}), "no longer has `data.note`", HELD),
        (closed({"note": TEXT}), closed({}), "no longer has `data.note`", None),
        (
            closed({"sku": {**TEXT, "maxLength": 3}}),
            closed({"sku": {**TEXT, "maxLength": 5}}),
            "now sends at most 5 characters for `data.sku`, before 3",
            "reads it",
        ),
    ],
)
def test_events_break_those_who_receive_them(base: Json, head: Json | None, words: str, told: str | None) -> None:
    sentence = f"events: order.placed {words}"
    concerned = [(f"{sentence}; the portal {told}", Verdict.SOMEBODY)] if told else [(sentence, Verdict.NOBODY)]
    assert events(base, head, RECEIVED) == concerned
    assert events(base, head) == [(sentence, Verdict.NOBODY)]


@pytest.mark.parametrize(
    ("base", "head", "words"),
    [
        (None, REQUIRED, "is new"),
        (closed({}), closed({"note": TEXT}), "may now have `data.note`"),
        (closed({}), closed({"note": TEXT}, ["note"]), "now has `data.note`"),
        (closed({"sku": TEXT}), REQUIRED, "now promises `data.sku`"),
        (closed({"sku": {"type": ["string", "null"]}}), closed({"sku": TEXT}), "no longer sends null for `data.sku`"),
    ],
)
def test_events_that_promise_more_are_compatible(base: Json | None, head: Json, words: str) -> None:
    assert events(base, head, RECEIVED) == [(f"events: order.placed {words}", Verdict.COMPATIBLE)]


def test_a_shared_event_schema_is_followed() -> None:
    def state(longest: int) -> Json:
        shared = {"$id": "urn:event:common", "$defs": {"sku": {**TEXT, "maxLength": longest}}}
        return {"common": shared, "order_placed": {"properties": {"sku": {"$ref": "urn:event:common#/$defs/sku"}}}}

    compared = compare(tree("base", **state(3)), tree("head", **state(5)))
    assert [change.sentence for change in compared.changes] == [
        "events: order.placed now sends at most 5 characters for `sku`, before 3"
    ]


def test_a_message_that_is_none_of_the_events_is_remarked() -> None:
    base = tree("base", None, pact(message({"type": "order.lost", "data": {}})), order_placed=event(REQUIRED))
    compared = compare(base, tree("head", order_placed=event(closed({}))))
    assert compared.remarks == (
        "the pact of portal with shop has a message 'an event' that is none of the events: 'order.lost'",
    )


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        ("openapi/shop.yaml", b"paths: [", "contracts/openapi/shop.yaml in HEAD is no YAML: while parsing"),
        ("openapi/shop.yaml", b"hello", "contracts/openapi/shop.yaml in HEAD holds no mapping but 'hello'"),
        ("events/a.json", b"{", "contracts/events/a.json in HEAD is no JSON"),
        ("pacts/a.json", b"[]", r"contracts/pacts/a.json in HEAD holds no mapping but '\[\]'"),
        (
            "openapi/shop.yaml",
            b"paths: {/a: {get: {parameters: [{$ref: 'common.yaml#/components/parameters/Page'}]}}}",
            "contracts/openapi/shop.yaml in HEAD refers to 'parameters', which is not there",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(path: str, content: bytes, said: str) -> None:
    with pytest.raises(UnreadableContract, match=said):
        compare(Tree("BASE", {}), Tree("HEAD", {path: content}))


def test_the_contracts_do_not_differ_from_themselves_when_only_their_text_does() -> None:
    paths = [*OPENAPI.glob("*.yaml"), *EVENTS.glob("*.json")]
    files = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in paths}
    touched = {path: text + b"\n" for path, text in files.items()}
    assert compare(Tree("base", files), Tree("head", touched)).changes == ()
