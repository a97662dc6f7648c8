"""The world in virtual time: clock, tasks, network, faults, chance and evidence. It knows no partner."""

from simulators.kernel.chance import Chance
from simulators.kernel.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from simulators.kernel.evidence import EvidenceWriter
from simulators.kernel.faults import Fault, Faults
from simulators.kernel.network import Answer, Network
from simulators.kernel.ports import Ports
from simulators.kernel.tasks import EscapedWorld, KernelError, TaskFailed
from simulators.kernel.world import World

__all__ = [
    "DAY",
    "HOUR",
    "MILLISECOND",
    "MINUTE",
    "SECOND",
    "Answer",
    "Chance",
    "EscapedWorld",
    "EvidenceWriter",
    "Fault",
    "Faults",
    "KernelError",
    "Network",
    "Ports",
    "TaskFailed",
    "World",
]
