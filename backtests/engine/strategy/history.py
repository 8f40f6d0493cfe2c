"""What a strategy may look back at: closed bars, also of larger timeframes."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtests.engine.cursor import Cursor
from backtests.engine.request import TIMEFRAME_MS, Bars, timeframe_to_ms

FIELDS = ("open", "high", "low", "close", "volume")
FIRST_OPEN_MS = {"1w": 4 * 86_400_000, "3d": 86_400_000}  # as the exchange counts: a Monday, and 1970-01-02


class ClosedBars:
    """Bars of one symbol and timeframe, of which those that have closed by the cursor's bar are shown.

    n_closed[i]: how many of them have closed at the close of step i of the run's timeline.
    """

    def __init__(self, bars: Bars, n_closed: NDArray[np.int64], cursor: Cursor) -> None:
        self._columns: dict[str, NDArray[Any]] = {name: getattr(bars, name) for name in FIELDS}
        self._columns["time_ms"] = bars.open_ms
        self._n_closed = np.append(n_closed, 0)  # nothing has closed at the cursor's -1
        self._cursor = cursor
        self._frame: pd.DataFrame | None = None

    def array(self, n: int, field: str) -> NDArray[Any]:
        if field not in self._columns:
            raise ValueError(f"history has no field {field!r}; it has: {', '.join(self._columns)}.")
        end = int(self._n_closed[self._cursor.i_bar])
        return self._columns[field][max(end - n, 0) : end].copy()

    def frame(self, n: int) -> pd.DataFrame:
        if self._frame is None:
            columns = {name: self._columns[name] for name in FIELDS}
            self._frame = pd.DataFrame(columns, index=time_index(self._columns["time_ms"]))
        end = int(self._n_closed[self._cursor.i_bar])
        return self._frame.iloc[max(end - n, 0) : end]


def read_count(n: object) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"history takes a whole number of bars, at least 1, not {n!r:.60}.")
    return int(n)


def own_bars(bars: Bars, timeline_ms: NDArray[np.int64], cursor: Cursor) -> ClosedBars:
    """The symbol's own bars, of which one closes with each step of the timeline at which it has one."""
    return ClosedBars(bars, np.searchsorted(bars.open_ms, timeline_ms, side="right"), cursor)


def larger_bars(bars: Bars, timeframe: str, base_ms: int, timeline_ms: NDArray[np.int64], cursor: Cursor) -> ClosedBars:
    """UTC-aligned bars of a larger timeframe; each shows once its end is reached, an incomplete first one never."""
    check_larger(timeframe, base_ms)
    larger_ms = timeframe_to_ms(timeframe)
    starts_ms = floor_to_timeframe(bars.open_ms, timeframe)
    firsts = np.flatnonzero(np.append(True, starts_ms[1:] != starts_ms[:-1])) if len(bars) else np.empty(0, np.int64)
    if len(firsts) and bars.open_ms[0] != starts_ms[0]:
        first = int(firsts[1]) if len(firsts) > 1 else len(bars)
        firsts = firsts[1:]
    else:
        first = 0
    larger = _combine(bars, firsts, starts_ms, first)
    n_closed = np.searchsorted(larger.open_ms + larger_ms, timeline_ms + base_ms, side="right")
    return ClosedBars(larger, n_closed, cursor)


def check_larger(timeframe: str, base_ms: int) -> None:
    """Raise ValueError unless bars of the timeframe can be built from bars of base_ms."""
    larger_ms = timeframe_to_ms(timeframe)
    if larger_ms < base_ms or larger_ms % base_ms:
        fitting = [name for name, ms in TIMEFRAME_MS.items() if ms >= base_ms and ms % base_ms == 0]
        raise ValueError(f"timeframe={timeframe!r} cannot be built from this run's bars; use: {', '.join(fitting)}.")


def _combine(bars: Bars, firsts: NDArray[np.int64], starts_ms: NDArray[np.int64], first: int) -> Bars:
    if not len(firsts):
        nothing = np.empty(0)
        return Bars(np.empty(0, np.int64), nothing, nothing, nothing, nothing, nothing)
    lasts = np.append(firsts[1:], len(bars)) - 1
    at = firsts - first
    return Bars(
        open_ms=starts_ms[firsts],
        open=bars.open[firsts],
        high=np.maximum.reduceat(bars.high[first:], at),
        low=np.minimum.reduceat(bars.low[first:], at),
        close=bars.close[lasts],
        volume=np.add.reduceat(bars.volume[first:], at),
    )


def floor_to_timeframe(time_ms: NDArray[np.int64], timeframe: str) -> NDArray[np.int64]:
    """The start of the timeframe's bar that each moment lies in, UTC-aligned; weeks start on Monday."""
    length_ms = timeframe_to_ms(timeframe)
    offset_ms = FIRST_OPEN_MS.get(timeframe, 0)
    return (time_ms - offset_ms) // length_ms * length_ms + offset_ms


def time_index(time_ms: NDArray[np.int64]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(time_ms.view("datetime64[ms]"), tz="UTC", name="time", copy=False)
