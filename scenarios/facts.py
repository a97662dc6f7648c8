"""What the checks need to know of a scenario, as rows of evidence: freshness, safety stock, bounds, moments,
expectations."""

from dataclasses import dataclass

from scenarios.spec import Scenario
from scenarios.stage import THREEPL, WAREHOUSES, Stage
from simulators.kernel import HOUR
from simulators.kernel.faults import Fault

_BLOCKS = frozenset({"request_lost", "cut"})
_SLOWS = frozenset({"delay", "latency"})


@dataclass(frozen=True)
class Moments:
    """When the phases of a run ended, in Unix microseconds; `quiet_at_us` is None when quiet never came."""

    loaded_at_us: int
    healed_at_us: int
    quiet_at_us: int | None


def freshness_us(scenario: Scenario, stage: Stage, node: str) -> int:
    """How late the integration may know of stock at a node: the scenario's figure, and what faults without a narrower
    window add to it on the way of its stock messages: a delay, a slower leg, or the retries of a webhook that was
    lost.
    """
    late_us = scenario.freshness[node]
    for fault in _on_stock_messages(stage, node):
        if fault.kind == "delay":
            late_us += fault.delay_us
        elif fault.kind == "latency":
            late_us += round(2 * scenario.network.most_us * fault.strength)
        elif fault.kind in _BLOCKS and not _is_windowed(stage, fault):
            late_us += _retry_gap_us(stage, node, 0)
    return late_us


def _on_stock_messages(stage: Stage, node: str) -> list[Fault]:
    """The edge faults on a node's webhooks, or on the polls of a node that is polled."""
    ends = ("integration", node) if node == THREEPL else (node, "integration")
    return [
        fault
        for fault in stage.world.faults.plan
        if (fault.source, fault.target) == ends and fault.kind in _BLOCKS | _SLOWS
    ]


def _is_windowed(stage: Stage, fault: Fault) -> bool:
    """Whether a fault holds for a part of the load only."""
    return fault.from_us > stage.world.starts_at_us


def _retry_gap_us(stage: Stage, node: str, blocked_us: int) -> int:
    """How long after a blocked while the next attempt at a stock message comes at the latest."""
    settings = stage.settings
    if node == THREEPL:
        return settings.threepl_stock_every_us + settings.reconcile_retry_us
    webhooks = stage.warehouses[node].profile.webhooks
    elapsed_us = 0
    for retry_us in webhooks.retries:
        elapsed_us += retry_us + webhooks.timeout
        if elapsed_us >= blocked_us:
            return retry_us + webhooks.timeout
    return settings.reconcile_every_us


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
    for node in (*WAREHOUSES, THREEPL):
        for from_us, to_us in _blind_windows(stage, node, moments.healed_at_us):
            row("facts", fact="freshness_stretch_us", subject=node, value=from_us, value_to=to_us)
    row("facts", fact="drain_bound_us", value=drain_bound_us(scenario, stage, lines))
    row("facts", fact="loaded_at_us", value=moments.loaded_at_us)
    row("facts", fact="healed_at_us", value=moments.healed_at_us)
    if moments.quiet_at_us is not None:
        row("facts", fact="quiet_at_us", value=moments.quiet_at_us)
    for expected in scenario.expects:
        row("facts", fact="expects", text=expected)
    row("facts", fact="final_reads", value=final_reads)


def _blind_windows(stage: Stage, node: str, healed_at_us: int) -> list[tuple[int, int]]:
    """When the integration could not hear of a node's stock at all, until the next attempt after the fault."""
    plan = stage.world.faults.plan
    down = [fault for fault in plan if fault.kind in ("outage", "crash") and fault.host in ("integration", node)]
    cut_off = [
        fault for fault in _on_stock_messages(stage, node) if fault.kind in _BLOCKS and _is_windowed(stage, fault)
    ]
    windows = []
    for fault in [*down, *cut_off]:
        ends_us = min(fault.to_us, healed_at_us)
        windows.append((fault.from_us, ends_us + _retry_gap_us(stage, node, ends_us - fault.from_us)))
    return windows
