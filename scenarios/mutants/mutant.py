"""What a mutant is: one deliberate bug, what it needs to show, and which checks must catch it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from integration.bootstrap import Parts
from scenarios.spec import Scenario, load


@dataclass(frozen=True)
class Mutant:
    """One bug. `parts` makes the integration's parts anew for each run.

    `needs` says in words what must happen for it to show, `caught_by` names its own checks: any one of them catches it.
    `overrides` and `faults` change the scenario where the bug needs what others have no use for; the unmutated
    integration is played under the same changes. `aids` are faults that bring it out at once where no swarm has to find
    it. `shows_with_one_order`: whether it shrinks to three orders and two faults at most, as one that needs others to
    compete with, or many at once, can't.
    """

    name: str
    bug: str
    needs: tuple[str, ...]
    caught_by: tuple[str, ...]
    parts: Callable[[], Parts]
    shows_with_one_order: bool = True
    overrides: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[Mapping[str, Any], ...] = ()
    aids: tuple[Mapping[str, Any], ...] = ()

    def scenario(self, base: str, overrides: Mapping[str, str], aided: bool = False) -> Scenario:
        """The scenario of that name or file with the mutant's changes, and then the caller's. Raises ScenarioError."""
        scenario = load(base, {**self.overrides, **overrides})
        faults = (*self.faults, *(self.aids if aided else ()))
        if not faults:
            return scenario
        plain = scenario.plain()
        own = {fault["id"] for fault in faults}
        kept = [fault for fault in plain.get("faults", []) if fault["id"] not in own]
        return Scenario.from_plain({**plain, "faults": [*kept, *map(dict, faults)]})
