"""Candles of a longer timeframe from shorter ones: what one is, and how it is computed.

A built candle takes every row that opens within it: the first one's open, the highest high, the lowest low, the last
one's close. Rows without trades count as any other. Prices are those of rows, never computed; volumes are added as the
decimal numbers that the exchange wrote. So candles of candles equal candles of their rows.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketdata.arrays import UNKNOWN_COUNT, FloatArray, IntArray
from marketdata.timeframes import TIMEFRAME_MS, opening_phase_ms

DECIMALS = (1e8, 1e5, 1e3, 1.0)  # the exchange writes at most eight places, and fewer of large numbers
MAX_WHOLE = 2.0**53  # whole numbers below are exact in float64


@dataclass(frozen=True, slots=True, eq=False)
class BuiltCandles:
    """Columns of n built candles by name, open_ms among them; how many rows each was built from, and how many of those
    are without trades (0 where volume is not among the columns)."""

    columns: dict[str, NDArray[Any]]
    n_rows: IntArray
    n_idle: IntArray

    def __len__(self) -> int:
        return len(self.n_rows)

    def take(self, rows: slice) -> "BuiltCandles":
        return BuiltCandles(
            {name: column[rows] for name, column in self.columns.items()}, self.n_rows[rows], self.n_idle[rows]
        )


def build_candles(columns: Mapping[str, NDArray[Any]], timeframe: str) -> BuiltCandles:
    """Rows in time order, on the grid of a timeframe that fits evenly, as candles of `timeframe`.

    Any columns of CandleArrays, open_ms among them. A candle stands where at least one row opens in it, at its own open
    time. Its n_trades is -1 where that of any row is not known; volumes likewise NaN.
    """
    opens, firsts = find_candles(columns["open_ms"], timeframe)
    n_rows = np.diff(np.append(firsts, len(columns["open_ms"])))
    built: dict[str, NDArray[Any]] = {"open_ms": opens}
    for name, column in columns.items():
        if name != "open_ms":
            built[name] = _BUILD[name](column, firsts) if len(firsts) else column[:0]
    is_idle = columns["volume"] == 0 if "volume" in columns else np.empty(0, np.bool_)
    n_idle = np.add.reduceat(is_idle, firsts, dtype=np.int64) if bool(np.any(is_idle)) else np.zeros_like(n_rows)
    return BuiltCandles(built, n_rows, n_idle)


def hold_candles(columns: dict[str, NDArray[Any]]) -> BuiltCandles:
    """Held candles in the same form, each its own only row."""
    n_rows = np.ones(len(columns["open_ms"]), np.int64)
    is_idle = columns["volume"] == 0 if "volume" in columns else n_rows == 0
    return BuiltCandles(columns, n_rows, is_idle.astype(np.int64))


def find_candles(open_ms: IntArray, timeframe: str) -> tuple[IntArray, IntArray]:
    """Open times of the candles that hold any of the rows, and the place of the first row of each."""
    length_ms = TIMEFRAME_MS[timeframe]
    cells = (open_ms - opening_phase_ms(timeframe)) // length_ms
    is_first = np.ones(len(cells), np.bool_)
    np.not_equal(cells[1:], cells[:-1], out=is_first[1:])
    firsts = np.flatnonzero(is_first)
    return cells[firsts] * length_ms + opening_phase_ms(timeframe), firsts


def sum_decimals(values: FloatArray, firsts: IntArray) -> FloatArray:
    """The sum of each group of values (none negative) that begins at `firsts`: the float64 nearest to the decimal sum.

    Decimals are added as whole numbers of their last place, which is exact in any order. Numbers that are no short
    decimals are added by math.fsum. The sum of a group never depends on the values of another.
    """
    totals = np.empty(len(firsts))
    todo = np.arange(len(firsts))
    for scale in DECIMALS:
        if not len(todo):
            return totals
        whole = np.rint(values * scale)
        sums = np.add.reduceat(whole, firsts)
        is_exact = np.logical_and.reduceat(whole / scale == values, firsts) & (sums < MAX_WHOLE)
        totals[todo[is_exact]] = sums[is_exact] / scale
        values, firsts, todo = _keep_groups(values, firsts, todo, ~is_exact)
    ends = np.append(firsts[1:], len(values))
    for i, first, end in zip(todo.tolist(), firsts.tolist(), ends.tolist(), strict=True):
        totals[i] = math.fsum(values[first:end])
    return totals


def _keep_groups(
    values: FloatArray, firsts: IntArray, groups: IntArray, is_kept: NDArray[np.bool_]
) -> tuple[FloatArray, IntArray, IntArray]:
    if bool(np.all(is_kept)):
        return values, firsts, groups
    lengths = np.diff(np.append(firsts, len(values)))
    kept = values[np.repeat(is_kept, lengths)]
    ends = np.cumsum(lengths[is_kept])
    return kept, ends - lengths[is_kept], groups[is_kept]


def _count_trades(column: IntArray, firsts: IntArray) -> IntArray:
    is_known = np.logical_and.reduceat(column != UNKNOWN_COUNT, firsts)
    return np.where(is_known, np.add.reduceat(column, firsts), UNKNOWN_COUNT)


def _last(column: FloatArray, firsts: IntArray) -> FloatArray:
    return np.asarray(column[np.append(firsts[1:], len(column)) - 1])


_BUILD: dict[str, Callable[[NDArray[Any], IntArray], NDArray[Any]]] = {
    "open": lambda column, firsts: column[firsts],
    "high": np.maximum.reduceat,
    "low": np.minimum.reduceat,
    "close": _last,
    "volume": sum_decimals,
    "quote_volume": sum_decimals,
    "taker_buy_volume": sum_decimals,
    "n_trades": _count_trades,
}
