"""How fast seeds are explored, faults and judging included: on one process, on two, and on a Dask cluster of two
workers on this machine. Prints one line of JSON.

python -m tests.benchmarks.exploration [SEEDS]
"""

import json
import sys
import time
from typing import Any

import distributed

from scenarios.executors import Dask, Executor, Processes
from scenarios.explore import Exploration, Plan, play_seeds
from scenarios.spec import load

SEEDS = 60
WARM_UP = 4
"""Seeds per worker that are played before the clock starts: imports, contracts and profiles are read in them."""


def measured(executor: Executor, seeds: int) -> dict[str, Any]:
    """Seconds for so many seeds, on warm workers; what they come to per minute and in orders per second."""
    exploration = Exploration(Plan(load("exploration"), "exploration"))
    for _ in play_seeds(exploration, range(1, WARM_UP * executor.workers + 1), executor):
        pass
    exploration.results.clear()
    began = time.perf_counter()
    for _ in play_seeds(exploration, range(1, seeds + 1), executor):
        pass
    seconds = time.perf_counter() - began
    sound = exploration.sound
    return {
        "workers": executor.workers,
        "seeds": len(sound),
        "broken": len(exploration.errors),
        "seconds": round(seconds, 2),
        "seeds_per_minute": round(60 * len(sound) / seconds, 1),
        "orders_per_second": round(sum(result.orders for result in sound) / seconds, 1),
        "cpu_seconds_per_seed": round(sum(result.cpu_seconds for result in sound) / max(1, len(sound)), 3),
    }


def main(seeds: int) -> None:
    """Measure all three."""
    results: dict[str, Any] = {}
    for jobs in (1, 2):
        with Processes(jobs) as processes:
            results[f"{jobs} process{'es' if jobs > 1 else ''}"] = measured(processes, seeds)
    local_cluster: Any = distributed.LocalCluster
    with (
        local_cluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Dask(cluster.scheduler_address) as executor,
    ):
        results["dask, 2 workers"] = measured(executor, seeds)
    alone = results["1 process"]["seeds_per_minute"]
    results["two_over_one"] = round(results["2 processes"]["seeds_per_minute"] / alone, 2)
    results["dask_over_one"] = round(results["dask, 2 workers"]["seeds_per_minute"] / alone, 2)
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
