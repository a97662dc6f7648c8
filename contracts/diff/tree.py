"""One state of the contracts: the files under `contracts/`, parsed when asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import orjson
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from contracts.documents import bundle
from contracts.errors import UnreadableContract

Document = dict[str, Any]

PROBLEMS = "problems.yaml"
"""The path of the catalogue of problems."""

_SHARED = "common"
_SCHEMAS = "#/components/schemas/"


@dataclass(frozen=True)
class Tree:
    """`files` by their path below `contracts/` (`openapi/wms.yaml`); `label` names the state in messages."""

    label: str
    files: Mapping[str, bytes]

    @property
    def apis(self) -> list[str]:
        """The names of the OpenAPI documents, the shared one left out."""
        return [name for name in self._stems("openapi/", ".yaml") if name != _SHARED]

    def same(self, other: "Tree", *paths: str) -> bool:
        """Whether these files are byte for byte the same in both, absent ones included."""
        return all(self.files.get(path) == other.files.get(path) for path in paths)

    def api(self, name: str) -> Document:
        """An OpenAPI document, self-contained; one without operations when the tree has none of that name."""
        if f"openapi/{name}.yaml" not in self.files:
            return {"paths": {}, "components": {}}
        document = self.yaml(f"openapi/{name}.yaml")
        try:
            return bundle(document, self._shared)
        except (KeyError, ValueError) as error:
            raise UnreadableContract(
                f"{self._place(f'openapi/{name}.yaml')} refers to {error}, which is not there"
            ) from error

    @cached_property
    def _shared(self) -> Document:
        """What the OpenAPI documents share; reading it is most of the work, and no document changes it."""
        path = f"openapi/{_SHARED}.yaml"
        return self.yaml(path) if path in self.files else {"components": {}}

    def events(self) -> Document:
        """All event schemas as one document with local references: `#/components/schemas/<type>`."""
        paths = sorted(path for path in self.files if path.startswith("events/") and path.endswith(".json"))
        schemas = {PurePosixPath(path).stem: self.json(path) for path in paths}
        by_id = {schema.get("$id", f"{name}.json"): name for name, schema in schemas.items()}
        by_id |= {f"{name}.json": name for name in schemas}
        localized = {name: _localized(schema, name, by_id) for name, schema in schemas.items()}
        return {"components": {"schemas": localized}}

    def pacts(self) -> dict[str, Document]:
        """The Pact files by their path."""
        paths = sorted(path for path in self.files if path.startswith("pacts/") and path.endswith(".json"))
        return {path: self.json(path) for path in paths}

    def problems(self) -> dict[str, Document]:
        """The catalogue of problems by their keys; an empty one when the tree has none."""
        if PROBLEMS not in self.files:
            return {}
        catalogue = self.yaml(PROBLEMS)
        for key, problem in catalogue.items():
            if not isinstance(problem, dict):
                raise UnreadableContract(f"{self._place(PROBLEMS)}: {key} holds no mapping but {str(problem)[:60]!r}")
        return catalogue

    def json(self, path: str) -> Document:
        """The object in a JSON file; UnreadableContract says where it ends to be one."""
        try:
            return self._mapping(path, orjson.loads(self.files[path]))
        except orjson.JSONDecodeError as error:
            raise UnreadableContract(f"{self._place(path)} is no JSON: {error}") from error

    def yaml(self, path: str) -> Document:
        """The mapping in a YAML file; UnreadableContract says what is wrong with it."""
        try:
            return self._mapping(path, YAML(typ="safe", pure=True).load(self.files[path].decode()))
        except (YAMLError, UnicodeDecodeError) as error:
            told = " ".join(str(error).split())
            raise UnreadableContract(f"{self._place(path)} is no YAML: {told}") from error

    def _mapping(self, path: str, loaded: object) -> Document:
        if not isinstance(loaded, dict):
            raise UnreadableContract(f"{self._place(path)} holds no mapping but {str(loaded)[:60]!r}")
        return loaded

    def _place(self, path: str) -> str:
        return f"contracts/{path} in {self.label}"

    def _stems(self, folder: str, ending: str) -> list[str]:
        names = [path for path in self.files if path.startswith(folder) and path.endswith(ending)]
        return sorted(path.removeprefix(folder).removesuffix(ending) for path in names)


def _localized(node: Any, own: str, by_id: Mapping[str, str]) -> Any:
    """A copy whose references point into the one document of all events; foreign ones stay and are found missing."""
    if isinstance(node, list):
        return [_localized(child, own, by_id) for child in node]
    if not isinstance(node, dict):
        return node
    copy = {name: _localized(child, own, by_id) for name, child in node.items()}
    target = node.get("$ref")
    if isinstance(target, str):
        file, _, fragment = target.partition("#")
        name = by_id.get(file, by_id.get(PurePosixPath(file).name)) if file else own
        copy["$ref"] = _SCHEMAS + name + fragment if name else target
    return copy
