"""The only place that wires the parts together.

`build(ports, settings, parts)` gives an Application: `.wsgi` to serve, `.start()` to begin its background work. `Parts`
names the collaborators that somebody may want to replace, each with the one that the product uses.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from integration.domain.pricing import base_quantity
from integration.experience import availability, operations, orders, subscriptions, webhooks
from integration.experience.access import Access, callers_of
from integration.experience.application import create_app
from integration.experience.idempotency import Idempotency
from integration.messaging.dead_letters import DeadLetters, LaneFigures
from integration.messaging.dispatcher import Dispatcher, DispatcherSettings, Handler
from integration.messaging.event_log import ACTIVE, KIND, LANE, EventLog
from integration.messaging.event_secrets import EventSecrets
from integration.messaging.inbox import EventEffect, EventHandler, Inbox, with_receipt
from integration.messaging.keys import BusinessKeys
from integration.messaging.lane import Lane, LaneLimits
from integration.messaging.outbox import Outbox
from integration.messaging.retry import RetryPolicy
from integration.process.announcing import TYPES, Announcer, AvailabilityTeller
from integration.process.backorders import Backorders
from integration.process.billing import ChangeOrder, ConfirmShipment, InvoiceShipment
from integration.process.cancellation import Cancellation, CancelRelease
from integration.process.delivery import DeliverEvent
from integration.process.desk import Desk
from integration.process.fulfillment import BookOrder, ReleaseFulfillment
from integration.process.intake import Intake
from integration.process.inventory import Inventory, Reconciliation
from integration.process.labels import AttachLabels, CheckLabels, CreateLabel
from integration.process.progress import Progress
from integration.process.pruning import Pruning
from integration.process.recovery import Recovery
from integration.process.reference import Reference, ReferenceSync
from integration.process.reservations import Reservations
from integration.process.shipping import Shipping
from integration.process.threepl import ThreePlPoll
from integration.process.upkeep import Chore, Upkeep
from integration.runtime import Ports
from integration.settings import MILLISECOND, SECOND, Settings, SettingsError
from integration.storage import Database, Transaction
from integration.system.carrier import CarrierClient
from integration.system.erp import ErpClient
from integration.system.subscriber import STREAM_URL, SubscriberClient
from integration.system.threepl import ThreePlClient
from integration.system.wms import WmsClient

__all__ = ["Application", "Parts", "Ports", "Settings", "SettingsError", "build"]

# Before a transaction that lost is run again; longer with each attempt.
_PAUSE_AFTER_LOSS_US = 10 * MILLISECOND

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True)
class Parts:
    """Collaborators that can be replaced. Those that need others are given as classes."""

    reservations: Reservations = field(default_factory=Reservations)
    business_keys: BusinessKeys = field(default_factory=BusinessKeys)
    retry_policy: RetryPolicy | None = None
    inbox: type[Inbox] = Inbox
    effect: EventEffect = with_receipt
    outbox: type[Outbox] = Outbox
    dispatcher: type[Dispatcher] = Dispatcher
    inventory: type[Inventory] = Inventory
    idempotency: type[Idempotency] = Idempotency
    intake: type[Intake] = Intake
    progress: type[Progress] = Progress
    shipping: type[Shipping] = Shipping
    cancellation: type[Cancellation] = Cancellation
    release: type[ReleaseFulfillment] = ReleaseFulfillment
    warehouse: type[WmsClient] = WmsClient
    delivery: type[DeliverEvent] = DeliverEvent
    base_quantity: Callable[[int, int], int] = base_quantity


@dataclass(frozen=True)
class Clients:
    """One client per partner."""

    erp: ErpClient
    warehouses: Mapping[str, WmsClient]
    threepls: Mapping[str, ThreePlClient]
    carrier: CarrierClient

    @classmethod
    def of(cls, ports: Ports, settings: Settings, warehouse: type[WmsClient]) -> "Clients":
        """Clients with the addresses and credentials of the settings."""
        urls, secrets, timeout_us = settings.partners, settings.credentials, settings.request_timeout_us
        warehouses = [node for node in settings.nodes if node not in settings.polled_nodes]
        return cls(
            ErpClient(ports.http, ports.clock, urls["erp"], "integration", secrets.get("erp", ""), timeout_us),
            {n: warehouse(ports.http, urls[n], secrets.get(n, ""), timeout_us) for n in warehouses},
            {n: ThreePlClient(ports.http, urls[n], secrets.get(n, ""), timeout_us) for n in settings.polled_nodes},
            CarrierClient(ports.http, urls["carrier"], secrets.get("carrier", ""), settings.carrier_timeout_us),
        )


class EventsOut:
    """Business events to those who subscribed. Where none are kept, nothing is written and nothing runs."""

    def __init__(
        self,
        ports: Ports,
        settings: Settings,
        parts: Parts,
        database: Database,
        outbox: Outbox,
        inventory: Inventory,
    ) -> None:
        self._database = database
        self._stream = ports.stream
        self._settings = settings
        self.log = EventLog(ports.clock, outbox, settings.subscriber_patience_us, settings.subscriber_secret_overlap_us)
        self.secrets = EventSecrets(settings.event_keys())
        business = ports.business_clock
        announcer = Announcer(business, ports.ids, self.log)
        self._teller = AvailabilityTeller(business, database, inventory, announcer, self.log)
        client = SubscriberClient(ports.abroad or ports.http, ports.clock, ports.stream, settings.request_timeout_us)
        self.handlers: dict[str, Handler] = {}
        if settings.keep_events_us:
            database.announce_with(announcer.announce)
            self.handlers[KIND] = parts.delivery(ports.clock, database, self.log, client, self.secrets)

    def chores(self) -> list[Chore]:
        """The look at availability."""
        every_us = self._settings.availability_told_every_us
        return [Chore("availability told", self._teller.tell, every_us)] if self.handlers else []

    def start(self) -> None:
        """Subscribe the stream, where there is one; a new one gets everything that is kept."""
        if self._stream is not None and self.handlers:
            self._database.transact(self._subscribe_stream)

    def _subscribe_stream(self, tx: Transaction) -> None:
        known = self.log.find(tx, "stream")
        if known is None or known.status != ACTIVE:
            self.log.subscribe(tx, "stream", "", STREAM_URL, TYPES, since_us=0 if known is None else None)


class Flow:
    """What becomes of an order once accepted: handlers of messages out and events in, and what runs by itself."""

    def __init__(
        self,
        ports: Ports,
        settings: Settings,
        parts: Parts,
        desk: Desk,
        clients: Clients,
        further: Mapping[str, Handler],
        reconciliation: Reconciliation,
    ) -> None:
        self._tasks = ports.tasks
        self._clock = ports.clock
        self._on_duty = ports.on_duty
        self._check_labels_after_us = settings.label_check_after_us
        self._backorders = Backorders(desk, settings.backorder_max_age_us, settings.backorder_check_every_us)
        self._progress = progress = parts.progress(desk, self._backorders)
        self.cancellation = parts.cancellation(desk, progress)
        shipping = parts.shipping(desk, progress)
        events: dict[str, EventHandler] = dict.fromkeys(
            (*settings.webhook_types, *settings.carrier_webhook_types), shipping.handle
        )
        events["inventory.changed"] = desk.inventory.handle
        self.events = {kind: parts.effect(ports.tasks, desk.database, take) for kind, take in events.items()}
        desk.inventory.when_stock_rises(self._backorders.when_stock_rises)
        self._dispatcher = parts.dispatcher(
            ports.clock,
            ports.tasks,
            desk.database,
            desk.outbox,
            {**self._handlers(desk, clients, parts.release), **further},
            parts.retry_policy or _retry_policy(settings),
            DispatcherSettings(settings.lane_poll_every_us, settings.lease_margin_us),
        )
        self._catch_up = shipping.catch_up
        self._polls = [
            ThreePlPoll(
                desk,
                progress,
                node,
                client,
                partial(reconciliation.reconcile, node),
                settings.threepl_poll_every_us,
                settings.reconcile_retry_us,
            )
            for node, client in clients.threepls.items()
        ]

    def _handlers(self, desk: Desk, clients: Clients, release: type[ReleaseFulfillment]) -> dict[str, Handler]:
        warehouses, threepls = clients.warehouses, clients.threepls
        return {
            "book_order": BookOrder(desk, clients.erp, self._backorders.when_booked),
            "change_order": ChangeOrder(desk, clients.erp),
            "confirm_shipment": ConfirmShipment(desk, clients.erp),
            "invoice": InvoiceShipment(desk, clients.erp),
            "release": release(desk, warehouses, threepls),
            "cancel_release": CancelRelease(desk, self._progress, warehouses, threepls),
            "attach_labels": AttachLabels(desk, warehouses),
            "create_label": CreateLabel(desk, clients.carrier, self._check_labels_after_us),
            "check_labels": CheckLabels(desk, clients.carrier),
        }

    def chores(
        self, database: Database, settings: Settings, clients: Clients, read_stock: Callable[[str], None]
    ) -> list[Chore]:
        """What is looked after now and then: overdue releases at each warehouse, and what is old enough to go."""
        pruning = Pruning(self._clock, database, settings)
        found = [Chore("pruning", pruning.prune, settings.prune_every_us)]
        if settings.release_check_after_us:
            recovery = Recovery(
                self._clock, database, clients.warehouses, read_stock, self._catch_up, settings.release_check_after_us
            )
            found += [
                Chore(f"releases at {node}", partial(recovery.recover, node), settings.release_check_every_us)
                for node in clients.warehouses
            ]
        return found

    def start(self) -> None:
        """Spawn the lanes, the polls and the sweep of old backorders."""
        self._dispatcher.start()
        self._tasks.spawn("backorders", self._backorders.run, self._clock, self._on_duty)
        for number, poll in enumerate(self._polls, 1):
            self._tasks.spawn(f"3pl poll {number}", poll.run, self._clock, self._on_duty)

    def stop(self, patience_us: int) -> int:
        """End the lanes in good order; how many messages were still in hand when the time was up."""
        return self._dispatcher.stop(patience_us)


class Application:
    """The integration, wired: serve `wsgi`, and call `start` once to begin its background work."""

    def __init__(self, ports: Ports, settings: Settings, parts: Parts) -> None:
        self.settings = settings
        self.database = Database(
            settings.database_url,
            ports.gate,
            synchronous=settings.sqlite_synchronous,
            busy_timeout_ms=settings.sqlite_busy_timeout_ms,
            connections=settings.database_connections,
            pause=lambda attempt: ports.clock.sleep(attempt * _PAUSE_AFTER_LOSS_US),
        )
        if settings.create_tables:
            self.database.create()
        business = ports.business_clock
        clients = Clients.of(ports, settings, parts.warehouse)
        lanes = {name: Lane(name, _limits(settings, name), ports.tasks, ports.guard) for name in settings.partners}
        if settings.keep_events_us:
            lanes[LANE] = Lane(LANE, _limits(settings, LANE), ports.tasks, ports.guard)
        self.outbox = parts.outbox(ports.clock, lanes, settings.lease_us)
        self.outbox.telemetry = ports.telemetry
        self.inventory = parts.inventory(business, settings.safety_stock)
        self._events = EventsOut(ports, settings, parts, self.database, self.outbox, self.inventory)
        self.reference = Reference()
        self.intake = parts.intake(
            clock=business,
            ids=ports.ids,
            settings=settings,
            reference=self.reference,
            inventory=self.inventory,
            reservations=parts.reservations,
            outbox=self.outbox,
            base_quantity=parts.base_quantity,
        )
        desk = Desk(
            business,
            ports.ids,
            self.database,
            self.outbox,
            parts.business_keys,
            parts.reservations,
            self.inventory,
            settings.nodes,
            settings.polled_nodes,
        )
        nodes = {**clients.warehouses, **clients.threepls}
        reconciliation = Reconciliation(ports.clock, self.database, self.inventory, nodes)
        self._flow = Flow(ports, settings, parts, desk, clients, self._events.handlers, reconciliation)
        self.upkeep = Upkeep(
            ports.clock,
            ports.tasks,
            settings,
            ReferenceSync(self.database, business, clients.erp, self._release_held),
            reconciliation,
            {**clients.warehouses, "carrier": clients.carrier},
            ports.on_duty,
            [*self._flow.chores(self.database, settings, clients, reconciliation.reconcile), *self._events.chores()],
        )
        self.wsgi: WsgiApplication = self._app(ports, settings, parts)

    def start(self) -> None:
        """Spawn the background work: lanes, polls, reference data and stock."""
        self._events.start()
        self.upkeep.start()
        self._flow.start()

    def stop(self, patience_us: int) -> int:
        """End the lanes in good order; how many messages were still in hand when the time was up."""
        return self._flow.stop(patience_us)

    def lane_figures(self) -> list[LaneFigures]:
        """How every lane stands. Raises DatabaseFailed."""
        with self.database.read() as tx:
            return self._dead_letters.figures(tx)

    def _release_held(self) -> None:
        self.intake.release_held(self.database)

    def _app(self, ports: Ports, settings: Settings, parts: Parts) -> WsgiApplication:
        database, clock = self.database, ports.clock
        idempotency = parts.idempotency(database, clock, ports.guard)
        dead_letters = self._dead_letters = DeadLetters(clock, self.outbox, settings.dispatches)
        blueprints = [
            orders.create_blueprint(database, self.intake, self._flow.cancellation, idempotency),
            availability.create_blueprint(database, self.inventory, clock),
            subscriptions.create_blueprint(
                database, ports.ids, settings, self._events.log, self._events.secrets, idempotency, ports.abroad
            ),
            webhooks.create_blueprint(database, clock, settings, parts.inbox(), self._flow.events),
            operations.create_blueprint(
                database, ports.business_clock, settings, dead_letters, self.reference, self.inventory
            ),
        ]
        rate = settings.channel_rate_per_second / settings.api_processes
        access = Access(clock, callers_of(settings), rate, ports.guard)
        app = create_app(blueprints, access, hide_failures=settings.hide_failures)
        wsgi: WsgiApplication = app.wsgi_app
        return wsgi


def build(ports: Ports, settings: Settings, parts: Parts = Parts()) -> Application:
    """The integration on these ports. Raises SettingsError or StorageError for settings that can't be used."""
    return Application(ports, settings, parts)


def _retry_policy(settings: Settings) -> RetryPolicy:
    return RetryPolicy(
        first_delay_us=settings.retry_first_us,
        factor=settings.retry_factor,
        ceiling_us=settings.retry_longest_us,
        jitter_share=settings.retry_jitter_share,
        max_attempts=settings.retry_attempts,
    )


def _limits(settings: Settings, lane: str) -> LaneLimits:
    if not settings.dispatches:
        return LaneLimits(workers=0, capacity=0)
    workers = settings.lane_workers.get(lane, 1)
    # What is in memory must be sent before its lease runs out; four seconds a call is slow for any partner.
    sent_in_time = workers * (settings.lease_us - settings.lease_margin_us) // (4 * SECOND)
    return LaneLimits(
        workers=workers,
        capacity=max(workers, min(settings.lane_memory_queue, sent_in_time)),
        per_second=settings.lane_rate_per_second.get(lane, 0.0),
        burst=settings.lane_burst,
        breaker_failures=settings.breaker_failures,
        breaker_cooldown_us=settings.breaker_first_us,
        breaker_ceiling_us=settings.breaker_open_us,
    )
