"""What a process of simulators is asked to serve."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from peakproof.live.recipe import Recipe
from scenarios.spec import PARTNERS

RECORD = "live.json"
"""What a run leaves beside its evidence: how business time went, and what was run."""


@dataclass(frozen=True)
class Order:
    """What is to be served. `ports` is host to port, 0 for any that is free."""

    recipe: Recipe
    address: str
    ports: dict[str, int]
    directory: str
    integration_url: str | None = None
    """What the host name integration stands for."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Order":
        raw = json.loads(text)
        recipe = raw["recipe"]
        overrides = tuple((name, value) for name, value in recipe["overrides"])
        raw["recipe"] = Recipe(recipe["scenario"], overrides, recipe["seed"], recipe["speed"], recipe["lead_us"])
        return cls(**raw)


def ports_from(base: int, hosts: Sequence[str]) -> dict[str, int]:
    """The port of each host: always the same distance from the base; 0 is any that is free."""
    places = {host: number for number, host in enumerate(("integration", *PARTNERS))}
    return {host: base + places[host] if base else 0 for host in hosts}
