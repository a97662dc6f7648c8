"""A YAML file into a frozen pydantic model, with errors that name file, line, key and the nearest valid key.

Knows no scenario: any model will do. Overrides are dotted paths; in a list a part is an index or an entry's `id`.
"""

import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from scenarios.errors import ScenarioError, nearest

Path_ = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)


def load_model(model: type[ModelT], file: Path, overrides: Mapping[str, str]) -> ModelT:
    """The validated model; ScenarioError at the first thing that can't be used."""
    document, lines = _read(file)
    places: dict[Path_, str] = {}
    for dotted, value in overrides.items():
        _override(model, document, dotted, value, places)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise _translate(model, error, str(file), lines, places) from error


def _read(file: Path) -> tuple[dict[str, Any], dict[Path_, int]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ScenarioError(f"can't be read ({why}); give a readable YAML file", file=str(file)) from error
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else None
        raise ScenarioError(f"not valid YAML: {error.problem}; mend the line", file=str(file), line=line) from error
    except YAMLError as error:
        raise ScenarioError(f"not valid YAML: {error}", file=str(file)) from error
    if not isinstance(tree, CommentedMap):
        raise ScenarioError("holds no mapping; start with 'name:' and 'summary:'", file=str(file), line=1)
    lines: dict[Path_, int] = {}
    plain = _plain(tree, (), lines)
    return typing.cast("dict[str, Any]", plain), lines


def _plain(node: object, path: Path_, lines: dict[Path_, int]) -> object:
    """Plain dicts, lists and scalars, noting the line of every key and entry."""
    if isinstance(node, CommentedMap):
        mapping: dict[str, object] = {}
        for key, value in node.items():
            lines[(*path, str(key))] = node.lc.key(key)[0] + 1
            mapping[str(key)] = _plain(value, (*path, str(key)), lines)
        return mapping
    if isinstance(node, CommentedSeq):
        entries: list[object] = []
        for index, value in enumerate(node):
            lines[(*path, index)] = node.lc.item(index)[0] + 1
            entries.append(_plain(value, (*path, index), lines))
        return entries
    if isinstance(node, bool):
        return bool(node)
    for scalar in (int, float, str):
        if isinstance(node, scalar):
            return scalar(node)
    return node


def _override(
    model: type[BaseModel], document: dict[str, Any], dotted: str, text: str, places: dict[Path_, str]
) -> None:
    """Put one `--set` value in its place; an unknown part of the path is an error that names the nearest."""
    said = f"--set {dotted}={text}"
    try:
        value = _plain(YAML(typ="rt").load(text), (), {}) if text.strip() else ""
    except YAMLError as error:
        raise ScenarioError(f"{text!r} is not a YAML value; quote it", file=said, key=dotted) from error
    place: Any = document
    path: Path_ = ()
    parts = dotted.split(".")
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        key = _step(model, place, path, part, said)
        path = (*path, key)
        if last:
            place[key] = value
        elif isinstance(place, dict):
            place = place.setdefault(str(key), [] if _is_list(model, path) else {})
            if place is None:
                raise ScenarioError(f"'{part}' has no value to go into; set it wholly", file=said, key=dotted)
        else:
            place = place[key]
        if not last and not isinstance(place, dict | list):
            raise ScenarioError(f"'{part}' holds one value, {place!r}, and nothing below it", file=said, key=dotted)
    places[path] = said


def _step(model: type[BaseModel], place: Any, path: Path_, part: str, said: str) -> str | int:
    if isinstance(place, list):
        ids = [
            str(entry.get("id", index)) if isinstance(entry, dict) else str(index) for index, entry in enumerate(place)
        ]
        if part in ids:
            return ids.index(part)
        if part.isdecimal() and int(part) < len(place):
            return int(part)
        raise ScenarioError(f"no entry '{part}'{nearest(part, ids)}", file=said, key=part)
    known = known_keys(model, path)
    if known is not None and part not in known:
        raise ScenarioError(f"unknown key '{part}'{nearest(part, known)}", file=said, key=part)
    return part


def known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str] | None:
    """The keys that may stand at a path of a model; None where any key may."""
    annotation: object = model
    for part in path:
        annotation = _inner(annotation, part)
        if annotation is None:
            return None
    inner = _as_model(annotation)
    return None if inner is None else [field.alias or name for name, field in inner.model_fields.items()]


def _inner(annotation: object, part: str | int) -> object:
    """The annotation one step down: a field of a model, an entry of a list or a value of a dict; None for none."""
    model = _as_model(annotation)
    if model is not None:
        fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        return fields.get(str(part))
    origin = typing.get_origin(annotation)
    arguments = [argument for argument in typing.get_args(annotation) if argument is not Ellipsis]
    if origin in (typing.Union, types.UnionType):
        return next((found for option in arguments if (found := _inner(option, part)) is not None), None)
    if origin in (list, tuple) and isinstance(part, int):
        return arguments[0]
    return arguments[1] if origin is dict else None


def _is_list(model: type[BaseModel], path: Path_) -> bool:
    annotation: object = model
    for part in path:
        annotation = _inner(annotation, part)
    return typing.get_origin(annotation) in (list, tuple)


def _as_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for option in typing.get_args(annotation):
            if isinstance(option, type) and issubclass(option, BaseModel):
                return option
    return None


def _translate(
    model: type[BaseModel], error: ValidationError, file: str, lines: Mapping[Path_, int], places: Mapping[Path_, str]
) -> ScenarioError:
    """The first complaint in the words of the file; how many more there are is said at the end."""
    complaints = error.errors(include_url=False)
    first = next((complaint for complaint in complaints if complaint["type"] == "extra_forbidden"), complaints[0])
    path: Path_ = first["loc"]
    dotted = ".".join(str(part) for part in path)
    kind = first["type"]
    if kind == "extra_forbidden":
        message = f"unknown key '{path[-1]}'{nearest(str(path[-1]), known_keys(model, path[:-1]) or [])}"
    elif kind == "missing":
        message = f"'{dotted}' is missing; add it"
    else:
        reason = first["msg"].removeprefix("Value error, ")
        shown = "" if isinstance(first["input"], dict | list) else f" (got {first['input']!r})"
        message = f"{dotted}: {reason}{shown}" if dotted else reason
    if len(complaints) > 1:
        message += f" (and {len(complaints) - 1} more)"
    said = _said(path, places)
    if said:
        return ScenarioError(message, file=said, key=dotted)
    line = next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), None)
    return ScenarioError(message, file=file, line=line, key=dotted)


def _said(path: Path_, places: Mapping[Path_, str]) -> str:
    """The override that a complaint about `path` is due to: one at or above it, or else one below it."""
    above = [places[path[:length]] for length in range(len(path), 0, -1) if path[:length] in places]
    below = [said for place, said in places.items() if path and place[: len(path)] == path]
    return next(iter(above + below), "")
