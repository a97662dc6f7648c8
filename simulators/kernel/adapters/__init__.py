"""What lets an application that was written for real time run in a virtual world unchanged.

`enclose(world, host)` gives the host's tasks the world's network under `requests`, `urllib3` and `httpx`, and the
world's time under `time.time` and its kin; what would leave the world raises EscapedWorld at the call site. All of it
holds only while the world runs and only for tasks of that host; everybody else gets the real thing.
"""

from simulators.kernel.adapters.enclosure import Inside, Patch, enclosed
from simulators.kernel.adapters.guards import GUARDS
from simulators.kernel.adapters.over_httpx import httpx_patches
from simulators.kernel.adapters.over_urllib3 import urllib3_patches
from simulators.kernel.world import World

__all__ = ["all_patches", "enclose", "enclosed"]


def all_patches() -> tuple[Patch, ...]:
    """Every patch for what is installed here."""
    return (*GUARDS, *urllib3_patches(), *httpx_patches())


def enclose(world: World, host: str) -> None:
    """Enclose the tasks of a host whenever this world runs."""
    patches = all_patches()
    entry = Inside(world, host)
    world.around.append(lambda: enclosed(patches, entry))
