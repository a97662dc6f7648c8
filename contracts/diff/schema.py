"""Compares two JSON Schemas: at which place, by which keyword, and whether fewer or more values fit.

A schema is first made plain: references followed, `allOf` taken together, `const` read as an enum of one and "this or
null" as a type. What is plain on both sides is compared keyword by keyword (`_RANGES`, `_COMPARISONS`); what is not
understood and not equal is CHANGED, which nobody may take for compatible.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from contracts.errors import UnreadableContract

Schema = dict[str, Any]
Place = tuple[str, ...]

ITEMS = "[]"
OTHERS = "{}"
DEEPEST = 60
"""Bound on nesting: documents that go deeper are said to be beyond comparison instead of compared for ever."""

_NUMBERS = ("integer", "fraction")
_ALL_TYPES = frozenset({"null", "boolean", "string", "array", "object", *_NUMBERS})
_ANNOTATIONS = frozenset(
    {"$comment", "$defs", "$id", "$schema", "definitions", "deprecated", "description", "discriminator", "example"}
    | {"examples", "externalDocs", "readOnly", "title", "writeOnly", "xml"}
)
_ALTERNATIVES = ("oneOf", "anyOf")


class Effect(StrEnum):
    """What became of the values that fit. Seen from the other side, ADDED is REMOVED and NARROWER is WIDER."""

    ADDED = "added"
    REMOVED = "removed"
    NARROWER = "narrower"
    WIDER = "wider"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Witness:
    """Values that only one of the two schemas takes: this very one, or (not `known`) any of that JSON type."""

    type: str
    value: object = None
    known: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `demand`: a schema with nothing but what the newer side asks of the value at `place`."""

    place: Place
    kind: str
    effect: Effect
    base: object = None
    head: object = None
    demand: Schema = field(default_factory=dict)
    witnesses: tuple[Witness, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Compares schemas of two documents, each with the document that its references point into."""

    base: Mapping[str, Any]
    head: Mapping[str, Any]

    def differences(self, base: object, head: object, place: Place = ()) -> list[Difference]:
        """All differences between two schemas, in the order of the schemas' members."""
        return list(self._compare(base, head, place, ()))

    def _compare(
        self, base: object, head: object, place: Place, trail: tuple[tuple[str, str], ...]
    ) -> Iterator[Difference]:
        pair = (_name(base), _name(head))
        if pair in trail:
            return  # a schema within itself: its differences are told at the first level
        if len(trail) >= DEEPEST:
            yield Difference(place, "nesting", Effect.CHANGED)
            return
        trail = (*trail, pair)
        old, new = plain(base, self.base), plain(head, self.head)
        old_types, new_types = _types(old), _types(new)
        if "enum" in old and "enum" in new:
            yield from _enum(place, old, new)
        else:
            yield from _type(place, old_types, new_types)
            yield from _enum(place, old, new)
        common = old_types & new_types
        for kind, (types, compare) in _COMPARISONS.items():
            if common & types and not ("enum" in old and "enum" in new) and old.get(kind) != new.get(kind):
                yield from compare(place, kind, old, new)
        if "object" in common:
            yield from self._members(old, new, place, trail)
        if "array" in common:
            yield from self._compare(old.get("items", {}), new.get("items", {}), (*place, ITEMS), trail)
        yield from self._alternatives(old, new, place, trail)
        if old.get("default") != new.get("default"):
            yield Difference(place, "default", Effect.CHANGED, old.get("default"), new.get("default"))
        for kind in sorted((old.keys() | new.keys()) - _UNDERSTOOD):
            if old.get(kind) != new.get(kind):
                yield Difference(place, kind, Effect.CHANGED, old.get(kind), new.get(kind), _demand(new, kind))

    def _members(
        self, old: Schema, new: Schema, place: Place, trail: tuple[tuple[str, str], ...]
    ) -> Iterator[Difference]:
        required, demanded = set(old.get("required", ())), set(new.get("required", ()))
        names = list(
            dict.fromkeys([*old.get("properties", {}), *new.get("properties", {}), *sorted(required | demanded)])
        )
        for name in names:
            was, now = _member(old, name), _member(new, name)
            if (was is False) == (now is False):
                if (name in required) != (name in demanded):
                    yield Difference((*place, name), "required", Effect.ADDED if name in demanded else Effect.REMOVED)
                if was is not False:
                    yield from self._compare(was, now, (*place, name), trail)
            elif was is False:
                kind = "required member" if name in demanded else "member"
                yield Difference((*place, name), kind, Effect.ADDED)
            else:
                kind = "required member" if name in required else "member"
                yield Difference((*place, name), kind, Effect.REMOVED)
        was, now = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if (was is False) != (now is False):
            effect = Effect.NARROWER if now is False else Effect.WIDER
            demand: Schema = {"properties": dict.fromkeys(new.get("properties", {}), True), "additionalProperties": now}
            yield Difference(place, "additionalProperties", effect, was, now, demand, (Witness("object"),))
        elif was is not False:
            yield from self._compare(was, now, (*place, OTHERS), trail)

    def _alternatives(
        self, old: Schema, new: Schema, place: Place, trail: tuple[tuple[str, str], ...]
    ) -> Iterator[Difference]:
        before, after = _branches(old), _branches(new)
        if not before and not after:
            return
        before, after = before or [{}], after or [{}]
        gone = [one for one in before if not any(self._alike(one, other, trail) for other in after)]
        come = [one for one in after if not any(self._alike(other, one, trail) for other in before)]
        if len(gone) == 1 and len(come) == 1:
            yield from self._compare(gone[0], come[0], place, trail)
        elif gone or come:
            effect = Effect.CHANGED if gone and come else Effect.NARROWER if gone else Effect.WIDER
            types = sorted(
                {kind for one in gone + come for kind in _types(plain(one, self.base if one in gone else self.head))}
            )
            witnesses = tuple(Witness(kind) for kind in types)
            yield Difference(
                place, "alternatives", effect, len(before), len(after), _demand({"anyOf": after}, "anyOf"), witnesses
            )

    def _alike(self, base: object, head: object, trail: tuple[tuple[str, str], ...]) -> bool:
        return next(self._compare(base, head, (), trail), None) is None


def plain(schema: object, document: Mapping[str, Any]) -> Schema:
    """The schema with references followed, `allOf` taken together, `const` as enum, and "this or null" as a type."""
    return _plain(schema, document, 0)


def _plain(schema: object, document: Mapping[str, Any], depth: int) -> Schema:
    if depth > DEEPEST:
        raise UnreadableContract(f"a schema refers to itself without end: {str(schema)[:80]}")
    if not isinstance(schema, dict):
        return {} if schema is not False else {"not": {}}
    own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf") and key not in _ANNOTATIONS}
    if "const" in own:
        own["enum"] = [own.pop("const")]
    parts = [schema["$ref"]] if "$ref" in schema else []
    merged = own
    for target in parts:
        merged = _merge(_plain(resolve(target, document), document, depth + 1), merged)
    for part in schema.get("allOf", ()):
        merged = _merge(_plain(part, document, depth + 1), merged)
    return _nullable(merged, document, depth)


def resolve(reference: str, document: Mapping[str, Any]) -> Any:
    """What a local reference points at; UnreadableContract when it is not there."""
    target: Any = document
    if not reference.startswith("#/"):
        raise UnreadableContract(
            f"the reference {reference!r} leads out of the contracts; only local ones are followed"
        )
    for step in reference.removeprefix("#/").split("/"):
        try:
            target = target[step.replace("~1", "/").replace("~0", "~")]
        except (KeyError, TypeError) as error:
            raise UnreadableContract(f"the reference {reference!r} points at nothing: there is no {step!r}") from error
    return target


def _nullable(schema: Schema, document: Mapping[str, Any], depth: int) -> Schema:
    """`oneOf [X, null]` as X that may also be null."""
    for keyword in _ALTERNATIVES:
        branches = schema.get(keyword, [])
        others = [branch for branch in branches if branch != {"type": "null"}]
        if len(branches) == len(others) + 1 and len(others) == 1:
            inner = _plain(others[0], document, depth + 1)
            rest = {key: value for key, value in schema.items() if key != keyword}
            widened = (
                {**inner, "type": sorted({*_listed(inner), "null"})} if "type" in inner or "enum" in inner else inner
            )
            if "enum" in inner:
                widened["enum"] = [*inner["enum"], *([] if None in inner["enum"] else [None])]
            return _merge(widened, rest)
    return schema


def _merge(one: Schema, other: Schema) -> Schema:
    """Both at once. What can't be expressed as one keyword is kept beside it, to be compared as it is."""
    merged = {**one, **other}
    for key in one.keys() & other.keys():
        if one[key] == other[key]:
            continue
        if key in _RANGES:
            merged[key] = (min if _RANGES[key].upper else max)(one[key], other[key])
        elif key == "required":
            merged[key] = [*one[key], *(name for name in other[key] if name not in one[key])]
        elif key == "enum":
            merged[key] = [value for value in one[key] if _among(value, other[key])]
        elif key == "type":
            merged[key] = sorted(set(_listed(one)) & set(_listed(other)))
        elif key in ("items", "properties", "additionalProperties"):
            continue
        else:
            merged[key] = other[key]
            merged[f"{key} as well"] = one[key]
    if "items" in one and "items" in other and one["items"] != other["items"]:
        merged["items"] = {"allOf": [one["items"], other["items"]]}
    if "properties" in merged or "additionalProperties" in merged:
        merged.update(_merged_members(one, other))
    return merged


def _merged_members(one: Schema, other: Schema) -> Schema:
    properties: Schema = {}
    for name in dict.fromkeys([*one.get("properties", {}), *other.get("properties", {})]):
        parts = [member for member in (_member(one, name), _member(other, name)) if member not in (True, {})]
        if False not in parts:
            properties[name] = parts[0] if len(parts) == 1 else {"allOf": parts} if parts else {}
    rest = [part.get("additionalProperties", True) for part in (one, other)]
    parts = [part for part in rest if part is not True]
    return {
        "properties": properties,
        "additionalProperties": False
        if False in parts
        else {"allOf": parts}
        if len(parts) > 1
        else (parts or [True])[0],
    }


def _member(schema: Schema, name: str) -> Any:
    """The schema of a member, False where none of that name may be."""
    named: Any = schema.get("properties", {}).get(name)
    return schema.get("additionalProperties", True) if named is None else named


def _listed(schema: Schema) -> Sequence[str]:
    listed = schema.get("type")
    if listed is None and "enum" in schema:
        return sorted({json_type(value) for value in schema["enum"]})
    return [listed] if isinstance(listed, str) else listed if listed is not None else sorted(_ALL_TYPES)


def _types(schema: Schema) -> frozenset[str]:
    """The JSON types that fit; `number` is `integer` and `fraction`."""
    if "enum" in schema:
        return frozenset(json_type(value) for value in schema["enum"])
    return frozenset(name for kind in _listed(schema) for name in (_NUMBERS if kind == "number" else (kind,)))


def json_type(value: object) -> str:  # noqa: PLR0911 - one line per JSON type
    """The JSON type of a parsed value; a number that is not whole is a `fraction`."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "fraction"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _among(value: object, values: Sequence[object]) -> bool:
    """Whether JSON has the value there: unlike in Python, true is not 1."""
    return any(json_type(value) == json_type(other) and value == other for other in values)


def _branches(schema: Schema) -> list[Any]:
    return [branch for keyword in _ALTERNATIVES for branch in schema.get(keyword, [])]


def _name(schema: object) -> str:
    """What tells a schema from others while it is walked: its reference, or its text."""
    if isinstance(schema, dict) and set(schema) == {"$ref"}:
        return str(schema["$ref"])
    return json.dumps(schema, sort_keys=True, default=str)


def _demand(schema: Schema, kind: str) -> Schema:
    """The keyword alone; nothing where it can't stand alone, because it leads elsewhere."""
    alone = kind in schema and not kind.endswith(" as well") and '"$ref"' not in json.dumps(schema[kind])
    return {kind: schema[kind]} if alone else {}


def _type(place: Place, old: frozenset[str], new: frozenset[str]) -> Iterator[Difference]:
    demand = {"type": sorted({"number" if kind == "fraction" else kind for kind in new})}
    for effect, types in ((Effect.NARROWER, old - new), (Effect.WIDER, new - old)):
        if types:
            witnesses = tuple(Witness(kind, known=kind == "null") for kind in sorted(types))
            yield Difference(place, "type", effect, sorted(old), sorted(new), demand, witnesses)


def _enum(place: Place, old: Schema, new: Schema) -> Iterator[Difference]:
    before, after = old.get("enum"), new.get("enum")
    if before is None and after is None:
        return
    demand = {"enum": after} if after is not None else {}
    if before is None or after is None:
        effect = Effect.NARROWER if before is None else Effect.WIDER
        types = _types(old) & _types(new)
        if types:
            witnesses = tuple(Witness(kind) for kind in sorted(types))
            yield Difference(place, "enum", effect, before, after, demand, witnesses)
        return
    gone = [value for value in before if not _among(value, after)]
    come = [value for value in after if not _among(value, before)]
    for effect, values in ((Effect.NARROWER, gone), (Effect.WIDER, come)):
        if values:
            witnesses = tuple(Witness(json_type(value), value, known=True) for value in values)
            yield Difference(place, "enum", effect, before, after, demand, witnesses)


@dataclass(frozen=True, slots=True)
class _Range:
    """A bound; `upper`: a smaller one is narrower. `absent`: what no bound amounts to."""

    upper: bool
    absent: float
    types: frozenset[str]


def _range(place: Place, kind: str, old: Schema, new: Schema) -> Iterator[Difference]:
    bound = _RANGES[kind]
    before, after = old.get(kind, bound.absent), new.get(kind, bound.absent)
    if before == after:
        return
    narrower = (after < before) == bound.upper
    wide = before if narrower else after
    effect = Effect.NARROWER if narrower else Effect.WIDER
    yield Difference(place, kind, effect, old.get(kind), new.get(kind), _demand(new, kind), _at_bound(kind, wide))


def _at_bound(kind: str, bound: float) -> tuple[Witness, ...]:
    """A value at the wider bound, which is one that the narrower bound excludes."""
    if kind in ("minimum", "maximum") and isinstance(bound, int):
        return (Witness("integer", bound, known=True),)
    if kind == "minLength":
        return (Witness("string", "x" * int(bound), known=True),)
    if kind == "minItems" and bound == 0:
        return (Witness("array", [], known=True),)
    return tuple(Witness(name) for name in sorted(_RANGES[kind].types))


def _constraint(place: Place, kind: str, old: Schema, new: Schema) -> Iterator[Difference]:
    """A keyword that only ever excludes: having it is narrower than not having it, two different ones can't be told."""
    effect = Effect.CHANGED if kind in old and kind in new else Effect.NARROWER if kind in new else Effect.WIDER
    witnesses = tuple(Witness(name) for name in sorted(_CONSTRAINTS[kind]))
    yield Difference(place, kind, effect, old.get(kind), new.get(kind), _demand(new, kind), witnesses)


def _unique(place: Place, kind: str, old: Schema, new: Schema) -> Iterator[Difference]:
    before, after = bool(old.get(kind)), bool(new.get(kind))
    if before != after:
        effect = Effect.NARROWER if after else Effect.WIDER
        yield Difference(place, kind, effect, before, after, {kind: after}, (Witness("array"),))


_NUMBER, _TEXT, _LIST, _OBJECT = frozenset(_NUMBERS), frozenset({"string"}), frozenset({"array"}), frozenset({"object"})
_INFINITE = float("inf")
_RANGES: dict[str, _Range] = {
    "minimum": _Range(False, -_INFINITE, _NUMBER),
    "exclusiveMinimum": _Range(False, -_INFINITE, _NUMBER),
    "maximum": _Range(True, _INFINITE, _NUMBER),
    "exclusiveMaximum": _Range(True, _INFINITE, _NUMBER),
    "minLength": _Range(False, 0, _TEXT),
    "maxLength": _Range(True, _INFINITE, _TEXT),
    "minItems": _Range(False, 0, _LIST),
    "maxItems": _Range(True, _INFINITE, _LIST),
    "minProperties": _Range(False, 0, _OBJECT),
    "maxProperties": _Range(True, _INFINITE, _OBJECT),
}
_CONSTRAINTS: dict[str, frozenset[str]] = {
    "pattern": _TEXT,
    "format": _TEXT,
    "multipleOf": _NUMBER,
    "not": _ALL_TYPES,
}
_Compare = Callable[[Place, str, Schema, Schema], Iterator[Difference]]
_COMPARISONS: dict[str, tuple[frozenset[str], _Compare]] = {
    **{kind: (bound.types, _range) for kind, bound in _RANGES.items()},
    **{kind: (types, _constraint) for kind, types in _CONSTRAINTS.items()},
    "uniqueItems": (_LIST, _unique),
}
_UNDERSTOOD = frozenset(
    {
        *_COMPARISONS,
        *_ALTERNATIVES,
        "type",
        "enum",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "default",
    }
)
