"""A worker of a crowd: asks to be let in, plays its part of the demand, and has its evidence written by the lead.

It needs nothing of the lead's machine but the network: plan and tokens come in messages, and rows go out in them. A
connection that breaks and is made anew may lose messages: what is not answered is said again.

LeadGone      the lead does not answer any more
"""

import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import gevent
from gevent.event import AsyncResult
from locust.env import Environment

from loadtests import adapters
from loadtests.clocks import SAME, Offset, offset
from loadtests.lead import Message
from loadtests.outside import Outside
from loadtests.plan import Pace, Plan, clock_name
from loadtests.rows import Batch, Sheaf
from loadtests.shapes import shaped
from scenarios.crowd import Crowd
from scenarios.demand import Demand
from scenarios.errors import ScenarioError
from scenarios.events import CancelEvent, Event, OrderEvent
from scenarios.spec import Scenario
from simulators.kernel.chance import Chance
from simulators.kernel.faults import Fault

DELIVER_EVERY_S = 0.5
AGAIN_EVERY_S = 2.0
ANSWER_WITHIN_S = 10.0
TIMES = 3
"""How often a batch is sent when nobody says that it was written."""
DONE, REFUSED, BROKEN = 0, 2, 3
"""Exit codes of a worker, as those of every verb."""


class LeadGone(Exception):
    """Says what was not answered."""


@dataclass(frozen=True)
class _Part:
    """What a worker is to do, and with what."""

    plan: Plan
    scenario: Scenario
    demand: Demand
    adapter: adapters.Adapter
    tokens: Mapping[str, Any]
    shares_clock: bool
    offset: Offset


class Member:
    """`hear` what the lead says; `tell` is how it is told; `leave(code)` ends this process."""

    def __init__(
        self,
        environment: Environment,
        name: str,
        version: str,
        tell: Callable[[Message], None],
        leave: Callable[[int], None],
    ) -> None:
        self.code: int | None = None
        """The exit code, once it is known."""
        self.was_heard = False
        """Whether the lead has answered at all."""
        self._environment = environment
        self._name = name
        self._version = version
        self._tell = tell
        self._leave = leave
        self._sheaf = Sheaf()
        self._sent: Batch | None = None
        self._written = AsyncResult()
        self._asked = 0
        self._clock = AsyncResult()
        self._plan: Plan | None = None
        self._part: _Part | None = None
        self._has_begun = False

    def join(self) -> None:
        """Ask to be let in."""
        hello = {"say": "hello", "version": self._version, "clock": clock_name(), "name": self._name}
        gevent.spawn(self._say_until, lambda: self.was_heard, hello)

    def hear(self, message: Message) -> None:
        """One message of the lead."""
        self.was_heard = True
        say = message["say"]
        if say == "plan":
            if self._plan is None:
                self._plan = Plan.from_json(message["plan"])
                gevent.spawn(self._guarded, self._prepare, self._plan, message)
        elif say == "begin":
            if not self._has_begun:
                self._has_begun = True
                assert self._part is not None, "who is not ready is not told to begin"
                gevent.spawn(self._guarded, self._play, self._part, Pace(**message["pace"]))
        elif say == "clock":
            if message["number"] == self._asked:
                self._clock.set(message["now_us"])
        elif say == "written":
            sent = self._sent
            if sent is not None and message["kind"] == sent.kind and message["following"] >= sent.following:
                self._written.set(message["following"])
        elif say == "refused":
            self.end(REFUSED, f"this worker was not let in: {message['why']}")
        else:
            assert say == "done", say
            self.code = DONE

    def end(self, code: int, why: str) -> None:
        """End this process, and say why."""
        if self.code is None:
            self.code = code
            sys.stderr.write(f"peakproof: {why}\n")
            self._leave(code)

    def _guarded(self, function: Callable[..., None], *arguments: object) -> None:
        """Whatever goes wrong, the lead is told."""
        try:
            function(*arguments)
        except LeadGone as error:
            self.end(BROKEN, f"the run was left in the middle: {error}")
        except Exception as error:
            mendable = isinstance(error, ScenarioError)
            if not mendable:
                traceback.print_exc()
            why = str(error) if mendable else f"{type(error).__name__}: {error}"
            self._tell({"say": "failed", "why": why})
            self.end(REFUSED if mendable else BROKEN, why)

    def _say_until(self, heard: Callable[[], bool], message: Message) -> None:
        while not heard():
            self._tell(message)
            gevent.sleep(AGAIN_EVERY_S)

    def _prepare(self, plan: Plan, message: Message) -> None:
        """All that can be done before business time is known."""
        place, adapter = message["place"], adapters.load(plan.adapter)
        with tempfile.TemporaryDirectory(prefix="peakproof-worker-") as directory:
            scenario = Scenario.from_plain(plan.unpacked(Path(directory)))
            whole = shaped(Demand.load(scenario, plan.seed), plan.shape)
        demand = Demand(**{**vars(whole), "all_events": part_of(whole, place, plan.crowds)})
        measured = SAME if message["shares_clock"] else offset(self._ask_clock)
        self._part = _Part(plan, scenario, demand, adapter, message["tokens"], message["shares_clock"], measured)
        orders = sum(1 for _ in demand.orders())
        sys.stdout.write(f"worker {place} of {plan.crowds} has its part of {scenario.name}: {orders} orders\n")
        sys.stdout.flush()
        self._say_until(lambda: self._has_begun, {"say": "ready", "skew_us": measured.unsure_us})

    def _play(self, part: "_Part", pace: Pace) -> None:
        """Bring this worker's part of the demand, and say so when every client has its answer."""
        plan, demand, clients = part.plan, part.demand, part.scenario.demand.clients
        faults: tuple[Fault, ...] = part.scenario.fault_plan(demand.starts_at_us, demand.ends_at_us)
        outside = Outside(
            self._environment, pace.seen_from(part.offset.ahead_us), Chance(plan.seed), self._sheaf,
            plan.urls, part.adapter, faults, clients.timeout_us,
        )  # fmt: skip
        crowd = Crowd(outside, demand, clients, part.tokens["channels"], part.tokens["clerks"])
        crowd.start()
        is_finished = False
        while not is_finished:
            gevent.sleep(DELIVER_EVERY_S)
            is_finished = crowd.finished
            self._deliver()
            self._tell({"say": "counts", "counts": dict(crowd.counts)})
        skew_us = part.offset.bound_us(SAME if part.shares_clock else offset(self._ask_clock))
        self._say_until(lambda: self.code is not None, {"say": "ended", "skew_us": skew_us})

    def _deliver(self) -> None:
        """Have all rows written that there are now."""
        while (batch := self._sheaf.batch()) is not None:
            self._sent = batch
            self._sheaf.delivered(batch.kind, self._when_written(batch))

    def _when_written(self, batch: Batch) -> int:
        for _ in range(TIMES):
            self._written = AsyncResult()
            self._tell({"say": "rows", **batch._asdict()})
            following: int | None = self._answer(self._written)
            if following is not None:
                return following
        raise LeadGone(f"nobody wrote its rows for {TIMES * ANSWER_WITHIN_S:g} s")

    def _ask_clock(self) -> int:
        self._asked += 1
        self._clock = AsyncResult()
        self._tell({"say": "ask_clock", "number": self._asked})
        told: int | None = self._answer(self._clock)
        if told is None:
            raise LeadGone(f"nobody told the time for {ANSWER_WITHIN_S:g} s")
        return told

    def _answer(self, waited_for: AsyncResult) -> Any:
        try:
            return waited_for.get(timeout=ANSWER_WITHIN_S)
        except gevent.Timeout:
            return None


def part_of(demand: Demand, place: int, crowds: int) -> tuple[Event, ...]:
    """What of the demand the worker in this place brings."""
    return tuple(event for event in demand.all_events if _is_of(event, place, crowds))


def _is_of(event: Event, place: int, crowds: int) -> bool:
    """An order and its cancels are one worker's, and so is a node."""
    if isinstance(event, OrderEvent | CancelEvent):
        whose = f"{event.customer_id}/{event.order_reference}"
    else:
        whose = event.node
    return crc32(whose.encode()) % crowds == place
