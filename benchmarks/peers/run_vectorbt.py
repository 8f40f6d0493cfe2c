"""vectorbt's process: its normal API, `Portfolio.from_signals`; orders fill at the close of the signal."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt

from benchmarks.peers.stopwatch import Answer, Job, serve

COLUMNS_AT_ONCE = 100  # of a sweep: all 1,000 would take more than 20 GB


def prepare(job: Job) -> Callable[[], Answer]:
    series = np.load(job["series"])
    names = ["open", "high", "low", "close", "volume"]
    frame = pd.DataFrame(series[:, 1:], columns=names, index=pd.to_datetime(series[:, 0].astype("int64"), unit="ms"))
    money = {"size": 1.0, "fees": job["fee"], "init_cash": job["balance"], "freq": "1min"}
    if job["pairs"]:
        return lambda: sweep(frame["close"], job["pairs"], money)
    if job["rule"] == "level":
        return lambda: follow_level(frame["close"], job["level"], money)
    return lambda: flip(frame, job["exits"], money)


def flip(frame: Any, exits: dict[str, float], money: dict[str, Any]) -> Answer:
    close = frame["close"]
    fast, slow = vbt.MA.run(close, 20), vbt.MA.run(close, 50)
    more: dict[str, Any] = {}
    if exits:
        more = {"sl_stop": exits["stop_loss"], "tp_stop": exits["take_profit"]}
        more |= {name: frame[name] for name in ("open", "high", "low")}
    portfolio = vbt.Portfolio.from_signals(
        close,
        entries=fast.ma_crossed_above(slow),
        short_entries=fast.ma_crossed_below(slow),
        **money,
        **more,
    )
    return answer_of(portfolio)


def follow_level(close: Any, level: float, money: dict[str, Any]) -> Answer:
    above = close > level
    return answer_of(vbt.Portfolio.from_signals(close, entries=above, exits=~above, **money))


def answer_of(portfolio: Any) -> Answer:
    return {"n_trades": int(portfolio.trades.count()), "final_equity": float(portfolio.final_value())}


def sweep(close: Any, pairs: list[list[int]], money: dict[str, Any]) -> Answer:
    n_trades, equities = 0, []
    for i in range(0, len(pairs), COLUMNS_AT_ONCE):
        fasts, slows = zip(*pairs[i : i + COLUMNS_AT_ONCE], strict=True)
        fast = vbt.MA.run(close, list(fasts), short_name="fast")
        slow = vbt.MA.run(close, list(slows), short_name="slow")
        portfolio = vbt.Portfolio.from_signals(
            close, entries=fast.ma_crossed_above(slow), short_entries=fast.ma_crossed_below(slow), **money
        )
        n_trades += int(portfolio.trades.count().sum())
        equities += portfolio.final_value().tolist()
    return {"n_trades": n_trades, "final_equity": max(equities), "equities": equities}


def describe(answer: Answer) -> Answer:
    return answer


if __name__ == "__main__":
    serve(vbt.__version__, prepare, describe)
