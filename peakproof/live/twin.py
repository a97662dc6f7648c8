"""What checks need to know of a run in real time: its scenario's stage, told in business time throughout.

Facts are reckoned from a stage that never runs. What lasts protocol time lasts `speed` times as long in business time,
which is the axis of all evidence: a second of a back-off is a minute at speed 60.
"""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration.bootstrap import Settings
from scenarios.demand import Demand
from scenarios.facts import Moments, drain_bound_us, freshness_us, retry_gap_us, stillness_us, write_facts
from scenarios.spec import NODES, Scenario
from scenarios.stage import Keys, Stage, set_partners, settings_of
from simulators.kernel import EvidenceWriter, World
from simulators.partnerkit.webhooks import WebhookSettings

PROTOCOL = (
    "lane_poll_every_us", "lease_us", "lease_margin_us", "request_timeout_us", "carrier_timeout_us", "retry_first_us",
    "retry_longest_us", "breaker_first_us", "breaker_open_us", "label_check_after_us", "webhook_tolerance_us",
    "reconcile_retry_us", "hold_recheck_every_us", "stale_retry_after_us",
)  # fmt: skip
"""Settings of the integration that are protocol time; all others are business time."""
SECOND_US = 1_000_000


@dataclass(frozen=True)
class Twin:
    """A stage as it would be in virtual time, and what it says of a run at `speed`."""

    scenario: Scenario
    demand: Demand
    stage: Stage
    speed: float

    @classmethod
    def of(cls, scenario: Scenario, demand: Demand, seed: int, speed: float, evidence: EvidenceWriter) -> "Twin":
        """Facts go into `evidence`. The partners' own books and the plan of faults are the running ones' to write."""
        faults = scenario.fault_plan(demand.starts_at_us, demand.ends_at_us)
        world = World(seed, demand.starts_at_us, _FactsAlone(evidence), faults)
        stage = set_partners(
            scenario, demand, world, Keys.drawn(world), settings_of(scenario, Keys.drawn(world), Path("none.db"))
        )
        plain = {node: retry_gap_us(stage, node, 0) for node in NODES}
        _stretch(stage, speed)
        longer = {node: retry_gap_us(stage, node, 0) - plain[node] for node in NODES}
        freshness = {node: scenario.freshness[node] + longer[node] for node in NODES}
        return cls(scenario.model_copy(update={"freshness": freshness}), demand, stage, speed)

    @property
    def drain_bound_us(self) -> int:
        """How long after healing everything must have ended."""
        return drain_bound_us(self.scenario, self.stage, self.lines)

    @property
    def stillness_us(self) -> int:
        """How long nothing need be booked though work goes on."""
        return stillness_us(self.stage)

    @property
    def longest_poll_us(self) -> int:
        """How long books must be unchanged to be at rest."""
        settings = self.stage.settings
        return max(settings.threepl_poll_every_us, settings.threepl_stock_every_us) + 60 * SECOND_US

    @property
    def lines(self) -> int:
        """Order lines of the whole demand."""
        return sum(len(order.lines) for order in self.demand.orders())

    def freshness_us(self) -> dict[str, int]:
        """How late the integration may know of stock, per node."""
        return {node: freshness_us(self.scenario, self.stage, node) for node in NODES}

    def write(
        self, moments: Moments, reads: int, skew_us: int, left_out: Collection[str], unobservable: Mapping[str, str]
    ) -> None:
        """Write every fact. `left_out` are expectations that can't come true, `unobservable` checks and why.

        `skew_us` is by how much clocks of those who wrote evidence may differ: stock may be known so much later.
        """
        expects = tuple(one for one in self.scenario.expects if one not in left_out)
        freshness = {node: late_us + skew_us for node, late_us in self.scenario.freshness.items()}
        told = self.scenario.model_copy(update={"expects": expects, "freshness": freshness})
        write_facts(told, self.stage, moments, self.lines, reads)
        row = self.stage.world.evidence.row
        row("facts", fact="protocol_second_us", value=round(self.speed * SECOND_US))
        row("facts", fact="clock_skew_us", value=skew_us)
        for check, reason in sorted(unobservable.items()):
            row("facts", fact="unobservable", subject=check, text=reason)


class _FactsAlone(EvidenceWriter):
    """A book into which only facts and master data are written: the rest is told by those who do it."""

    def __init__(self, book: EvidenceWriter) -> None:
        self._book = book
        self.directory = book.directory

    def row(self, kind: str, /, **columns: Any) -> None:
        if kind in ("facts", "master"):
            self._book.row(kind, **columns)


def _stretch(stage: Stage, speed: float) -> None:
    """Tell what lasts protocol time in business time."""
    settings: Settings = stage.settings
    changes = {name: round(getattr(settings, name) * speed) for name in PROTOCOL}
    stage.settings = dataclasses.replace(settings, **changes)
    for warehouse in stage.warehouses.values():
        slower = _slower(warehouse.profile.webhooks, speed)
        warehouse.profile = warehouse.profile.model_copy(update={"webhooks": slower})
    slower = _slower(stage.carrier.profile.webhooks, speed)
    stage.carrier.profile = stage.carrier.profile.model_copy(update={"webhooks": slower})


def _slower(hooks: WebhookSettings, speed: float) -> WebhookSettings:
    retries = tuple(round(retry * speed) for retry in hooks.retries)
    return hooks.model_copy(update={"timeout": round(hooks.timeout * speed), "retries": retries})
