"""What the checks need to know of a scenario, as rows of evidence: freshness, safety stock, bounds, moments,
expectations."""

from dataclasses import dataclass

from scenarios.spec import Scenario
from scenarios.stage import THREEPL, WAREHOUSES, Stage
from simulators.kernel import HOUR, MINUTE
from simulators.kernel.faults import FOREVER_US, Fault

SLACK_US = 5 * MINUTE
_BLOCKS_STOCK = frozenset({"request_lost", "cut", "delay", "latency", "duplicate"})


@dataclass(frozen=True)
class Moments:
    """When the phases of a run ended, in Unix microseconds; `quiet_at_us` is None when quiet never came."""

    loaded_at_us: int
    healed_at_us: int
    quiet_at_us: int | None


def freshness_us(scenario: Scenario, stage: Stage, node: str) -> int:
    """How late the integration may know of stock at a node, without faults.

    A warehouse tells by webhook: its slowest first delivery and the slowest ordinary exchange, with slack for one
    retry. A 3PL is polled: both polls and their exchanges.
    """
    if node in scenario.freshness:
        return scenario.freshness[node]
    settings = stage.settings
    if node == THREEPL:
        return settings.threepl_stock_every_us + settings.threepl_poll_every_us + SLACK_US
    webhooks = stage.warehouses[node].profile.webhooks
    return webhooks.delay + webhooks.spread + SLACK_US


def drain_bound_us(scenario: Scenario, stage: Stage, lines: int) -> int:
    """How long after healing everything must have ended: derived from the scenario, and capped by its drain limit.

    The longest backoff and poll, the life of a backorder, the last wave, batch and departure, and the time that the
    smallest warehouse would take to pick every line of the whole demand by itself.
    """
    settings = stage.settings
    waits = [
        settings.retry_longest_us * 2,
        settings.threepl_poll_every_us + settings.threepl_stock_every_us,
        settings.backorder_max_age_us + settings.backorder_check_every_us,
        stage.threepl.profile.batch_every + stage.threepl.profile.departure_every,
        HOUR,
    ]
    picking = 0
    for warehouse in stage.warehouses.values():
        profile = warehouse.profile
        waits.append(profile.wave_every + profile.departure_every)
        waits.append(max(profile.webhooks.retries, default=0))
        work_us = lines * (profile.picking.per_line + profile.picking.walk)
        picking = max(picking, work_us // profile.pickers)
    return min(scenario.drain_limit_us, sum(waits) + picking)


def write_facts(scenario: Scenario, stage: Stage, moments: Moments, lines: int, final_reads: int) -> None:
    """Write every fact; see contracts/evidence.py for their names."""
    row = stage.world.evidence.row
    for node in (*WAREHOUSES, THREEPL):
        row("facts", fact="node", subject=node, text="threepl" if node == THREEPL else "wms")
        row("facts", fact="freshness_us", subject=node, value=freshness_us(scenario, stage, node))
        row("facts", fact="safety_stock", subject=node, value=stage.settings.safety_stock)
    for node in WAREHOUSES:
        row("facts", fact="label_by_carrier", subject=node)
    for fault in stage.world.faults.plan:
        for node in _nodes_kept_in_the_dark(fault):
            ends_us = moments.healed_at_us if fault.to_us == FOREVER_US else fault.to_us
            row(
                "facts",
                fact="freshness_stretch_us",
                subject=node,
                value=fault.from_us,
                value_to=ends_us + fault.delay_us,
            )
    row("facts", fact="drain_bound_us", value=drain_bound_us(scenario, stage, lines))
    row("facts", fact="loaded_at_us", value=moments.loaded_at_us)
    row("facts", fact="healed_at_us", value=moments.healed_at_us)
    if moments.quiet_at_us is not None:
        row("facts", fact="quiet_at_us", value=moments.quiet_at_us)
    for expected in scenario.expects:
        row("facts", fact="expects", text=expected)
    row("facts", fact="final_reads", value=final_reads)


def _nodes_kept_in_the_dark(fault: Fault) -> list[str]:
    """The nodes whose stock messages a fault holds up."""
    nodes = [*WAREHOUSES, THREEPL]
    if fault.kind in ("outage", "crash"):
        return nodes if fault.host == "integration" else [node for node in nodes if node == fault.host]
    if fault.kind in _BLOCKS_STOCK | {"reply_lost"}:
        return [node for node in nodes if {fault.source, fault.target} == {node, "integration"}]
    return []
