"""The work that is timed, as strategies, and the same work as plain loops that say what must come out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtests.engine.request import Bars
from benchmarks.series import MONTH, YEAR

FLIP = """
class Flip(Strategy):
    def initialize(self):
        self.fast = self.indicator(ta.sma, "close", length=20)
        self.slow = self.indicator(ta.sma, "close", length=50)

    def on_data(self, data):
        if crossed_above(self.fast, self.slow):
            self.buy(1 if self.get_position_size() == 0 else 2)
        elif crossed_below(self.fast, self.slow):
            self.sell(1 if self.get_position_size() == 0 else 2)
"""

FLIP_WITH_EXITS = """
class FlipWithExits(Strategy):
    stop_loss = Param(0.01)
    take_profit = Param(0.02)

    def initialize(self):
        self.fast = self.indicator(ta.sma, "close", length=20)
        self.slow = self.indicator(ta.sma, "close", length=50)

    def on_data(self, data):
        if crossed_above(self.fast, self.slow):
            stop_loss, take_profit = data.close * (1 - self.stop_loss), data.close * (1 + self.take_profit)
            self.buy(1 if self.get_position_size() == 0 else 2, stop_loss=stop_loss, take_profit=take_profit)
        elif crossed_below(self.fast, self.slow):
            stop_loss, take_profit = data.close * (1 + self.stop_loss), data.close * (1 - self.take_profit)
            self.sell(1 if self.get_position_size() == 0 else 2, stop_loss=stop_loss, take_profit=take_profit)
"""

LEVEL = """
class AboveLevel(Strategy):
    level = Param(0.0)

    def initialize(self):
        self.is_long = False

    def on_data(self, data):
        if data.close > self.level:
            if not self.is_long:
                self.buy(1)
                self.is_long = True
        elif self.is_long:
            self.sell(1)
            self.is_long = False
"""

FLIP_TARGETS = """
class FlipTargets(Strategy):
    fast = Param(20)
    slow = Param(50)
    stop_loss = Param(0.0)  # 0: none
    take_profit = Param(0.0)

    def targets(self, candles):
        fast = candles.indicator(ta.sma, "close", length=self.fast)
        slow = candles.indicator(ta.sma, "close", length=self.slow)
        exits = {"stop_loss_ratio": self.stop_loss or None, "take_profit_ratio": self.take_profit or None}
        return Targets(candles.crossings(fast, slow), unit="qty", **exits)
"""

LEVEL_TARGETS = """
import numpy as np


class AboveLevelTargets(Strategy):
    level = Param(0.0)

    def targets(self, candles):
        return Targets(np.where(candles.close > self.level, 1.0, 0.0), unit="qty")
"""


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    n_bars: int
    source: str


WORKLOADS = (
    Workload("W1", "SMA 20/50 flip over a month", MONTH, FLIP),
    Workload("W2", "SMA 20/50 flip over a year", YEAR, FLIP),
    Workload("W3", "close against a level, about 1,000 trades", YEAR, LEVEL),
)


def wanted_positions(workload: Workload, bars: Bars, level: float) -> NDArray[np.float64]:
    """The position (in BTC) that the strategy wants after each bar."""
    if workload.source == LEVEL:
        return np.where(bars.close > level, 1.0, 0.0)
    spread = rolling_mean(bars.close, 20) - rolling_mean(bars.close, 50)
    wanted = np.full(len(bars), np.nan)
    wanted[1:][(spread[:-1] <= 0) & (spread[1:] > 0)] = 1.0
    wanted[1:][(spread[:-1] >= 0) & (spread[1:] < 0)] = -1.0
    wanted[0] = 0.0
    last_change = np.maximum.accumulate(np.where(np.isnan(wanted), 0, np.arange(len(wanted))))
    return wanted[last_change]


def rolling_mean(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    means = np.full(len(values), np.nan)
    means[length - 1 :] = np.lib.stride_tricks.sliding_window_view(values, length).mean(axis=1)
    return means


def expected_equity(positions: NDArray[np.float64], bars: Bars, fill: str, balance: float, fee: float) -> float:
    """Final equity by plain sums: every change of position pays `fee` at the close, or at the next open."""
    price = bars.close if fill == "close" else np.append(bars.open[1:], np.nan)
    changes = np.diff(positions, prepend=0.0)
    if fill != "close":
        changes[-1] = 0.0  # nothing opens after the last bar
    traded = changes != 0
    cash = balance - np.sum(changes[traded] * price[traded]) - fee * np.sum(np.abs(changes[traded]) * price[traded])
    return float(cash + np.sum(changes) * bars.close[-1])
