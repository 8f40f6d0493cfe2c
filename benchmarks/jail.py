"""`make bench`, jail: what a draft run in its jail costs beyond the engine's own time, for a year of 1m bars.

Engine: reading the source, `run`, its result, in this process. Jail and protocol: the whole of `execute`, less the
engine's time and less the replay in the parent, which is the result of record and not the jail's doing. That leaves
handing the job over, shutting the jail, the frames written and read, the child's own hash, the end of the child. Both
are measured in turn, in one run, with a warm child; the median is taken over the differences of neighbours.

The goal is about wall time, which other work on the machine stretches. So beside the medians stands the overhead of the
quickest rounds, the least jailed run less the least engine run, and last the same in processor time of both processes
together: what runs side by side counts twice there, but a busy machine changes it little. It is known at level `inner`
only: bubblewrap does not pass on what its child used.
"""

import os
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from accounts.quotas import Limits
from backtests.engine.frames import SilentReporter
from backtests.engine.loop import run
from backtests.engine.memory import keep_freed_memory
from backtests.engine.replay import replay
from backtests.engine.request import Feed, RunRequest
from backtests.engine.strategy import Session, load_strategy
from backtests.runner.execute import execute
from backtests.runner.jail import spare
from backtests.runner.jail.compiling import warm_up
from backtests.runner.jail.layers import Layers, Level, find_lack, layers_of
from backtests.runner.jail.usage import read_usage
from backtests.runner.outcome import RunJob
from benchmarks.series import YEAR, make_bars, make_feed, make_request
from benchmarks.workloads import FLIP

ROUNDS = 9
GOAL_RATIO, GOAL_S = 0.15, 0.1  # of the engine's time, and besides
EMPTY = """
class Empty(Strategy):
    def initialize(self):
        pass

    def on_data(self, data):
        pass
"""
WORKS = (("W2, SMA 20/50 flip", FLIP), ("an empty callback", EMPTY))


@dataclass(frozen=True)
class Round:
    """Seconds of one engine run, and of the jailed run after it. CPU: of parent and child, less the replay's."""

    engine_s: float
    total_s: float
    replay_s: float
    handover_s: float
    engine_cpu_s: float = 0.0
    jailed_cpu_s: float = 0.0

    @property
    def overhead_s(self) -> float:
        return self.total_s - self.replay_s - self.engine_s

    @property
    def overhead_cpu_s(self) -> float:
        return self.jailed_cpu_s - self.engine_cpu_s


def measure(source: str, request: RunRequest, feed: Feed, layers: Layers, cache: Path) -> Round:
    started, started_cpu = time.perf_counter(), time.process_time()
    reporter = SilentReporter()
    run(Session(load_strategy(source, {}), reporter), request, feed, reporter)
    engine_s, engine_cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
    child_cpu_s = wait_for_spare()
    started_cpu, children_before = time.process_time(), children_cpu_s()
    outcome = execute(RunJob(request, source, feed, Limits(), cache), layers=layers)
    jailed_cpu_s = time.process_time() - started_cpu + children_cpu_s() - children_before - child_cpu_s
    if outcome.status != "succeeded" or outcome.commands is None:
        raise SystemExit(f"The run did not succeed: {outcome.failure}")
    started_cpu = time.process_time()
    replay(request, feed, outcome.commands).result_hash()
    jailed_cpu_s -= time.process_time() - started_cpu
    timings = outcome.timings
    return Round(engine_s, timings["total"], timings["replay"], timings["handover"], engine_cpu_s, jailed_cpu_s)


def children_cpu_s() -> float:
    """Of children that have ended and were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return float(usage.ru_utime + usage.ru_stime)


def wait_for_spare() -> float:
    """Until the waiting child does nothing any more. Returns the processor time that it has taken so far."""
    before, n_still = -1.0, 0
    while n_still < 4:
        time.sleep(0.1)
        child = spare.waiting_child()
        pid = None if child is None else child.find_pid()
        usage = None if pid is None else read_usage(pid)
        used = 0.0 if usage is None else usage.cpu_s
        n_still = n_still + 1 if used and used == before else 0
        before = used
    return before


@contextmanager
def warm_children(layers: Layers, cache: Path) -> Iterator[None]:
    spare.keep_spare(layers, cache)
    try:
        yield
    finally:
        spare.drop_spare()


def describe(name: str, level: str, rounds: list[Round]) -> str:
    def middle(field: str) -> float:
        return float(statistics.median(getattr(r, field) for r in rounds))

    allowed, allowed_cpu = (GOAL_RATIO * middle(field) + GOAL_S for field in ("engine_s", "engine_cpu_s"))
    least_s = min(r.total_s - r.replay_s for r in rounds) - min(r.engine_s for r in rounds)
    wall = (*map(middle, ("engine_s", "total_s", "replay_s", "handover_s", "overhead_s")), allowed, least_s)
    cpu = (*map(middle, ("engine_cpu_s", "overhead_cpu_s")), allowed_cpu) if level == "inner" else ()
    numbers = "".join(f"{1000 * value:>10.0f}" for value in (*wall, *cpu))
    return f"{name:<24}{level:<8}{numbers:<100}   {'met' if middle('overhead_s') <= allowed else 'missed'}"


def main() -> int:
    cache = Path(os.environ["NUMBA_CACHE_DIR"])
    warm_up(cache)
    keep_freed_memory()
    request, feed = make_request(YEAR, "close"), make_feed(make_bars(YEAR))
    titles = (
        "engine",
        "jailed",
        "replay",
        "handover",
        "overhead",
        "allowed",
        "quickest",
        "CPU eng.",
        "CPU over.",
        "allowed",
    )
    print(f"{'a year of 1m, draft, ms':<24}{'level':<8}" + "".join(f"{title:>10}" for title in titles))
    levels: tuple[Level, ...] = ("full", "inner")
    for level in levels:
        if lack := find_lack(level):
            print(f"no level {level} here: {lack}")
            continue
        layers = layers_of(level)
        with warm_children(layers, cache):
            for name, source in WORKS:
                rounds = [measure(source, request, feed, layers, cache) for _ in range(ROUNDS + 1)]
                print(describe(name, level, rounds[1:]), flush=True)
    print(f"medians of {ROUNDS}; the machine's load in the last minute was {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
