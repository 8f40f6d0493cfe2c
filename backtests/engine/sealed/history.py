"""What a strategy looks back at in a sealed run: the same closed bars as in a draft, out of those that have come."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtests.engine.cursor import Cursor
from backtests.engine.request import timeframe_to_ms
from backtests.engine.sealed.bars import StepBars
from backtests.engine.strategy.history import FIELDS, check_larger, floor_to_timeframe, time_index

type Columns = dict[str, NDArray[Any]]


class RevealedBars:
    """The symbol's own bars."""

    def __init__(self, bars: StepBars) -> None:
        self._bars = bars

    def _so_far(self) -> tuple[Columns, int]:
        return dict(self._bars.columns), self._bars.n

    def array(self, n: int, field: str) -> NDArray[Any]:
        columns, end = self._so_far()
        if field not in columns:
            raise ValueError(f"history has no field {field!r}; it has: {', '.join((*FIELDS, 'time_ms'))}.")
        return columns[field][max(end - n, 0) : end].copy()

    def frame(self, n: int) -> pd.DataFrame:
        columns, end = self._so_far()
        rows = slice(max(end - n, 0), end)
        return pd.DataFrame({name: columns[name][rows] for name in FIELDS}, index=time_index(columns["time_ms"][rows]))


class RevealedLargerBars(RevealedBars):
    """UTC-aligned bars of a larger timeframe: combined, when asked for, out of the bars that have closed one."""

    def __init__(
        self, bars: StepBars, timeframe: str, base_ms: int, step_ms: NDArray[np.int64], cursor: Cursor
    ) -> None:
        super().__init__(bars)
        check_larger(timeframe, base_ms)
        self._timeframe, self._length_ms, self._base_ms = timeframe, timeframe_to_ms(timeframe), base_ms
        self._step_ms, self._cursor = step_ms, cursor
        self._larger: Columns = {name: np.empty(len(step_ms)) for name in FIELDS}
        self._larger["time_ms"] = np.empty(len(step_ms), np.int64)
        self._n = 0
        self._i_next = 0  # the first bar that lies in no larger bar yet
        self._is_begun = False

    def _so_far(self) -> tuple[Columns, int]:
        if self._cursor.i_bar >= 0:
            self._combine(int(self._step_ms[self._cursor.i_bar]) + self._base_ms)
        return self._larger, self._n

    def _combine(self, close_ms: int) -> None:
        """Those larger bars whose end is reached; an incomplete first one never."""
        bars = self._bars
        times = bars.columns["time_ms"]
        if self._i_next >= bars.n or self._start_of(int(times[self._i_next])) + self._length_ms > close_ms:
            return
        starts_ms = floor_to_timeframe(times[self._i_next : bars.n], self._timeframe)
        firsts = np.flatnonzero(np.append(True, starts_ms[1:] != starts_ms[:-1]))
        for first, end in zip(firsts, np.append(firsts[1:], len(starts_ms)), strict=True):
            start_ms = int(starts_ms[first])
            if start_ms + self._length_ms > close_ms:
                return
            if self._is_begun or int(times[self._i_next]) == start_ms:
                self._append(start_ms, self._i_next, self._i_next + int(end - first))
            self._is_begun = True
            self._i_next += int(end - first)

    def _start_of(self, time_ms: int) -> int:
        return int(floor_to_timeframe(np.int64(time_ms), self._timeframe))  # type: ignore[arg-type]

    def _append(self, start_ms: int, first: int, end: int) -> None:
        """As strategy.history does it for all at once: reduceat adds volumes in the same order."""
        columns, larger, n = self._bars.columns, self._larger, self._n
        larger["time_ms"][n] = start_ms
        larger["open"][n] = columns["open"][first]
        larger["high"][n] = np.maximum.reduceat(columns["high"][first:end], [0])[0]
        larger["low"][n] = np.minimum.reduceat(columns["low"][first:end], [0])[0]
        larger["close"][n] = columns["close"][end - 1]
        larger["volume"][n] = np.add.reduceat(columns["volume"][first:end], [0])[0]
        self._n += 1
