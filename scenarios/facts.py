"""What the checks need to know of a scenario, as rows of evidence: freshness, safety stock, bounds, moments,
expectations."""

from dataclasses import dataclass

from scenarios.spec import Scenario
from scenarios.stage import THREEPL, WAREHOUSES, Stage
from simulators.kernel import DAY, HOUR
from simulators.kernel.faults import DOWN_US, TRANSACTION_KINDS, Fault

_BLOCKS = frozenset(
    {
        "request_lost", "cut", "garbled", "partition", "error_before", "error_after", "throttle", "token_expired",
        "unsigned", "badly_signed",
    }
)  # fmt: skip
_BLOCKS_POLLS = _BLOCKS | {"reply_lost", "error_in_200"}
_SWALLOWS = frozenset({"never_sent", "error_in_200", "schema_drift"})
"""What a sender takes for delivered, or will never get through: only the next reconciliation tells."""
_SLOWS = frozenset({"delay", "latency", "latency_tail", "hold"})
_DOWN = ("outage", "crash", "frozen", "pause")
_OUTLAST_HEALING = ("crash", "frozen", "pause", "hold")
_TELLS_STOCK = ("", "inventory.changed", "release.picked", "release.shipped")
_TAIL_CAP = 100
_LONGEST_US = 400 * DAY


@dataclass(frozen=True)
class Moments:
    """When the phases of a run ended, in Unix microseconds.

    `quiet_at_us` is None when quiet never came; `still_at_us`, since when nothing was booked any more, is None when
    things still moved.
    """

    loaded_at_us: int
    healed_at_us: int
    quiet_at_us: int | None
    still_at_us: int | None


def freshness_us(scenario: Scenario, stage: Stage, node: str) -> int:
    """How late the integration may know of stock at a node: the scenario's figure, and what faults without a narrower
    window add to it on the way of its stock messages: a delay, a slower leg, or the retries of a webhook that was
    lost. Crashes at transaction boundaries have no window: each adds the time that the host is down.
    """
    late_us = scenario.freshness[node]
    for fault in stage.world.faults.plan:
        if _is_windowed(stage, fault):
            continue
        if fault.kind in _SLOWS and _is_on_stock_messages(fault, node):
            late_us += _slower_us(scenario, fault)
        elif _is_blocking(fault, node):
            late_us += retry_gap_us(stage, node, 0)
        elif fault.at:
            late_us += fault.delay_us or DOWN_US
            late_us += retry_gap_us(stage, node, fault.delay_us or DOWN_US)
    return late_us


def _slower_us(scenario: Scenario, fault: Fault) -> int:
    """How much later a message comes at most."""
    if fault.kind == "latency":
        return round(2 * scenario.network.most_us * fault.strength)
    if fault.kind == "latency_tail":
        return fault.delay_us * _TAIL_CAP
    return fault.delay_us


def _is_on_stock_messages(fault: Fault, node: str) -> bool:
    """Whether an edge fault lies on the way of a node's stock messages: its webhooks, or the polls of one that is
    polled."""
    if node == THREEPL:
        ends = ("integration", node)
        return (fault.source, fault.target) == ends or (
            fault.kind == "partition" and (fault.target, fault.source) == ends
        )
    return (fault.source, fault.target) == (node, "integration") and fault.event in _TELLS_STOCK


def _is_blocking(fault: Fault, node: str) -> bool:
    """Whether a fault can keep a stock message of a node from being taken in until it is tried again."""
    if fault.kind in TRANSACTION_KINDS:
        return True
    return fault.kind in (_BLOCKS_POLLS if node == THREEPL else _BLOCKS) and _is_on_stock_messages(fault, node)


def _is_windowed(stage: Stage, fault: Fault) -> bool:
    """Whether a fault holds for a part of the load only."""
    return not fault.at and fault.from_us > stage.world.starts_at_us


def retry_gap_us(stage: Stage, node: str, blocked_us: int) -> int:
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
    picking = 0
    for warehouse in stage.warehouses.values():
        profile = warehouse.profile
        work_us = lines * (profile.picking.per_line + profile.picking.walk)
        picking = max(picking, work_us // profile.pickers)
    return min(scenario.drain_limit_us, sum(_waits_us(stage)) + picking)


def stillness_us(stage: Stage) -> int:
    """How long nothing need be booked anywhere though work goes on: the longest backoff, poll, wave or departure, or
    the life of a backorder. What has not moved for so long will not move any more."""
    return max(_waits_us(stage)) + stage.settings.lane_poll_every_us + stage.settings.breaker_open_us


def _waits_us(stage: Stage) -> list[int]:
    """How long an order may wait, one entry per thing that it waits for."""
    settings = stage.settings
    waits = [
        settings.retry_longest_us * 2,
        settings.threepl_poll_every_us + settings.threepl_stock_every_us,
        settings.backorder_max_age_us + settings.backorder_check_every_us,
        stage.threepl.profile.batch_every + stage.threepl.profile.departure_every,
        HOUR,
    ]
    if settings.release_check_after_us:
        waits.append(settings.release_check_after_us + settings.release_check_every_us)
    for warehouse in stage.warehouses.values():
        profile = warehouse.profile
        waits.append(profile.wave_every + profile.departure_every)
        waits.append(max(profile.webhooks.retries, default=0))
    return waits


def _write_limits(stage: Stage) -> None:
    """How often and how soon the integration and those who send it webhooks may call again, how soon work flows again
    after a fault, how long a message may wait behind another, and by how much the integration's clock is off."""
    row, settings = stage.world.evidence.row, stage.settings

    def budget(sender: str, receiver: str, calls: int, pause_us: int) -> None:
        row("facts", fact="retry_budget", text=sender, subject=receiver, value=calls, value_to=pause_us)

    for partner in stage.partners:
        budget("integration", partner.name, settings.retry_attempts, settings.retry_first_us)
    senders = {name: warehouse.profile.webhooks for name, warehouse in stage.warehouses.items()}
    for name, webhooks in {**senders, "carrier": stage.carrier.profile.webhooks}.items():
        budget(name, "integration", 1 + len(webhooks.retries), min(webhooks.retries, default=0))
    backoff_us = round(settings.retry_longest_us * (1 + settings.retry_jitter_share))
    slack_us = settings.lane_poll_every_us + settings.breaker_open_us
    row("facts", fact="recovery_bound_us", value=2 * backoff_us + slack_us)
    row("facts", fact="parking_bound_us", value=settings.lease_us + 2 * settings.carrier_timeout_us + slack_us)
    skews = [abs(fault.delay_us) for fault in stage.world.faults.plan if fault.kind == "clock_skew"]
    if skews:
        row("facts", fact="clock_skew_us", value=max(skews))


def _write_master(stage: Stage) -> None:
    """The master data that the ERP was opened with."""
    row, books = stage.world.evidence.row, stage.erp.books
    for customer in books.customers.values():
        place = {"price_list": customer.price_list, "jurisdiction": customer.tax_jurisdiction}
        row("master", record="customer", customer_id=customer.customer_id, **place)
    for item in books.items.values():
        row("master", record="item", sku=item.sku, tax_category=item.tax_category)
    for price in books.prices:
        row(
            "master",
            record="price",
            price_list=price.price_list,
            sku=price.sku,
            currency=price.currency,
            unit_price_minor=price.unit_price_minor,
            valid_from_us=price.valid_from_us,
            valid_to_us=price.valid_to_us,
        )
    for rate in books.tax_rates:
        place = {"jurisdiction": rate.jurisdiction, "tax_category": rate.tax_category}
        row("master", record="tax_rate", tax_rate_bp=rate.rate_bp, **place)


def _write_subscribers(scenario: Scenario, stage: Stage) -> None:
    """Who is to be told of events, and why nobody can be where that is so."""
    row = stage.world.evidence.row
    for subscriber in stage.subscribers:
        for kind in subscriber.types:
            row("facts", fact="subscriber", subject=subscriber.name, text=kind, value=subscriber.subscribed_at_us)
    hidden = ""
    if scenario.subscribers and not stage.subscribers:
        hidden = "subscribers are played in virtual time only"
    elif any(subscriber.is_unknown for subscriber in stage.subscribers):
        hidden = "it knows no POST /subscriptions"
    if hidden:
        row("facts", fact="unobservable", subject="everyone_is_told", text=hidden)


def write_facts(scenario: Scenario, stage: Stage, moments: Moments, lines: int, final_reads: int) -> None:
    """Write every fact; see contracts/evidence.py for their names."""
    row = stage.world.evidence.row
    _write_master(stage)
    for node in (*WAREHOUSES, THREEPL):
        row("facts", fact="node", subject=node, text="threepl" if node == THREEPL else "wms")
        row("facts", fact="freshness_us", subject=node, value=freshness_us(scenario, stage, node))
        row("facts", fact="safety_stock", subject=node, value=stage.settings.safety_stock)
    for node in WAREHOUSES:
        row("facts", fact="label_by_carrier", subject=node)
    for node in (*WAREHOUSES, THREEPL):
        for from_us, to_us in _blind_windows(scenario, stage, node, moments.healed_at_us):
            row("facts", fact="freshness_stretch_us", subject=node, value=from_us, value_to=to_us)
    row("facts", fact="drain_bound_us", value=drain_bound_us(scenario, stage, lines))
    _write_limits(stage)
    row("facts", fact="loaded_at_us", value=moments.loaded_at_us)
    row("facts", fact="healed_at_us", value=moments.healed_at_us)
    if moments.quiet_at_us is not None:
        row("facts", fact="quiet_at_us", value=moments.quiet_at_us)
    elif moments.still_at_us is not None:
        row("facts", fact="still_at_us", value=moments.still_at_us)
    _write_subscribers(scenario, stage)
    for expected in scenario.expects:
        row("facts", fact="expects", text=expected)
    row("facts", fact="final_reads", value=final_reads)


def _blind_windows(scenario: Scenario, stage: Stage, node: str, healed_at_us: int) -> list[tuple[int, int]]:
    """When the integration could not hear of a node's stock in full, until it has heard of it after the fault."""
    windows = []
    for fault in stage.world.faults.plan:
        late_us = _blind_after_us(scenario, stage, node, fault)
        if late_us is not None:
            ends_us = fault.to_us if fault.kind in _OUTLAST_HEALING else min(fault.to_us, healed_at_us)
            windows.append((fault.from_us, ends_us + late_us))
    return windows


def _blind_after_us(scenario: Scenario, stage: Stage, node: str, fault: Fault) -> int | None:
    """How long after a fault's window the stock of a node is known again in full; None for one that hides nothing."""
    gap_us = retry_gap_us(stage, node, min(fault.to_us - fault.from_us, _LONGEST_US))
    if fault.host:
        return _blind_after_host_us(stage, node, fault, gap_us)
    if not _is_on_stock_messages(fault, node):
        return None
    if node != THREEPL and fault.kind in _SWALLOWS:
        return _full_read_us(stage)
    if fault.kind in _SLOWS and (fault.kind == "hold" or _is_windowed(stage, fault)):
        return _slower_us(scenario, fault)
    return gap_us if _is_windowed(stage, fault) and _is_blocking(fault, node) else None


def _blind_after_host_us(stage: Stage, node: str, fault: Fault, gap_us: int) -> int | None:
    """The same for a fault on a host; `gap_us` is how long until a message is tried again."""
    concerned = fault.host in ("integration", node)
    if fault.kind in _DOWN:
        return gap_us if concerned and not fault.at else None
    if fault.kind in TRANSACTION_KINDS:
        return gap_us if _is_windowed(stage, fault) else None
    if fault.kind == "clock_skew":
        return gap_us if abs(fault.delay_us) >= stage.settings.webhook_tolerance_us else None
    if fault.host != node:
        return None
    late_us = {"backdated_adjustment": fault.delay_us, "subscription_dropped": _full_read_us(stage)}
    if node == THREEPL:
        late_us = dict.fromkeys(("stale_snapshot", "rate_limit"), gap_us)
    return late_us.get(fault.kind)


def _full_read_us(stage: Stage) -> int:
    """Until a warehouse's stock is read in full again, at the latest."""
    return stage.settings.reconcile_every_us + stage.settings.reconcile_retry_us
