"""One isolated run behind real doors: a live world with its partners, its tokens, its evidence and its journal."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIEnvironment

import gevent
import orjson
from gevent.lock import RLock

from peakproof.live.house import demand_of_house
from peakproof.live.journal import Journal
from peakproof.live.order import RECORD
from peakproof.live.recipe import Recipe
from peakproof.live.secrets import Secrets
from scenarios.demand import Demand
from scenarios.monitor import Monitor
from scenarios.spec import NODES, PARTNERS
from scenarios.stage import Stage, routes_of, set_partners, settings_of
from simulators.kernel import EvidenceWriter
from simulators.kernel.doors import Egress, Ingress, Watchman
from simulators.kernel.faults import FOREVER_US, Fault
from simulators.kernel.live import LiveWorld
from simulators.partnerkit import StaticTokens, Tokens
from simulators.partnerkit.webhooks import Webhooks

OUTSIDE = "outside"
"""A caller who shows no token that is known."""
FLUSH_EVERY_S = 1.0


class LiveRun:
    """A run under its name; the empty name is that of the one without a base path. `open` it before it is called."""

    def __init__(self, name: str, recipe: Recipe, secrets: Secrets, directory: Path) -> None:
        self.name = name
        self.recipe = recipe
        self.secrets = secrets
        self.journal = Journal()
        self.fixed_delay_ms = 0
        self.integration_url: str | None = None
        self._directory = directory
        self._resets = 0
        self._turn = RLock()
        """One reset at a time: a world that another took the place of would run for ever."""

    @property
    def directory(self) -> Path:
        """Where its evidence lies: after each reset, a directory beside the former."""
        return self._directory / f"reset-{self._resets}" if self._resets else self._directory

    def open(self) -> None:
        """Build the world and let it run. ScenarioError when the scenario can't be used."""
        scenario = self.recipe.load()
        self.scenario = scenario
        self.seed = scenario.seed if self.recipe.seed is None else self.recipe.seed
        demand = Demand.load(scenario, self.seed) if self.recipe.scenario else demand_of_house(scenario)
        planned = scenario.fault_plan(demand.starts_at_us, demand.ends_at_us)
        faults = tuple(_at_the_walls_time(fault, demand.starts_at_us) for fault in planned)
        evidence = EvidenceWriter(self.directory)
        starts_at_us = demand.starts_at_us - self.recipe.lead_us
        world = LiveWorld(self.seed, starts_at_us, evidence, faults, self.recipe.speed)
        self.world = world
        settings = settings_of(scenario, self.secrets.keys, Path("integration.db"))
        self.stage: Stage = set_partners(scenario, demand, world, self.secrets.keys, settings)
        self.egress = Egress(world, {"integration": self.integration_url})
        world.network.open_outwards("integration", self.egress.carry, routes_of("integration"))
        self._watchman = Watchman()
        self.doors = {
            host: Ingress(world, host, self._client_of(host), self._watchman, self.journal.note) for host in PARTNERS
        }
        if self.recipe.scenario:
            Monitor(self.stage, demand.watched_skus, scenario.gauges_every_us).start()
        world.start()
        self._flusher = gevent.spawn(self._flush_for_ever, evidence)
        self.record()

    def close(self) -> None:
        """Hang up, complete the evidence and stand still."""
        self._flusher.kill()
        undelivered = sum(hooks.pending() for hooks in self.webhooks().values())
        self.world.close()
        self._watchman.close()
        self.egress.close()
        self.record(undelivered)

    def point_at(self, url: str | None) -> None:
        """Let the host name integration stand for a base URL from now on."""
        self.integration_url = url
        self.egress.names["integration"] = url

    def reset(self) -> None:
        """Begin anew, as after a start: same scenario, seed and tokens; the former evidence stays where it is."""
        with self._turn:
            self.close()
            self._resets += 1
            self.journal.clear()
            self.fixed_delay_ms = 0
            self.open()

    def webhooks(self) -> dict[str, Webhooks]:
        """The senders of webhooks, by host."""
        stage = self.stage
        return {**{name: wms.webhooks for name, wms in stage.warehouses.items()}, "carrier": stage.carrier.webhooks}

    def record(self, undelivered: int | None = None) -> None:
        """Leave beside the evidence how business time went and what this run is; no secrets."""
        text = {
            "name": self.name,
            "scenario": self.scenario.plain() if self.recipe.scenario else None,
            "seed": self.seed,
            "clock": self.world.clock.segments,
            "written_at_us": time.time_ns() // 1_000,
            "complete": undelivered is not None,
            "webhooks_undelivered": undelivered,
            "evidence": self.world.evidence.summary(),
        }
        unfinished = self.directory / f"{RECORD}.part"
        unfinished.write_text(json.dumps(text, indent=2) + "\n")
        unfinished.replace(self.directory / RECORD)

    def partner(self, host: str) -> Any:
        """The partner behind a host."""
        stage = self.stage
        others = {"erp": stage.erp, "threepl": stage.threepl, "carrier": stage.carrier}
        return stage.warehouses.get(host) or others[host]

    def stock(self, host: str) -> list[dict[str, Any]]:
        """What a node holds, sku by sku; empty for a partner without goods."""
        if host not in NODES:
            return []
        site = self.partner(host)
        levels = [(sku, site.level_of(sku)) for sku in site.model.stock.skus()]
        return [{"sku": sku, "on_hand": level.on_hand, "held": level.held} for sku, level in levels]

    def _client_of(self, host: str) -> Callable[[WSGIEnvironment, bytes], str]:
        tokens: StaticTokens | Tokens = self.partner(host).tokens

        def client_of(environ: WSGIEnvironment, body: bytes) -> str:
            named = tokens.named(environ.get("HTTP_AUTHORIZATION", ""))
            if not named and environ["PATH_INFO"] == "/oauth/token":
                named = _client_id(body)
            return named or OUTSIDE

        return client_of

    def _flush_for_ever(self, evidence: EvidenceWriter) -> None:
        while True:
            gevent.sleep(FLUSH_EVERY_S)
            evidence.flush()


def _at_the_walls_time(fault: Fault, starts_at_us: int) -> Fault:
    """A fault whose window is protocol time, as long after the start as it is planned."""
    if fault.clock != "protocol":
        return fault
    ahead_us = time.time_ns() // 1_000 - starts_at_us
    ends_us = fault.to_us + ahead_us if fault.to_us < FOREVER_US else FOREVER_US
    return replace(fault, from_us=fault.from_us + ahead_us, to_us=ends_us)


def _client_id(body: bytes) -> str:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    named = asked.get("client_id", "") if isinstance(asked, dict) else ""
    return named if named == "integration" else ""
