"""Started by `peakproof load`, in every process of the crowd: the plan's events, each at its time."""

import json
import os
from pathlib import Path
from typing import Any
from zlib import crc32

import gevent
import orjson
from locust import LoadTestShape, User, events, task
from locust.env import Environment
from locust.runners import LocalRunner, WorkerRunner

from loadtests import adapters
from loadtests.outside import Outside
from loadtests.plan import PLAN, TOKENS, Plan
from loadtests.shapes import shaped
from scenarios.crowd import Crowd
from scenarios.demand import Demand
from scenarios.events import CancelEvent, Event, OrderEvent
from scenarios.spec import Scenario
from simulators.kernel.chance import Chance
from simulators.kernel.evidence import EvidenceWriter

ENDED = "crowd-ended"
FLUSH_EVERY_S = 1.0
LOOK_EVERY_S = 0.2

plan = Plan.read(Path(os.environ[PLAN]))


class Load(LoadTestShape):
    """Locust's part in an open model: one user per process, who works the schedule off, until all of them have.

    How many orders are under way is no matter of users: every arrival comes at its time, whatever became of others.
    """

    ended = 0

    def tick(self) -> tuple[int, float] | None:
        """So many users, begun at so many per second; None ends the test."""
        return None if Load.ended >= plan.crowds else (plan.crowds, float(plan.crowds))


class Arrivals(User):
    """The schedule of this process: begins every call of its part of the demand at its time."""

    @task
    def work_off(self) -> None:
        """Once; then idle until the test ends."""
        play(self.environment)
        gevent.sleep(86_400)


def mine(event: Event, index: int) -> bool:
    """Whether an event is this process's: an order and its cancels are one's, and so is a node."""
    if isinstance(event, OrderEvent | CancelEvent):
        whose = f"{event.customer_id}/{event.order_reference}"
    else:
        whose = event.node
    return crc32(whose.encode()) % plan.crowds == index


def part_of(demand: Demand, index: int) -> tuple[Event, ...]:
    """What of the demand this process brings."""
    return tuple(event for event in demand.all_events if mine(event, index))


def play(environment: Environment) -> None:
    """Bring this process's part of the demand, and say so when every client has its answer."""
    runner = environment.runner
    assert isinstance(runner, WorkerRunner | LocalRunner)
    index = runner.worker_index
    scenario = Scenario.from_plain(plan.scenario)
    whole = shaped(Demand.load(scenario, plan.seed), plan.shape)
    demand = Demand(**{**vars(whole), "all_events": part_of(whole, index)})
    tokens = json.loads(os.environ[TOKENS])
    directory = Path(plan.directory) / f"crowd-{index}"
    clients = scenario.demand.clients
    faults = scenario.fault_plan(demand.starts_at_us, demand.ends_at_us)
    with EvidenceWriter(directory) as evidence:
        outside = Outside(
            environment, plan.pace, Chance(plan.seed), evidence, plan.urls, adapters.load(plan.adapter), faults,
            clients.timeout_us,
        )  # fmt: skip
        crowd = Crowd(outside, demand, clients, tokens["channels"], tokens["clerks"])
        crowd.start()
        flushed = gevent.spawn(_flush_for_ever, evidence, crowd, directory)
        while not crowd.finished:
            gevent.sleep(LOOK_EVERY_S)
        flushed.kill()
    _leave_counts(crowd, directory)
    runner.send_message(ENDED, {"index": index})


def _flush_for_ever(evidence: EvidenceWriter, crowd: Crowd, directory: Path) -> None:
    while True:
        gevent.sleep(FLUSH_EVERY_S)
        evidence.flush()
        _leave_counts(crowd, directory)


def _leave_counts(crowd: Crowd, directory: Path) -> None:
    (directory / "counts.json").write_bytes(orjson.dumps(dict(crowd.counts)))


def _listen(environment: Environment, **_: Any) -> None:
    def ended(**_: Any) -> None:
        Load.ended += 1

    runner = environment.runner
    if runner is not None and not isinstance(runner, WorkerRunner):
        runner.register_message(ENDED, ended)


events.init.add_listener(_listen)  # type: ignore[no-untyped-call]
