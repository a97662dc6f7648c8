"""`make bench`: orders per second through the whole flow, memory, how cost grows, seeds explored per minute.

Every figure stands beside a floor that was measured in the same run: bare WSGI calls plus the same number of SimPy
events.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RESULTS = Path("reports/runs/bench.json")
FEW, MANY = 2_000, 20_000


def measured(module: str, *arguments: object) -> dict[str, Any]:
    """What a module of this package printed, run in a process of its own."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def with_floor(run: dict[str, Any]) -> dict[str, Any]:
    """A run's figures, beside its floor's."""
    floor = measured("floor", run["exchanges"])
    return run | {
        "orders_per_second": round(run["orders"] / run["run_seconds"], 1),
        "orders_per_cpu_second": round(run["orders"] / run["cpu_seconds"], 1),
        "exchanges_per_order": round(run["exchanges"] / run["orders"], 1),
        "ms_per_order": round(1_000 * run["run_seconds"] / run["orders"], 3),
        "floor_seconds": floor["seconds"],
        "floor_cpu_seconds": floor["cpu_seconds"],
        "ratio_to_floor": round(run["run_seconds"] / floor["seconds"], 2),
        "ratio_to_floor_cpu": round(run["cpu_seconds"] / floor["cpu_seconds"], 2),
        "judge_share_of_run": round(run["judge_seconds"] / run["run_seconds"], 3),
    }


def print_exploration(results: dict[str, Any]) -> None:
    """Seeds per minute and orders per second under faults, per executor."""
    for name, figures in results.items():
        if isinstance(figures, dict):
            speed = f"{figures['seeds_per_minute']} seeds a minute, {figures['orders_per_second']} orders a second"
            sys.stdout.write(f"explore, {name:18} {speed}\n")
    sys.stdout.write(f"two processes over one: {results['two_over_one']}; Dask over one: {results['dask_over_one']}\n")


def print_serving(results: dict[str, Any]) -> None:
    """Each call of a simulator on a port, and how much of a constant's rate it reaches by CPU and by wall time."""
    for name, figures in results.items():
        cpu, wall = figures["over_constant_gevent_cpu"], figures["over_constant_gevent_wall"]
        speed = f"{figures['simulator']['per_second']} a second, {figures['simulator']['cpu_us']} us of CPU time"
        same = f"{figures['over_constant_ours_cpu']} with the simulators' own handler on both sides"
        sys.stdout.write(f"simulator on a port, {name}: {speed}; over a constant {cpu} (wall {wall}), {same}\n")


def main() -> None:
    """Measure few and many orders, print a table, leave the JSON."""
    with tempfile.TemporaryDirectory(prefix="peakproof-bench-") as scratch:
        runs = [with_floor(measured("measure", orders, Path(scratch) / str(orders))) for orders in (FEW, MANY)]
    few, many = runs
    results = {
        "runs": runs,
        "cost_per_order_many_over_few": round(many["ms_per_order"] / few["ms_per_order"], 3),
        "exploration": measured("exploration"),
        "intake": measured("intake"),
        "serving": measured("serving"),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    for name in few:
        sys.stdout.write(f"{name:24} {few[name]!s:>12} {many[name]!s:>12}\n")
    sys.stdout.write(f"cost per order, {MANY:,} over {FEW:,}: {results['cost_per_order_many_over_few']}\n")
    print_exploration(results["exploration"])
    print_serving(results["serving"])
    intake = results["intake"]
    speed = f"{intake['accepted_per_second']} orders a second, {intake['ratio_to_floor']} of one insert a request"
    sys.stdout.write(f"intake on PostgreSQL: {speed}\n")
    sys.stdout.write(f"{RESULTS}\n")


if __name__ == "__main__":
    main()
