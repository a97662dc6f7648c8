"""One measured run in a process of its own, so that its memory is its own: prints one line of JSON.

python -m tests.benchmarks.measure ORDERS DIRECTORY
"""

import json
import resource
import sys
import time
from pathlib import Path

from scenarios.runner import run_scenario
from scenarios.spec import load

SCENARIO = Path(__file__).parent / "three-lines.yaml"


def main(orders: int, directory: Path) -> None:
    """Play the benchmark's scenario with so many orders and print what it took; the CPU time is that of all of it,
    imports and judging included."""
    result = run_scenario(load(str(SCENARIO), {"demand.orders": str(orders)}), 1, directory)
    cpu_seconds = time.process_time()
    run = json.loads((directory / "run.json").read_text())
    seconds = run["wall_seconds"]
    measured = {
        "orders": orders,
        "outcome": result.outcome,
        "exchanges": run["evidence"]["exchanges"]["rows"],
        "ledger_entries": run["evidence"]["ledger"]["rows"],
        "run_seconds": seconds["run"],
        "judge_seconds": seconds["judge"],
        "cpu_seconds": round(cpu_seconds, 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
