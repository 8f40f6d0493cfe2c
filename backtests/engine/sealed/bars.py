"""Bars that have come so far, and the same lengthened into the unknown for functions that want whole columns."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtests.engine.frames.table import Table
from backtests.engine.portfolio.market import COLUMNS
from backtests.engine.strategy.history import time_index

BLOCK = 1_024  # a prefix has a multiple of so many rows
PRICES = ("open", "high", "low", "close")
_SEED = 20_250_112

type Array = NDArray[Any]


class StepBars:
    """A symbol's bars on the run's timeline, as the table has them: `n` of them have come."""

    def __init__(self, table: Table, i_symbol: int) -> None:
        self.n = 0
        self.columns: Mapping[str, Array] = {
            **{name: getattr(table.columns, name)[i_symbol] for name in COLUMNS},
            "time_ms": table.market.step_ms,
        }

    def reveal(self, i_bar: int) -> None:
        self.n = i_bar + 1


class OwnBars(StepBars):
    """The symbol's own bars, where it has none at some steps: without these, one behind the other."""

    def __init__(self, table: Table, i_symbol: int) -> None:
        super().__init__(table, i_symbol)
        self._steps, self._fresh = self.columns, table.fresh[i_symbol]
        self._n_seen = 0
        self.columns = {name: np.empty(len(column), column.dtype) for name, column in self._steps.items()}

    def reveal(self, i_bar: int) -> None:
        at = self._n_seen + np.flatnonzero(self._fresh[self._n_seen : i_bar + 1])
        self._n_seen = i_bar + 1
        if len(at):
            for name, column in self.columns.items():
                column[self.n : self.n + len(at)] = self._steps[name][at]
            self.n += len(at)


class Prefix:
    """The bars that have come, as long columns: behind the last one a made-up market goes on from its close.

    A function over whole columns gets some hundred rows at least, and a past value of an honest one does not change
    by what stands behind it. (Prices that stand still would: pandas_ta adds a little to a range that is 0 anywhere.)
    The rows come in whole blocks, at most as many as the run will have, so that columns and index are made anew for
    each block only.
    """

    def __init__(self, bars: StepBars, n_most: int, timeframe_ms: int, start_ms: int) -> None:
        self.bars = bars
        self._n_most = n_most
        self._timeframe_ms, self._start_ms = timeframe_ms, start_ms
        self._arrays: dict[str, Array] = {}
        self._known: dict[str, int] = {}
        self._series: dict[str, pd.Series] = {}
        self._times = np.empty(0, np.int64)
        self._index: pd.DatetimeIndex | None = None

    @property
    def length(self) -> int:
        return length_for(self.bars.n, self._n_most)

    @property
    def index(self) -> pd.DatetimeIndex:
        """Times of the bars, and behind them the regular ones that would follow."""
        n, length = self.bars.n, self.length
        has_come = self.bars.columns["time_ms"]
        if self._index is None or len(self._index) != length or (n and self._times[n - 1] != has_come[n - 1]):
            first_ms = int(has_come[n - 1]) + self._timeframe_ms if n else self._start_ms
            to_come = first_ms + self._timeframe_ms * np.arange(length - n, dtype=np.int64)
            self._times = np.concatenate((has_come[:n], to_come))
            self._index = time_index(self._times)
            self._series = {}
        return self._index

    def array(self, name: str) -> Array:
        """One column, read-only; it changes with the next bar."""
        if name == "time_ms":
            _ = self.index
            return _read_only(self._times)
        n, length = self.bars.n, self.length
        array = self._arrays.get(name)
        if array is None:
            array = self._arrays[name] = np.empty(self._n_most)
        known, column = self._known.get(name, 0), self.bars.columns[name]
        array[known:n] = column[known:n]
        self._known[name] = n
        if n < length:
            array[n:length] = _made_up(self.bars, name)[: length - n]
        return _read_only(array[:length])

    def series(self, name: str) -> pd.Series:
        """One column as pandas has it. What writes to it, writes to a copy."""
        index, array = self.index, self.array(name)
        if name == "time_ms":
            return pd.Series(array, index=index, name=name)
        if name not in self._series:
            self._series[name] = pd.Series(array, index=index, name=name, copy=False)
        return self._series[name].copy(deep=False)


def length_for(n: int, n_most: int) -> int:
    """Rows of a prefix of n bars."""
    return min(n_most, (n // BLOCK + 1) * BLOCK)


def walk(n: int) -> dict[str, NDArray[np.float64]]:
    """Columns of a made-up market, always the same: to learn what a function gives, where no bar has come yet."""
    random = np.random.default_rng(_SEED)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.01, n)))
    opened = np.append(100.0, close[:-1])
    wick = 1.0 + np.abs(random.normal(0.0, 0.003, (2, n)))
    high, low = np.maximum(opened, close) * wick[0], np.minimum(opened, close) / wick[1]
    return {"open": opened, "high": high, "low": low, "close": close, "volume": random.lognormal(2.0, 1.0, n)}


def go_on(value: float, n: int) -> NDArray[np.float64]:
    """n made-up values behind this one."""
    return value * _shapes()["close"][:n]


@cache
def _shapes() -> dict[str, NDArray[np.float64]]:
    """The columns of one block of the made-up market, as multiples of what was before it."""
    return {name: column / 100.0 if name != "volume" else column for name, column in walk(BLOCK).items()}


def _made_up(bars: StepBars, name: str) -> NDArray[np.float64]:
    """What a column goes on with."""
    last = float(bars.columns["close" if name in PRICES else name][bars.n - 1]) if bars.n else 1.0
    return (last or 1.0) * _shapes()[name]


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
