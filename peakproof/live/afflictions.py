"""Faults on the integration's own processes, played as an operating system would: killed, stopped, gone."""

import signal
from collections.abc import Sequence

from loadtests.plan import Pace
from peakproof.live.children import Child
from scenarios.spec import HOSTS, PARTNERS, Scenario
from simulators.kernel import EvidenceWriter
from simulators.kernel.faults import Fault

KINDS = ("crash", "outage", "pause")
"""crash: kill -9 of every process, begun again at the end of the window. outage: the same. pause: stopped meanwhile."""


def not_played(scenario: Scenario, crowds: Sequence[str], is_foreign: bool) -> list[str]:
    """The ids of faults that nobody can play in real time. `crowds` are kinds that the crowd plays on its way."""
    left_out = []
    for fault in scenario.faults:
        on_integration = fault.host == "integration" or (fault.host == "" and fault.at is not None)
        by_crowd = fault.edge is not None and not set(fault.edge) & set(PARTNERS) and fault.edge[0] not in HOSTS
        if (on_integration and (is_foreign or fault.kind not in KINDS or fault.at)) or (
            by_crowd and fault.kind not in crowds
        ):
            left_out.append(fault.id)
    return left_out


class Afflictions:
    """The plan's faults on the integration. `strike` is called often."""

    def __init__(self, plan: Sequence[Fault], children: Sequence[Child], evidence: EvidenceWriter, pace: Pace) -> None:
        mine = [one for one in plan if one.host == "integration" and one.kind in KINDS and not one.at]
        self._to_come = sorted(mine, key=lambda one: one.from_us) if children else []
        self._in_force: list[Fault] = []
        self._children = children
        self._evidence = evidence
        self._pace = pace

    def strike(self, now_us: int) -> None:
        """Begin what is due and end what is over."""
        while self._to_come and self._to_come[0].from_us <= now_us:
            self._begin(self._to_come.pop(0))
        for fault in [one for one in self._in_force if one.to_us <= now_us]:
            self._end(fault)

    def heal(self) -> None:
        """End what is in force."""
        self._to_come.clear()
        for fault in list(self._in_force):
            self._end(fault)

    def _begin(self, fault: Fault) -> None:
        for child in self._children:
            if fault.kind == "pause":
                child.signal(signal.SIGSTOP)
            else:
                child.kill()
        self._in_force.append(fault)
        now_us = self._pace.now_us()
        place = {"from_us": now_us, "to_us": now_us, "detail": fault.kind}
        self._evidence.row("faults", fault=fault.id, kind=fault.kind, target=fault.aim, event="strike", **place)

    def _end(self, fault: Fault) -> None:
        self._in_force.remove(fault)
        for child in self._children:
            if fault.kind == "pause":
                child.signal(signal.SIGCONT)
            elif child.code is not None:
                child.begin_anew()
