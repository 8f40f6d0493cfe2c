"""Our own process: what a run of a user does, with margin, tiers and the order log, from source to result."""

from collections.abc import Callable

from backtests.engine.frames import SilentReporter
from backtests.engine.loop import run
from backtests.engine.request import Bars, ParamValue
from backtests.engine.result import EngineResult
from backtests.engine.strategy import Session, load_strategy
from benchmarks.agreement import vectorbt_skips
from benchmarks.peers.stopwatch import Answer, Job, serve
from benchmarks.series import find_version, make_feed, make_request, read_bars
from benchmarks.workloads import FLIP, FLIP_WITH_EXITS, LEVEL


def prepare(job: Job) -> Callable[[], EngineResult]:
    bars = read_bars(job["series"])
    return lambda: call_back(job, bars)


def call_back(job: Job, bars: Bars) -> EngineResult:
    request, feed, reporter = make_request(len(bars), job["fill"]), make_feed(bars), SilentReporter()
    params: dict[str, ParamValue] = {}
    if job["rule"] == "level":
        params["level"] = job["level"]
    params |= job["exits"]
    source = LEVEL if job["rule"] == "level" else FLIP_WITH_EXITS if job["exits"] else FLIP
    return run(Session(load_strategy(source, params), reporter), request, feed, reporter)


def describe(result: EngineResult) -> Answer:
    answer: Answer = {"n_trades": len(result.trades), "final_equity": result.final_equity}
    n_skipped, pnl = vectorbt_skips(result.trades)
    return answer | {"n_skipped": n_skipped, "skipped_pnl": pnl}


if __name__ == "__main__":
    serve(find_version(), prepare, describe)
