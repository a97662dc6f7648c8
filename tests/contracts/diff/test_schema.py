"""A schema differs from itself in nothing, and what was added one way was removed the other."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from contracts.diff.schema import Comparison, Difference, Effect, plain
from contracts.errors import UnreadableContract
from tests.contracts.diff.trees import Json, closed

MIRRORED = {
    Effect.ADDED: Effect.REMOVED,
    Effect.REMOVED: Effect.ADDED,
    Effect.NARROWER: Effect.WIDER,
    Effect.WIDER: Effect.NARROWER,
    Effect.CHANGED: Effect.CHANGED,
}
NAMES = st.sampled_from(["a", "b", "c"])


def between(base: Any, head: Any, definitions: Json | None = None, others: Json | None = None) -> list[Difference]:
    return Comparison({"defs": definitions or {}}, {"defs": others or definitions or {}}).differences(base, head)


def texts() -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "maxLength": st.integers(1, 5),
            "minLength": st.integers(0, 1),
            "pattern": st.sampled_from(["^a", "b$"]),
        },
    )


def numbers() -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number", ["integer", "null"]])},
        optional={"minimum": st.integers(0, 3), "maximum": st.integers(4, 9)},
    )


def enums() -> st.SearchStrategy[Json]:
    values = st.lists(st.sampled_from(["x", "y", 1, None]), min_size=1, max_size=3, unique_by=repr)
    return st.fixed_dictionaries({"enum": values}) | st.fixed_dictionaries({"const": st.sampled_from(["x", 1])})


def composites(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    objects = st.builds(closed, st.dictionaries(NAMES, inner, max_size=3), st.lists(NAMES, max_size=2, unique=True))
    opened = st.builds(
        lambda source: {key: value for key, value in source.items() if key != "additionalProperties"}, objects
    )
    arrays = st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"maxItems": st.integers(1, 3)})
    nullable = st.builds(lambda schema: {"oneOf": [schema, {"type": "null"}]}, inner)
    alternatives = st.builds(lambda one, other: {"oneOf": [one, other]}, inner, inner)
    together = st.builds(lambda one, other: {"allOf": [one], **other}, objects, opened)
    return objects | opened | arrays | nullable | alternatives | together


SCHEMAS = st.recursive(texts() | numbers() | enums(), composites, max_leaves=6)


@settings(max_examples=150, deadline=None)
@given(SCHEMAS)
def test_a_schema_does_not_differ_from_itself(schema: Json) -> None:
    assert between(schema, schema) == []


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, SCHEMAS)
def test_differences_mirror(base: Json, head: Json) -> None:
    there = [(one.place, one.kind, one.effect) for one in between(base, head)]
    back = [(one.place, one.kind, MIRRORED[one.effect]) for one in between(head, base)]
    assert sorted(there) == sorted(back)


SCALARS = st.sampled_from(["x", "y", "a", "ab", "b", "aaaaaa", "", 0, 1, 2, 7, 1.5, 12, None, True])
LEAVES = texts() | numbers() | enums()
Change = tuple[Json, Json, Any]


def around(changes: st.SearchStrategy[Change]) -> st.SearchStrategy[Change]:
    """The same schema around both sides of a change, and around the value that is tried."""

    def member(change: Change, required: list[str]) -> Change:
        base, head = (closed({"a": side, "b": {"type": "string"}}, required) for side in change[:2])
        return base, head, {"a": change[2]}

    def element(change: Change) -> Change:
        base, head = ({"type": "array", "items": side, "maxItems": 2} for side in change[:2])
        return base, head, [change[2]]

    def nullable(change: Change) -> Change:
        base, head = ({"oneOf": [side, {"type": "null"}]} for side in change[:2])
        return base, head, change[2]

    def together(change: Change) -> Change:
        base, head = ({"allOf": [side, {"maxLength": 4, "maximum": 8}], "title": "T"} for side in change[:2])
        return base, head, change[2]

    return (
        st.builds(member, changes, st.lists(NAMES, max_size=1))
        | st.builds(element, changes)
        | st.builds(nullable, changes)
        | st.builds(together, changes)
    )


CHANGES = st.recursive(st.tuples(LEAVES, LEAVES, SCALARS), around, max_leaves=3)


@settings(max_examples=300, deadline=None)
@given(CHANGES)
def test_no_value_is_refused_from_now_on_without_a_difference_that_says_so(change: Change) -> None:
    base, head, value = change
    refused = Draft202012Validator(base).is_valid(value) and not Draft202012Validator(head).is_valid(value)
    found = between(base, head)
    told = [
        one
        for one in found
        if one.effect in (Effect.NARROWER, Effect.CHANGED)
        or (one.kind in ("required", "required member") and one.effect is Effect.ADDED)
        or (one.kind in ("member", "required member") and one.effect is Effect.REMOVED)
    ]
    assert not refused or told, f"{value} fitted {base} and does not fit {head}: {found}"


def test_a_schema_within_itself_is_compared_once() -> None:
    def node(kind: str) -> Json:
        return {"node": closed({"value": {"type": kind}, "next": {"$ref": "#/defs/node"}})}

    found = between({"$ref": "#/defs/node"}, {"$ref": "#/defs/node"}, node("string"), node("integer"))
    assert [(one.place, one.kind, one.effect) for one in found] == [
        (("value",), "type", Effect.NARROWER),
        (("value",), "type", Effect.WIDER),
    ]


def test_a_reference_and_what_it_points_at_are_the_same() -> None:
    text = {"type": "string", "maxLength": 3}
    assert between({"$ref": "#/defs/text"}, text, {"text": text}) == []


def test_all_of_is_taken_together() -> None:
    both = {"allOf": [{"type": "string", "maxLength": 9}, {"maxLength": 5}], "minLength": 1}
    assert plain(both, {}) == {"type": "string", "maxLength": 5, "minLength": 1}


def test_a_closed_part_refuses_the_members_of_the_others() -> None:
    merged = plain({"allOf": [closed({"a": {}})], "properties": {"a": {"type": "string"}, "b": {}}}, {})
    assert merged["properties"] == {"a": {"type": "string"}}
    assert merged["additionalProperties"] is False


def test_two_patterns_at_once_are_kept_apart_and_compared() -> None:
    first, second = ({"allOf": [{"pattern": "^a"}, {"pattern": pattern}], "type": "string"} for pattern in ("b$", "c$"))
    assert between(first, first) == []
    assert {one.effect for one in between(first, second)} == {Effect.CHANGED}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"$ref": "#/defs/gone"}, "the reference '#/defs/gone' points at nothing: there is no 'gone'"),
        ({"$ref": "https://elsewhere/x.json"}, "leads out of the contracts"),
        ({"$ref": "#/defs/loop"}, "refers to itself without end"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told(schema: Json, told: str) -> None:
    with pytest.raises(UnreadableContract, match=told):
        plain(schema, {"defs": {"loop": {"$ref": "#/defs/loop"}}})
