"""A warehouse at work: waves, pickers, pack stations and the dock, on SimPy. Every effect is booked and told.

Nothing stands by: a wave or a departure is scheduled when something waits for it, so an idle warehouse costs no events.
A release costs one turn and one time-out with a picker, and one of each at a pack station.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import simpy
from pydantic import Field

from contracts.wire import iso
from simulators.kernel import World
from simulators.kernel.faults import Fault
from simulators.partnerkit import (
    Duration,
    Ledger,
    Pace,
    Profile,
    Webhooks,
    WebhookSettings,
    service_time_us,
)
from simulators.partnerkit.hours import is_open, next_slot_us
from simulators.partnerkit.memory import DuplicatePolicy
from simulators.partnerkit.picking import PickingSettings, missing_lines, picking_time_us
from simulators.partnerkit.site import Events, SiteProfile, StockSite
from simulators.partnerkit.stock import Booking, Movement, Pick, content_rows
from simulators.wms.model import (
    Line,
    Packing,
    Parcel,
    Release,
    Status,
    UnknownSkus,
    Warehouse,
    units_by_line,
)

EXPRESS: Final = "express"


class RecountSettings(Profile):
    """Held units are counted again after a while: a `found_share` of them (0 to 1) goes back to sale, else scrapped."""

    after: Duration = Field(gt=0)
    found_share: float = Field(ge=0, le=1)


class WmsProfile(SiteProfile):
    """How one vendor's warehouse behaves. Shares are 0 to 1, times are durations, weights grams."""

    duplicate_policy: DuplicatePolicy
    wave_every: Duration = Field(gt=0)
    wave_at_releases: int = Field(gt=0)
    pickers: int = Field(gt=0)
    picking: PickingSettings
    pack_stations: int = Field(gt=0)
    packing: Pace
    parcel_max_weight_g: int = Field(gt=0)
    parcels_at_most: int = Field(default=20, gt=0)
    pallet_max_weight_g: int = Field(default=600_000, gt=0)
    forward_percent: int = Field(ge=0, le=100)
    recount: RecountSettings | None = None
    webhooks: WebhookSettings


class Wms(StockSite[Warehouse, WmsProfile]):
    """One warehouse. `opening` is units on hand per sku, `weights_g` grams per unit, `credentials` token to client.

    `on_departure` is called with the tracking numbers that leave the dock together.
    """

    place = "wms-call"

    def __init__(
        self,
        world: World,
        name: str,
        profile: WmsProfile,
        opening: Mapping[str, int],
        weights_g: Mapping[str, int],
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        ledger = Ledger(world, name)
        self.webhooks = Webhooks(world, name, profile.webhooks, ledger)
        packing = Packing(profile.parcel_max_weight_g, profile.parcels_at_most, profile.pallet_max_weight_g)
        model = Warehouse(weights_g, packing, profile.duplicate_policy)
        super().__init__(ledger, world, name, profile, model, credentials)
        self.pickers = simpy.PriorityResource(world.env, profile.pickers)
        self.stations = simpy.PriorityResource(world.env, profile.pack_stations)
        self.on_departure: Callable[[list[str]], None] = lambda _tracking_numbers: None
        self._waiting: list[Release] = []
        self._dock: list[Release] = []
        self._wave_due = False
        self._recounts = 0
        self._in_two: dict[str, bool] = {}
        self._untold = 0
        self._book_opening(self.model.open(opening, profile.forward_percent))

    def start(self) -> None:
        """Begin a life of the host. After a crash the floor has gone on working; webhooks are taken up again."""
        super().start()
        self.webhooks.resume()

    def receive_release(self, release: Release) -> tuple[Release, bool]:
        """Take a release in; it waits for its wave. Raises WmsError; an unfit release is booked as rejected, once."""
        try:
            taken, is_new = self.model.accept(release, self._memory.forgot(release.release_id))
        except UnknownSkus:
            if release.release_id not in self._refused:
                self._refused.add(release.release_id)
                self._book_lines("release_rejected", release, reason="unknown-sku")
            raise
        if is_new:
            self._book_lines("release_accepted", taken)
            self._waiting.append(taken)
            self._schedule_wave()
        return taken, is_new

    def cancel_release(self, release_id: str, quantities: Mapping[int, int], key: str) -> Release:
        """Cancel by line number, all or nothing; raises WmsError."""
        release, cancelled = self.model.cancel(release_id, quantities, key)
        if cancelled:
            for content in cancelled:
                self._book("release_cancelled", release, content.line_no, content.sku, content.quantity)
            lines = [
                {"line_no": content.line_no, "sku": content.sku, "cancelled": release.lines[content.line_no].cancelled}
                for content in cancelled
            ]
            self._tell("release.cancelled", release, {"lines": lines})
            if self.world.faults.hits("ship_after_cancel", self.name, release_id, key) is not None:
                self._waiting.append(self.model.overlook(release, cancelled))
                self._schedule_wave()
        return release

    def attach_labels(self, release_id: str, tracking_numbers: Mapping[str, str]) -> Release:
        """Label parcels; once all are, the release leaves with the next departure. Raises WmsError."""
        release, ready = self.model.attach_labels(release_id, tracking_numbers)
        if ready:
            self._dock.append(release)
            self._schedule_departure()
        return release

    def quiet(self) -> bool:
        """No write and no release in work, nothing to be recounted or told, no webhook undelivered."""
        in_work = (self._writes_in_work, self.model.open_releases, self._recounts, self._untold)
        return not any(in_work) and self.webhooks.quiet()

    def gauges(self) -> list[tuple[str, str, str, float]]:
        """Samples (name, sku, location, value)."""
        values = {
            "releases_open": self.model.open_releases,
            "releases_waiting": len(self._waiting),
            "pickers_busy": self.pickers.count,
            "pick_queue": len(self.pickers.queue),
            "stations_busy": self.stations.count,
            "pack_queue": len(self.stations.queue),
            "dock": len(self._dock),
        }
        return [(name, "", self.name, float(value)) for name, value in values.items()] + self.webhooks.gauges()

    def _schedule_wave(self) -> None:
        profile, now_us = self.profile, self.world.now_us()
        if len(self._waiting) >= profile.wave_at_releases and is_open(now_us, profile.hours):
            self._start_wave()
        elif not self._wave_due:
            self._wave_due = True
            self.world.process(
                "wave", self._wave_at(next_slot_us(now_us, profile.wave_every, profile.hours)), self.name
            )

    def _wave_at(self, slot_us: int) -> Events:
        yield self.world.env.timeout(slot_us - self.world.now_us())
        self._wave_due = False
        self._start_wave()

    def _start_wave(self) -> None:
        """Release what waits to the floor, express first."""
        wave = [release for release in self._waiting if release.status is Status.RECEIVED]
        self._waiting = []
        for release in sorted(wave, key=_priority):
            self.model.plan(release)
            self.world.process(f"release {release.mark}", self._work(release), self.name)

    def _work(self, release: Release) -> Events:
        env, priority = self.world.env, _priority(release)
        with self.pickers.request(priority) as turn:
            yield turn
            if release.status is not Status.RELEASED:
                return  # cancelled while it waited for a picker
            self.model.begin_picking(release)
            wanted = [(line.line_no, line.open) for line in release.lines.values() if line.open]
            picking = self.profile.picking
            yield env.timeout(picking_time_us(self.world, self.name, picking, release.mark, len(wanted)))
            something = self._finish_picking(release, wanted)
        if not something:
            return
        with self.stations.request(priority) as turn:
            yield turn
            yield env.timeout(
                service_time_us(self.world, self.name, self.profile.packing, "pack-time", self.name, release.mark)
            )
            self._pack(release)

    def _finish_picking(self, release: Release, wanted: Sequence[tuple[int, int]]) -> bool:
        """Book and tell how the pick ended; False when nothing could be picked, which ends the release."""
        missing = missing_lines(self.world, self.name, self.profile.picking, release.mark, wanted)
        result = self.model.finish_picking(release, missing)
        for line in release.lines.values():
            if line.picked:
                self._book("picked", release, line.line_no, line.sku, line.picked)
        for line, quantity, reason in result.shorts:
            self._book("short", release, line.line_no, line.sku, quantity, reason=reason)
        data: dict[str, object] = {"lines": [_picked_line(line) for line in release.lines.values()]}
        if result.hold is not None:
            data["stock"] = _stock(result.hold)
            for line_no, movement in zip(result.hold_line_nos, result.hold.movements, strict=True):
                line = release.lines[line_no]
                self._book_move(release, line_no, movement, result.hold.sequence, reason=line.reason or "")
            self._schedule_recount(release, result.hold)
        self._tell("release.picked", release, data)
        return release.status is Status.PICKED

    def _pack(self, release: Release) -> None:
        in_two = self.world.faults.hits("partial_shipment", self.name, release.mark) is not None
        parcels = self.model.pack(release, 2 if in_two else 1)
        if in_two and len(parcels) > 1:
            self._in_two[release.mark] = True
        for parcel in parcels:
            units = sum(content.quantity for content in parcel.contents)
            self._book("packed", release, None, "", units, parcel_id=parcel.parcel_id)
        self._tell("release.packed", release, {"parcels": [packed_parcel(parcel) for parcel in parcels]})

    def _depart(self) -> None:
        loaded, self._dock = self._dock, []
        gone: list[Parcel] = []
        for release in loaded:
            leaving = self._leaving(release)
            self._ship(release, leaving)
            gone += leaving
            if release.status is not Status.SHIPPED:
                self._dock.append(release)
                self._schedule_departure()
        self.on_departure([parcel.tracking_number or "" for parcel in gone])

    def _leaving(self, release: Release) -> list[Parcel]:
        """The parcels that leave now: those still here, or the first half of them when they leave in two shipments."""
        here = [parcel for parcel in release.parcels if not parcel.shipment_id]
        return here[: -(-len(here) // 2)] if self._in_two.pop(release.mark, False) else here

    def _ship(self, release: Release, parcels: Sequence[Parcel]) -> None:
        number = "" if not release.shipment_id else "2"
        shipped = self.model.ship(release, f"{release.mark}.S{number}", parcels, self.world.now_us())
        units = units_by_line(parcels)
        alone = parcels[0] if len(parcels) == 1 else None
        for line_no, movement in zip(shipped.line_nos, shipped.booking.movements, strict=True):
            self._book_move(release, line_no, movement, shipped.booking.sequence, parcel=alone)
        data: dict[str, object] = {
            "shipment_id": release.shipment_id,
            "shipped_at": iso(self.world.now_us()),
            "parcels": [shipped_parcel(parcel) for parcel in parcels],
            "lines": [
                {"line_no": line.line_no, "sku": line.sku, "quantity": units[line.line_no]}
                for line in release.lines.values()
                if line.line_no in units
            ],
            "stock": _stock(shipped.booking),
        }
        self._tell("release.shipped", release, data)

    def _schedule_recount(self, release: Release, hold: Booking) -> None:
        settings = self.profile.recount
        if settings is not None:
            self._recounts += 1
            picks = [Pick(entry.sku, entry.location, entry.quantity) for entry in hold.movements]
            self.world.process(f"recount {release.mark}", self._recount(release.mark, picks, settings), self.name)

    def _recount(self, mark: str, picks: list[Pick], settings: RecountSettings) -> Events:
        yield self.world.env.timeout(settings.after)
        self._recounts -= 1
        found = self.world.chance.hit(settings.found_share, "recount", self.name, mark)
        booking = self.model.recount(picks, found)
        self._change_stock("unhold" if found else "adjustment", booking, mark, "recount")

    def _correct(self, fault: Fault, reference: str, sku: str, units: int) -> None:
        """Book what a count found; a backdated one is told later than what was booked after it."""
        booking = self.model.adjust(reference, sku, units)
        assert booking is not None, f"count {reference} was booked before"
        if fault.kind == "backdated_adjustment":
            self._book_change(booking, reference, "backdated")
            self._untold += 1
            self.world.process(f"tell {reference}", self._tell_late(booking, reference, fault.delay_us), self.name)
        else:
            self._change_stock("adjustment", booking, reference, "cycle count")

    def _tell_late(self, booking: Booking, reference: str, delay_us: int) -> Events:
        yield self.world.env.timeout(delay_us)
        self._untold -= 1
        self._tell_change("adjustment", booking, reference)

    def _tell_change(self, cause: str, booking: Booking, reference: str) -> None:
        data: dict[str, object] = {"cause": cause, "reference": reference, "stock": _stock(booking)}
        self.webhooks.emit("inventory.changed", booking.deltas[0].sku, data, "", key=reference)

    def _tell(self, type_: str, release: Release, data: dict[str, object]) -> None:
        head: dict[str, object] = {
            "release_id": release.release_id,
            "customer_id": release.customer_id,
            "order_reference": release.order_reference,
            "sequence": self.model.next_sequence(release.release_id),
        }
        self.webhooks.emit(type_, release.release_id, head | data, release.correlation_id)

    def _book_lines(self, kind: str, release: Release, reason: str = "") -> None:
        for line in release.lines.values():
            self._book(kind, release, line.line_no, line.sku, line.quantity, reason=reason)

    def _book(
        self,
        kind: str,
        release: Release,
        line_no: int | None,
        sku: str,
        quantity: int,
        *,
        parcel_id: str = "",
        reason: str = "",
    ) -> None:
        self.ledger.book(
            kind,
            business_key=release.release_id,
            customer_id=release.customer_id,
            order_reference=release.order_reference,
            line_no=line_no,
            sku=sku,
            quantity=quantity,
            correlation_id=release.correlation_id,
            parcel_id=parcel_id,
            reason=reason,
        )

    def _book_move(
        self,
        release: Release,
        line_no: int,
        movement: Movement,
        sequence: int,
        *,
        parcel: Parcel | None = None,
        reason: str = "",
    ) -> None:
        """Book what a release did to a bin. The parcel is named only where the release has just one."""
        self._book_movement(
            movement,
            sequence,
            business_key=release.release_id,
            customer_id=release.customer_id,
            order_reference=release.order_reference,
            line_no=line_no,
            correlation_id=release.correlation_id,
            shipment_id=release.shipment_id,
            parcel_id=parcel.parcel_id if parcel else "",
            tracking_number=(parcel.tracking_number or "") if parcel else "",
            reason=reason,
        )


def _priority(release: Release) -> int:
    return 0 if release.service == EXPRESS else 1


def _picked_line(line: Line) -> dict[str, object]:
    return {
        "line_no": line.line_no,
        "sku": line.sku,
        "picked": line.picked,
        "short": line.short,
        "reason": line.reason,
    }


def packed_parcel(parcel: Parcel) -> dict[str, object]:
    return {"parcel_id": parcel.parcel_id, "weight_g": parcel.weight_g, "lines": content_rows(parcel.contents)}


def shipped_parcel(parcel: Parcel) -> dict[str, object]:
    return {
        "parcel_id": parcel.parcel_id,
        "tracking_number": parcel.tracking_number,
        "lines": content_rows(parcel.contents),
    }


def _stock(booking: Booking) -> dict[str, object]:
    deltas = [
        {"sku": delta.sku, "on_hand_delta": delta.on_hand_delta, "held_delta": delta.held_delta}
        for delta in booking.deltas
    ]
    return {"sequence": booking.sequence, "deltas": deltas}
