"""Behaviour probes: what a partner promises beyond its document, tried one promise at a time.

Order matters: what waits long or spends much comes last.
"""

from peakproof.certification.data import Role
from peakproof.certification.probes import access, asking, cancelling, counting, duplicates, limits, listening
from peakproof.certification.session import Probe

FIRST = access.REACHABLE
LONG: tuple[Probe, ...] = (
    *cancelling.LATE_PROBES,
    *counting.LATE_PROBES,
    *listening.LATE_PROBES,
    *access.LATE_PROBES,
    *limits.PROBES,
)
"""What waits long or spends much; before these, what the others ordered is cancelled."""
PROBES: tuple[Probe, ...] = (
    FIRST,
    *access.PROBES,
    *asking.PROBES,
    *duplicates.PROBES,
    *cancelling.PROBES,
    *counting.PROBES,
    *listening.PROBES,
    *LONG,
)


def probes_of(role: Role) -> tuple[Probe, ...]:
    """The probes of a role, in the order in which they run."""
    return tuple(probe for probe in PROBES if role in probe.roles)
