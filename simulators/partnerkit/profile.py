"""Profiles: how a vendor behaves, as a frozen model read from YAML. An unknown key is an error that names it."""

import difflib
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from ruamel.yaml import YAML

from contracts.wire import parse_duration
from simulators.partnerkit.errors import ProfileError


def parse_duration_us(value: object) -> object:
    """`250ms`, `90s`, `5m`, `2h` or `5d` as integer microseconds; an integer is taken as microseconds."""
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[int, BeforeValidator(parse_duration_us)]
"""A field that is written `90s` in YAML and is integer microseconds in code."""


class Profile(BaseModel):
    """Base of all profiles and their parts: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=Profile)


def load(model: type[P], path_or_name: str | Path, overrides: Mapping[str, object] | None = None) -> P:
    """Read a profile: a name is looked up in `profiles/` beside the model's module, a path is taken as it is.

    `overrides` are laid over what the file says, key by key and to any depth. Raises ProfileError.
    """
    file = _find(model, path_or_name)
    content = _parsed(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ProfileError(f"{file}: a profile is a mapping of settings, this is {type(content).__name__}")
    try:
        return model.model_validate(_laid_over(content, overrides or {}))
    except ValidationError as error:
        raise ProfileError(f"{file}: {_explain(model, error)}") from error


@lru_cache(maxsize=64)
def _parsed(text: str) -> object:
    """A YAML text, parsed once: a process that plays many seeds reads the same few profiles. Not to be changed."""
    return YAML(typ="safe").load(text) or {}


def _find(model: type[Profile], path_or_name: str | Path) -> Path:
    given = Path(path_or_name)
    if given.suffix in {".yaml", ".yml"} and given.exists():
        return given
    module_file = sys.modules[model.__module__].__file__
    assert module_file is not None, f"{model.__module__} has no file, so it can have no profiles"
    folder = Path(module_file).parent / "profiles"
    file = folder / f"{given.name.removesuffix('.yaml')}.yaml"
    if file.exists():
        return file
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    raise ProfileError(f"no profile {str(path_or_name)!r}: give a path to a YAML file, or one of {', '.join(known)}")


def _laid_over(base: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        nested = isinstance(value, Mapping) and isinstance(below, Mapping)
        result[key] = _laid_over(below, value) if nested else value  # type: ignore[arg-type]
    return result


def _explain(model: type[Profile], error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        place = ".".join(str(step) for step in problem["loc"])
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(problem["loc"][-1]), list(model.model_fields), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            parts.append(f"unknown key {place!r}{hint}")
        else:
            parts.append(f"{place} = {problem['input']!r}: {problem['msg']}")
    return "; ".join(parts)
