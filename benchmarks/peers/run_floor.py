"""The process of the floor: the empty callback over the same bars."""

from collections.abc import Callable

from benchmarks.floor import call_empty
from benchmarks.peers.stopwatch import Answer, Job, serve
from benchmarks.series import read_bars


def prepare(job: Job) -> Callable[[], None]:
    bars = read_bars(job["series"])
    return lambda: call_empty(bars)


def describe(_: None) -> Answer:
    return {"n_trades": 0, "final_equity": 0.0}


if __name__ == "__main__":
    serve("", prepare, describe)
