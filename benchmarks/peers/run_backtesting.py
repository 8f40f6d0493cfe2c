"""backtesting.py's process: its normal API, `Strategy.next`; market orders fill at the next open."""

from collections.abc import Callable
from typing import Any

import backtesting
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

from benchmarks.peers.stopwatch import Answer, Job, serve


def rolling_mean(values: Any, length: int) -> Any:
    return pd.Series(values).rolling(length).mean()


class Flip(Strategy):  # type: ignore[misc]
    stop_loss = 0.0
    take_profit = 0.0

    def init(self) -> None:
        self.fast = self.I(rolling_mean, self.data.Close, 20)
        self.slow = self.I(rolling_mean, self.data.Close, 50)

    def next(self) -> None:
        before, now = self.fast[-2] - self.slow[-2], self.fast[-1] - self.slow[-1]
        if before <= 0 < now:
            self.position.close()
            self.buy(size=1, **self.exits(+1))
        elif before >= 0 > now:
            self.position.close()
            self.sell(size=1, **self.exits(-1))

    def exits(self, side: int) -> dict[str, float]:
        if not self.stop_loss:
            return {}
        close = self.data.Close[-1]
        return {"sl": close * (1 - side * self.stop_loss), "tp": close * (1 + side * self.take_profit)}


class AboveLevel(Strategy):  # type: ignore[misc]
    level = 0.0

    def init(self) -> None:
        pass

    def next(self) -> None:
        if self.data.Close[-1] > self.level:
            if not self.position:
                self.buy(size=1)
        elif self.position:
            self.position.close()


def prepare(job: Job) -> Callable[[], Any]:
    series = np.load(job["series"])
    names = ["Open", "High", "Low", "Close", "Volume"]
    frame = pd.DataFrame(series[:, 1:], columns=names, index=pd.to_datetime(series[:, 0].astype("int64"), unit="ms"))
    strategy, params = (AboveLevel, {"level": job["level"]}) if job["rule"] == "level" else (Flip, job["exits"])

    def work() -> Any:
        test = Backtest(frame, strategy, cash=job["balance"], commission=job["fee"], finalize_trades=False)
        return test.run(**params)

    return work


def describe(stats: Any) -> Answer:
    still_open = len(stats["_strategy"].trades)
    return {"n_trades": int(stats["# Trades"]) + still_open, "final_equity": float(stats["Equity Final [$]"])}


if __name__ == "__main__":
    serve(backtesting.__version__, prepare, describe)
