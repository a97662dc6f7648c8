"""What a run behind real doors is made from."""

from dataclasses import dataclass

from peakproof.live.house import scenario_of_house
from scenarios.spec import Scenario
from scenarios.spec import load as load_scenario
from scenarios.stage import check_cast
from scenarios.swarm import resolved


@dataclass(frozen=True)
class Recipe:
    """A scenario (None: the test house), overrides, a seed (None: the scenario's), and how fast business time runs."""

    scenario: str | None = None
    overrides: tuple[tuple[str, str], ...] = ()
    seed: int | None = None
    speed: float = 1.0
    lead_us: int = 0
    """How long before the scenario's start business time begins, for who must be ready by then."""

    def load(self) -> Scenario:
        """The scenario with an explicit plan of faults. ScenarioError when it can't be used."""
        overrides = dict(self.overrides)
        scenario = load_scenario(self.scenario, overrides) if self.scenario else scenario_of_house(overrides)
        check_cast(scenario)
        return resolved(scenario, scenario.seed if self.seed is None else self.seed)
