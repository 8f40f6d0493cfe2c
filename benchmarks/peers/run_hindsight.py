"""Our own process: what a run of a user does, with margin, tiers and the order log, from source to result."""

from collections.abc import Callable, Mapping, Sequence

from backtests.engine.frames import SilentReporter
from backtests.engine.loop import run
from backtests.engine.memory import keep_freed_memory
from backtests.engine.request import Bars, ParamValue
from backtests.engine.result import EngineResult
from backtests.engine.strategy import Session, load_strategy
from backtests.engine.sweep import sweep
from backtests.engine.warm import warm_kernels
from benchmarks.agreement import find_ties, vectorbt_skips
from benchmarks.peers.stopwatch import Answer, Job, serve
from benchmarks.series import find_version, make_feed, make_request, read_bars
from benchmarks.workloads import FLIP, FLIP_TARGETS, FLIP_WITH_EXITS, LEVEL, LEVEL_TARGETS

CALLBACKS = {"flip": FLIP, "flip with exits": FLIP_WITH_EXITS, "level": LEVEL}
TARGETS = {"flip": FLIP_TARGETS, "flip with exits": FLIP_TARGETS, "level": LEVEL_TARGETS}


def prepare(job: Job) -> Callable[[], EngineResult | Answer]:
    bars = read_bars(job["series"])
    name = "flip with exits" if job["exits"] else job["rule"]
    source = (TARGETS if job["api"] == "targets" else CALLBACKS)[name]
    if job["pairs"]:
        ties = find_ties(bars.close, job["pairs"])
        return lambda: sweep_pairs(job["pairs"], bars, job["fill"]) | {"is_tied": ties}
    params = {"level": job["level"]} if job["rule"] == "level" else job["exits"]
    return lambda: backtest(source, params, bars, job["fill"])


def backtest(source: str, params: Mapping[str, ParamValue], bars: Bars, fill: str) -> EngineResult:
    reporter = SilentReporter()
    session = Session(load_strategy(source, params), reporter)
    return run(session, make_request(len(bars), fill), make_feed(bars), reporter)


def sweep_pairs(pairs: Sequence[Sequence[int]], bars: Bars, fill: str) -> Answer:
    sets = [{"fast": fast, "slow": slow} for fast, slow in pairs]
    table = sweep(make_request(len(bars), fill), make_feed(bars), FLIP_TARGETS, sets)
    equities = table["final_equity"].tolist()
    return {"n_trades": int(table["n_trades"].sum()), "final_equity": max(equities), "equities": equities}


def describe(result: EngineResult | Answer) -> Answer:
    if isinstance(result, dict):
        return result
    answer: Answer = {"n_trades": len(result.trades), "final_equity": result.final_equity}
    n_skipped, pnl = vectorbt_skips(result.trades)
    return answer | {"n_skipped": n_skipped, "skipped_pnl": pnl}


if __name__ == "__main__":
    keep_freed_memory()  # as a worker and its waiting child do, with the kernels loaded before there is a run
    warm_kernels()
    serve(find_version(), prepare, describe)
