"""Every rule in both directions: what breaks one who sends it is compatible for one who reads it, and the other way."""

from pathlib import Path

import pytest

from contracts.diff.compare import Verdict, compare
from contracts.documents import read_yaml
from tests.contracts.diff.trees import Json, closed, exchange, operation, pact, shop, tree

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
CASES: dict[str, Json] = read_yaml(Path(__file__).with_name("rules.yaml"))


def body(member: Json | None, needed: bool = False) -> Json:
    return closed({} if member is None else {"a": member}, ["a"] if needed else [])


def documents(side: str, case: Json) -> list[Json]:
    """The shop before and after, with the case's member in what it takes or what it answers."""
    needed = case.get("needed", [False, False])
    schemas = [body(case.get(state), asked) for state, asked in zip(("base", "head"), needed, strict=True)]
    return [shop(operation(**{side: schema})) for schema in schemas]


def carrying(side: str, value: Json) -> Json:
    return exchange(sends=value) if side == "request" else exchange(reads=value)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("side", "start"), [("request", "shop: POST /orders "), ("answer", "shop: POST /orders 200 ")])
def test_what_is_said_and_whom_it_breaks(name: str, side: str, start: str) -> None:
    case = CASES[name]
    base, head = documents(side, case)
    carried = {"a": case["value"]} if "value" in case else {}
    breaks = "; the portal" in case[side]

    (change,) = compare(tree("base", base, pact(carrying(side, carried))), tree("head", head)).changes
    assert change.sentence == start + case[side]
    assert change.verdict is (Verdict.SOMEBODY if breaks else Verdict.COMPATIBLE)

    (unused,) = compare(tree("base", base), tree("head", head)).changes
    assert unused.sentence == start + case[side].split("; the portal")[0]
    assert unused.verdict is (Verdict.NOBODY if breaks else Verdict.COMPATIBLE)


def test_each_rule_breaks_in_one_direction_only_unless_a_member_goes() -> None:
    sides = ("request", "answer")
    breaks = {name: [side for side in sides if "; the portal" in case[side]] for name, case in CASES.items()}
    both = [name for name, broken in breaks.items() if len(broken) == 2]
    neither = [name for name, broken in breaks.items() if not broken]
    assert both == ["a required member goes", "an optional member goes"]
    assert neither == ["a new optional member"]


@pytest.mark.parametrize("side", ["request", "answer"])
def test_what_cannot_be_compared_is_said_so(side: str) -> None:
    base, head = ({**TEXT, "pattern": pattern} for pattern in ("^x+$", "^[xy]+$"))
    states = [shop(operation(**{side: body(schema)})) for schema in (base, head)]
    compared = compare(tree("base", states[0], pact(carrying(side, {"a": "x"}))), tree("head", states[1]))
    (change,) = compared.changes
    assert change.verdict is Verdict.UNJUDGED
    assert "changes pattern of `a` from '^x+$' to '^[xy]+$'" in change.sentence
    assert bool(change.concerned) is (side == "answer")


def test_an_example_that_the_newer_side_refuses_settles_what_cannot_be_compared() -> None:
    states = [shop(operation(request=body({**TEXT, "pattern": pattern}))) for pattern in ("^x+$", "^y+$")]
    compared = compare(tree("base", states[0], pact(exchange(sends={"a": "x"}))), tree("head", states[1]))
    assert [(change.verdict, change.concerned[0].told) for change in compared.changes] == [
        (Verdict.SOMEBODY, "sends 'x'")
    ]


def test_an_unknown_keyword_cannot_be_judged() -> None:
    states = [shop(operation(answer=body({"type": "array", "contains": kind}))) for kind in (TEXT, WHOLE)]
    compared = compare(tree("base", states[0], pact(exchange(reads={"a": []}))), tree("head", states[1]))
    (change,) = compared.changes
    assert change.verdict is Verdict.UNJUDGED
    assert [who.told for who in change.concerned] == ["reads it"]


def test_what_is_for_people_alone_is_no_change() -> None:
    documented = {"description": "A.", "title": "A", "examples": ["x"], "$comment": "why", **TEXT}
    base, head = (shop(operation(answer=body(schema))) for schema in (TEXT, documented))
    assert compare(tree("base", base), tree("head", head)).changes == ()


def test_a_default_matters_to_who_leaves_the_parameter_out() -> None:
    def page(size: int) -> Json:
        schema = {"type": "integer", "default": size}
        return shop(operation(parameters=[{"name": "size", "in": "query", "schema": schema}]))

    compared = compare(
        tree(
            "base",
            page(100),
            pact(exchange(), consumer="portal"),
            pact(exchange(query={"size": ["5"]}), consumer="erp"),
        ),
        tree("head", page(50)),
    )
    assert [change.sentence for change in compared.changes] == [
        "shop: POST /orders reads the query parameter `size` as 50 where it is left out, before as 100; "
        "the portal does not send it"
    ]
