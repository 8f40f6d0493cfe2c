"""`make bench`: CPU seconds of the engine's callback driver, and their ratio to the bare cost of calling a strategy.

Seconds say something about this machine only. The ratio compares two measurements of the same run, interleaved, and is
what may be quoted.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from backtests.engine.frames import SilentReporter
from backtests.engine.loop import run
from backtests.engine.request import Bars, ParamValue
from backtests.engine.result import EngineResult
from backtests.engine.strategy import Session, load_strategy
from benchmarks.floor import call_empty
from benchmarks.series import YEAR, find_level, make_bars, make_feed, make_request
from benchmarks.workloads import LEVEL, WORKLOADS, Workload, expected_equity, wanted_positions

ROUNDS = 3
# Each in a process of its own, and where it needs one, in a home of its own.
OTHERS = ("benchmarks.imports", "benchmarks.market_data", "benchmarks.jail", "benchmarks.click")


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(workload: Workload, bars: Bars, fill: str, level: float) -> str:
    """One line of the table. Raises SystemExit when the engine's result is not the plain sum's."""
    request, feed = make_request(workload.n_bars, fill), make_feed(bars)
    params: dict[str, ParamValue] = {"level": level} if workload.source == LEVEL else {}

    def work() -> EngineResult:
        reporter = SilentReporter()
        return run(Session(load_strategy(workload.source, params), reporter), request, feed, reporter)

    started = time.process_time()
    result = work()
    first = time.process_time() - started
    floors, ours = [], []
    for _ in range(ROUNDS):
        floors.append(cpu_seconds(lambda: call_empty(bars)))
        ours.append(cpu_seconds(work))
    expected = expected_equity(wanted_positions(workload, bars, level), bars, fill, 1_000_000.0, request.taker_fee)
    if abs(result.final_equity - expected) > 1e-6:
        raise SystemExit(f"{workload.name} {fill}: equity {result.final_equity:.6f}, by plain sums {expected:.6f}")
    cpu, floor = statistics.median(ours), statistics.median(floors)
    return (
        f"{workload.name:<4}{fill:<10}{workload.n_bars:>9,}{len(result.trades):>8,}{result.final_equity:>16,.2f}"
        f"{first:>9.3f}{cpu:>9.3f}{floor:>9.3f}{cpu / floor:>8.1f}   {workload.title}"
    )


def main() -> int:
    year = make_bars(YEAR)
    level = find_level(year)
    titles = (
        ("bars", 9),
        ("trades", 8),
        ("final equity", 16),
        ("first s", 9),
        ("CPU s", 9),
        ("floor s", 9),
        ("ratio", 8),
    )
    print(f"{'':4}{'fill':<10}" + "".join(f"{title:>{width}}" for title, width in titles))
    for workload in WORKLOADS:
        bars = year if workload.n_bars == YEAR else make_bars(workload.n_bars)
        for fill in ("close", "next_open"):
            print(measure(workload, bars, fill, level), flush=True)
    return max(subprocess.call([sys.executable, "-m", module]) for module in OTHERS)


if __name__ == "__main__":
    sys.exit(main())
