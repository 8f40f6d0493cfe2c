"""`make bench`, jail: what a draft run in its jail costs beyond the engine's own time, for a year of 1m bars.

Engine: reading the source, `run`, its result, in this process. Jail and protocol: the whole of `execute`, less the
engine's time and less the replay in the parent, which is the result of record and not the jail's doing. That leaves
handing the job over, shutting the jail, the frames written and read, the child's own hash, the end of the child. Both
are wall time, in turn, in one run, with a warm child; the median is taken over the differences of neighbours.
"""

import os
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
    """Seconds of one engine run, and of the jailed run after it."""

    engine_s: float
    total_s: float
    replay_s: float
    handover_s: float

    @property
    def overhead_s(self) -> float:
        return self.total_s - self.replay_s - self.engine_s


def measure(source: str, request: RunRequest, feed: Feed, layers: Layers, cache: Path) -> Round:
    started = time.perf_counter()
    reporter = SilentReporter()
    run(Session(load_strategy(source, {}), reporter), request, feed, reporter)
    engine_s = time.perf_counter() - started
    wait_for_spare()
    outcome = execute(RunJob(request, source, feed, Limits(), cache), layers=layers)
    if outcome.status != "succeeded":
        raise SystemExit(f"The run did not succeed: {outcome.failure}")
    timings = outcome.timings
    return Round(engine_s, timings["total"], timings["replay"], timings["handover"])


def wait_for_spare() -> None:
    """Until the waiting child does nothing any more."""
    before, n_still = -1.0, 0
    while n_still < 4:
        time.sleep(0.1)
        child = spare.waiting_child()
        pid = None if child is None else child.find_pid()
        usage = None if pid is None else read_usage(pid)
        used = 0.0 if usage is None else usage.cpu_s
        n_still = n_still + 1 if used and used == before else 0
        before = used


@contextmanager
def warm_children(layers: Layers, cache: Path) -> Iterator[None]:
    spare.keep_spare(layers, cache)
    try:
        yield
    finally:
        spare.drop_spare()


def describe(name: str, level: str, rounds: list[Round]) -> str:
    engine, overhead = (statistics.median(getattr(r, name) for r in rounds) for name in ("engine_s", "overhead_s"))
    total, replay, handover = (
        statistics.median(getattr(r, name) for r in rounds) for name in ("total_s", "replay_s", "handover_s")
    )
    allowed = GOAL_RATIO * engine + GOAL_S
    numbers = "".join(f"{1000 * value:>10.0f}" for value in (engine, total, replay, handover, overhead, allowed))
    return f"{name:<24}{level:<8}{numbers}   {'met' if overhead <= allowed else 'missed'}"


def main() -> int:
    cache = Path(os.environ["NUMBA_CACHE_DIR"])
    warm_up(cache)
    keep_freed_memory()
    request, feed = make_request(YEAR, "close"), make_feed(make_bars(YEAR))
    titles = ("engine", "jailed", "replay", "handover", "overhead", "allowed")
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
