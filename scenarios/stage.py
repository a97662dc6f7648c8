"""The stage: a world with every partner on it, the integration under test, and the doors that clients use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

from contracts.validation import Contract
from integration.bootstrap import Parts, Ports, Settings, SettingsError, build
from scenarios.application import ForeignApp
from scenarios.application import attach as attach_foreign
from scenarios.demand import Demand
from scenarios.errors import ScenarioError
from scenarios.next_version import NEXT, next_version
from scenarios.spec import CHANNELS, PARTNERS, Scenario
from scenarios.subscribers import ROUTES, Subscriber
from simulators.carrier.api import create_app as create_carrier
from simulators.carrier.process import Carrier, CarrierProfile
from simulators.erp.api import create_app as create_erp
from simulators.erp.process import Erp, ErpProfile
from simulators.kernel import EvidenceWriter, World
from simulators.partnerkit.errors import ProfileError
from simulators.partnerkit.profile import Profile
from simulators.partnerkit.profile import load as load_profile
from simulators.threepl.api import create_app as create_threepl
from simulators.threepl.process import ThreePl, ThreePlProfile
from simulators.wms.api import create_app as create_wms
from simulators.wms.process import Wms, WmsProfile

WAREHOUSES = ("wms-east", "wms-west")
THREEPL = "threepl"
CONTRACT_OF = {
    "integration": "orders",
    "erp": "erp",
    "wms-east": "wms",
    "wms-west": "wms",
    "threepl": "threepl",
    "carrier": "carrier",
}
DEFAULT_PROFILES = {
    "erp": "midsize",
    "wms-east": "regional",
    "wms-west": "regional",
    "threepl": "regional",
    "carrier": "parcel",
}
CLERK = "clerk"
MONITOR = "monitor"


class Partner(Protocol):
    """What the runner asks of every partner."""

    name: str

    def quiet(self) -> bool:
        """Nothing is in work and no message is left to deliver."""
        ...

    def gauges(self) -> list[tuple[str, str, str, float]]:
        """Samples of (name, sku, location, value)."""
        ...


@dataclass(frozen=True)
class Keys:
    """Who may call whom in one run: drawn from the seed, so that they replay and are no real secret."""

    integration_at: Mapping[str, str]
    """partner -> the token or client secret that the integration shows there"""
    webhook_secrets: Mapping[str, str]
    """partner -> the secret that signs its webhooks"""
    channels: Mapping[str, str]
    """channel, or the monitor -> its token at the integration"""
    clerk_at: Mapping[str, str]
    """node -> the warehouse clerk's token there"""
    event_key: str
    """of which the integration makes the secrets that sign its events"""

    @classmethod
    def drawn(cls, world: World) -> "Keys":
        """The keys of a run under the world's seed."""

        def token(*owner: str) -> str:
            return world.chance.hex(32, "credential", *owner)

        nodes = (*WAREHOUSES, THREEPL)
        return cls(
            integration_at={partner: token("integration", partner) for partner in PARTNERS},
            webhook_secrets={partner: token("webhook", partner) for partner in (*WAREHOUSES, "carrier")},
            channels={channel: token("channel", channel) for channel in (*CHANNELS, MONITOR)},
            clerk_at={node: token("clerk", node) for node in nodes},
            event_key=token("events"),
        )


@dataclass
class Stage:
    """Everybody who takes part in one run."""

    world: World
    keys: Keys
    erp: Erp
    warehouses: dict[str, Wms]
    threepl: ThreePl
    carrier: Carrier
    settings: Settings
    subscribers: list[Subscriber] = field(default_factory=list)

    @property
    def partners(self) -> list[Partner]:
        """All partners, in a fixed order."""
        return [self.erp, *self.warehouses.values(), self.threepl, self.carrier]

    def stock_of(self, node: str, sku: str) -> int:
        """What a node truly has available of a sku: on hand less held."""
        partner = self.threepl if node == THREEPL else self.warehouses[node]
        return partner.stock_of(sku)


def set_stage(
    scenario: Scenario,
    demand: Demand,
    seed: int,
    evidence: EvidenceWriter,
    database: Path,
    parts: Parts,
    app: ForeignApp | None = None,
) -> Stage:
    """Build the world of a scenario and put everybody on the network.

    `parts` may hold a mutant's; `app` stands in place of the reference integration.
    """
    faults = scenario.fault_plan(demand.starts_at_us, demand.ends_at_us)
    latency = (scenario.network.least_us, scenario.network.most_us)
    world = World(seed, demand.starts_at_us, evidence, faults, latency)
    keys = Keys.drawn(world)
    stage = set_partners(scenario, demand, world, keys, settings_of(scenario, keys, database))
    if app is None:
        _attach(world, "integration", _Deployment(world, stage.settings, parts).start)
    else:
        settings = foreign_settings(scenario, keys, database)
        attach_foreign(world, "integration", app, settings, routes_of("integration"))
    _set_subscribers(scenario, stage)
    return stage


def _set_subscribers(scenario: Scenario, stage: Stage) -> None:
    """Put who is told of events on the network."""
    for name, spec in scenario.subscribers.items():
        subscriber = Subscriber(stage.world, name, spec, stage.keys.channels[spec.channel])
        stage.subscribers.append(subscriber)
        stage.world.network.attach(name, lambda subscriber=subscriber: subscriber.wsgi, ROUTES)  # type: ignore[misc]
        subscriber.start()


def set_partners(scenario: Scenario, demand: Demand, world: World, keys: Keys, settings: Settings) -> Stage:
    """Put the partners of a scenario on the network of a world. `settings` are the integration's."""
    stage = Stage(
        world=world,
        keys=keys,
        erp=_erp(scenario, world, keys, demand),
        warehouses={name: _warehouse(scenario, world, keys, demand, name) for name in WAREHOUSES},
        threepl=_threepl(scenario, world, keys, demand),
        carrier=_carrier(scenario, world, keys),
        settings=settings,
    )
    for warehouse in stage.warehouses.values():
        warehouse.on_departure = stage.carrier.collect
        _attach(world, warehouse.name, lambda warehouse=warehouse: create_wms(warehouse).wsgi_app)  # type: ignore[misc]
    _attach(world, "erp", lambda: create_erp(stage.erp).wsgi_app)
    _attach(world, THREEPL, lambda: create_threepl(stage.threepl).wsgi_app)
    _attach(world, "carrier", lambda: create_carrier(stage.carrier).wsgi_app)
    return stage


def check_cast(scenario: Scenario) -> None:
    """Read every profile and setting that a scenario names, before anything is begun. Raises ScenarioError."""
    models: dict[str, type[Profile]] = {
        "erp": ErpProfile,
        "carrier": CarrierProfile,
        THREEPL: ThreePlProfile,
        **dict.fromkeys(WAREHOUSES, WmsProfile),
    }
    for partner, model in models.items():
        try:
            load_profile(model, *_profile_of(scenario, partner))
        except ProfileError as error:
            raise ScenarioError(f"cast.{partner}: {error}", key=f"cast.{partner}") from error
    try:
        Settings.from_mapping(scenario.integration)
    except SettingsError as error:
        raise ScenarioError(str(error), key="integration") from error


def settings_of(scenario: Scenario, keys: Keys, database: Path) -> Settings:
    """The integration's settings in this run: the scenario's overrides, this run's keys and database file."""
    credentials = dict(keys.integration_at)
    credentials.update({f"webhook:{partner}": secret for partner, secret in keys.webhook_secrets.items()})
    credentials["events"] = keys.event_key
    tokens = {token: "operations" if name == MONITOR else name for name, token in keys.channels.items()}
    return Settings.from_mapping(
        {
            "sqlite_synchronous": "OFF",  # a virtual crash is not a power failure
            **({"keep_events": "7d"} if scenario.subscribers else {}),
            **scenario.integration,
            "database_url": f"sqlite:///{database}",
            "credentials": credentials,
            "channel_tokens": tokens,
        }
    )


def foreign_settings(scenario: Scenario, keys: Keys, database: Path) -> dict[str, Any]:
    """What an application in place of the integration is told: plain data, nothing of ours."""
    return {
        "url": "http://integration",
        "partners": {partner: f"http://{partner}" for partner in PARTNERS},
        "credentials": dict(keys.integration_at),
        "webhook_secrets": dict(keys.webhook_secrets),
        "channel_tokens": {token: "operations" if name == MONITOR else name for name, token in keys.channels.items()},
        "database": str(database),
        "options": dict(scenario.integration),
    }


class _Deployment:
    """Starts the reference integration: the present version, until an overlap has brought in the next."""

    def __init__(self, world: World, settings: Settings, parts: Parts) -> None:
        self._world = world
        self._present = (settings, parts)
        self._is_next = False

    def start(self) -> WSGIApplication:
        """An instance of the version that is deployed now."""
        overlap = self._world.faults.in_force("overlap", "integration")
        if overlap is not None and overlap.version == NEXT and not self._is_next:
            self._present, self._is_next = next_version(*self._present), True
        settings, parts = self._present
        ports = self._world.ports("integration")
        application = build(Ports(ports.clock, ports.http, ports.tasks, ports.ids, ports.gate), settings, parts)
        application.start()
        return application.wsgi


def _attach(world: World, host: str, factory: Callable[[], WSGIApplication]) -> None:
    world.network.attach(host, factory, routes_of(host))


def routes_of(host: str) -> list[tuple[str, str]]:
    """Method and path template of each operation of a host."""
    return [(operation.method, operation.path) for operation in Contract.load(CONTRACT_OF[host]).operations]


def _profile_of(scenario: Scenario, partner: str) -> tuple[str, dict[str, object]]:
    member = scenario.cast.get(partner)
    if member is None:
        return DEFAULT_PROFILES[partner], {}
    name = DEFAULT_PROFILES[partner] if member.profile == "default" else member.profile
    return name, dict(member.settings)


def _tokens(keys: Keys, node: str) -> dict[str, str]:
    """token -> client, as a partner with fixed tokens knows them."""
    tokens = {keys.integration_at[node]: "integration"}
    if node in keys.clerk_at:
        tokens[keys.clerk_at[node]] = CLERK
    return tokens


def _erp(scenario: Scenario, world: World, keys: Keys, demand: Demand) -> Erp:
    profile = load_profile(ErpProfile, *_profile_of(scenario, "erp"))
    return Erp(world, "erp", profile, demand.master, {"integration": keys.integration_at["erp"]})


def _warehouse(scenario: Scenario, world: World, keys: Keys, demand: Demand, name: str) -> Wms:
    profile = load_profile(WmsProfile, *_profile_of(scenario, name))
    return Wms(world, name, profile, demand.opening.get(name, {}), demand.weights, _tokens(keys, name))


def _threepl(scenario: Scenario, world: World, keys: Keys, demand: Demand) -> ThreePl:
    profile = load_profile(ThreePlProfile, *_profile_of(scenario, THREEPL))
    return ThreePl(world, THREEPL, profile, demand.opening.get(THREEPL, {}), demand.weights, _tokens(keys, THREEPL))


def _carrier(scenario: Scenario, world: World, keys: Keys) -> Carrier:
    profile = load_profile(CarrierProfile, *_profile_of(scenario, "carrier"))
    return Carrier(world, "carrier", profile, _tokens(keys, "carrier"))
