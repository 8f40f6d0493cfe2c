"""Candles: the whole of a run's bars as columns, for strategies that answer with an array."""

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtests.engine.indicators import FloatArray, compute_lines, guess_pane
from backtests.engine.kernels.crossings import mark_crossings
from backtests.engine.portfolio.follower import find_changes, list_marked, make_marks
from backtests.engine.portfolio.market import bar_columns
from backtests.engine.request import Feed
from backtests.engine.strategy.bar import COLUMNS
from backtests.engine.strategy.history import time_index

MAX_KEPT_BYTES = 128 * 2**20  # of indicator columns; the oldest go first

type Draw = Callable[[str, str, FloatArray], None]


class Lines(tuple[FloatArray, ...]):
    """Several lines of one function: unpack them, or ask by column name: bands["BBL_20_2.0"]."""

    names: tuple[str, ...]

    def __new__(cls, lines: list[tuple[str, FloatArray]]) -> "Lines":
        made = super().__new__(cls, [values for _, values in lines])
        made.names = tuple(name for name, _ in lines)
        return made

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, str):
            return super().__getitem__(index)
        if index not in self.names:
            raise KeyError(f"There is no line {index!r}; there are: {', '.join(self.names)}.")
        return super().__getitem__(self.names.index(index))


class Candles:
    """One symbol's bars over warm-up and span, one value per bar of the run's timeline, read-only.

    open, high, low, close, volume: float64; time_ms: int64, the open times. candles["close"] is the column as a pandas
    Series in UTC. Where the symbol has no bar, prices stand at its last close (NaN before its first) and volume is 0.
    """

    _crossed: tuple[FloatArray, NDArray[np.int64]] | None = None  # the last crossings, and where they change

    def __init__(
        self, feed: Feed, time_ms: NDArray[np.int64], first_bar: int, *, i_symbol: int = 0, draw: Draw | None = None
    ) -> None:
        self._feed = feed
        self._bars = feed.symbols[i_symbol].bars
        self._draw = draw
        self._kept: dict[Hashable, tuple[Any, Any]] = {}
        self._n_kept_bytes = 0
        self._series: dict[str, pd.Series] = {}
        self.symbol = feed.symbols[i_symbol].instrument.symbol
        self.first_bar = first_bar  # the index of the first bar of the span: before it is the warm-up
        columns, self._fresh = bar_columns(self._bars, time_ms)
        self.time_ms = _read_only(time_ms)
        self.open = _read_only(columns["open"])
        self.high = _read_only(columns["high"])
        self.low = _read_only(columns["low"])
        self.close = _read_only(columns["close"])
        self.volume = _read_only(columns["volume"])

    def __len__(self) -> int:
        return len(self.time_ms)

    def __getitem__(self, name: str) -> pd.Series:
        """A column as a pandas Series, for pandas_ta and pandas."""
        if name not in (*COLUMNS, "time_ms"):
            raise KeyError(f"Candles have no {name!r}; they have {', '.join(COLUMNS)}, time_ms.")
        if name not in self._series:
            self._series[name] = pd.Series(getattr(self, name), index=self._index, name=name, copy=False)
        return self._series[name]

    def to_frame(self) -> pd.DataFrame:
        """open, high, low, close, volume as a DataFrame, indexed by open time in UTC."""
        return pd.DataFrame({name: getattr(self, name) for name in COLUMNS}, index=self._index)

    @cached_property
    def _index(self) -> pd.DatetimeIndex:
        return time_index(self.time_ms)

    def of(self, symbol: str) -> "Candles":
        """Another symbol of the run, on the same timeline."""
        names = [other.instrument.symbol for other in self._feed.symbols]
        if symbol not in names:
            raise KeyError(f"{symbol!r} is not in this run; its symbols are: {', '.join(names)}.")
        i_symbol = names.index(symbol)
        return Candles(self._feed, self.time_ms, self.first_bar, i_symbol=i_symbol, draw=self._draw)

    def indicator(
        self,
        fn: Callable[..., Any],
        *columns: Any,
        plot: bool = True,
        name: str | None = None,
        pane: str | None = None,
        **kwargs: Any,
    ) -> FloatArray | Lines:
        """candles.indicator(ta.sma, "close", length=20): one float64 value per bar, NaN before the first; read-only.

        Columns are names or arrays of one value per bar. Several arrays where fn gives several lines. The same call
        computes once, and a sweep shares it between its sets. Drawn on the result chart unless plot=False.
        """
        if not callable(fn):
            raise TypeError(f"indicator takes a function first, such as ta.sma, not {fn!r:.60}.")
        key = _key_of(fn, columns, kwargs)
        if key is None or key not in self._kept:
            lines = self._compute(fn, columns, kwargs)
            if key is not None:
                self._keep(key, lines, columns)
            if plot and self._draw is not None:
                self._show(fn, lines, name, pane)
        else:
            lines = self._kept[key][0]
        return lines[0][1] if len(lines) == 1 else Lines(lines)

    def crossings(self, line: Any, other: Any) -> FloatArray:
        """1 at each bar at which line comes to be above other, -1 at which below, NaN elsewhere: values for Targets;
        read-only.

        Arrays of one value for each bar, or numbers. Coming from equality counts, as with crossed_above. Raises
        ValueError for arrays of another length.
        """
        self._crossed = None  # its memory may serve again
        signs, marks = np.empty(len(self)), make_marks(len(self))
        mark_crossings(self._whole(line), self._whole(other), signs, marks)
        signs.flags.writeable = False
        self._crossed = signs, list_marked(marks)
        return signs

    def find_changes(self, values: FloatArray) -> NDArray[np.int64]:
        """Where these targets change (portfolio.follower.find_changes). After a crossing comes the opposite one, or
        none, so that what the last `crossings` found has its changes where it has numbers.
        """
        if self._crossed is not None and values is self._crossed[0] and not values.flags.writeable:
            return self._crossed[1]
        return find_changes(values, self.first_bar)

    def _whole(self, values: Any) -> FloatArray:
        """One value for each bar, in an array of the type that kernels are compiled for. Raises ValueError."""
        array = np.asarray(values, np.float64)
        if array.shape == self.time_ms.shape and array.flags.c_contiguous and not array.flags.writeable:
            return array
        if array.ndim == 0:
            array = np.full(len(self), array)
        if array.shape != self.time_ms.shape:
            raise ValueError(f"crossings takes one value for each of the {len(self):,} bars, not {array.shape}.")
        return _read_only(np.ascontiguousarray(array))

    def _compute(
        self, fn: Callable[..., Any], columns: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[tuple[str, FloatArray]]:
        """Over the symbol's own bars, then laid on the timeline: between its bars the last value stands."""
        lines = compute_lines(fn, [self._find_input(column) for column in columns], kwargs, len(self._bars_ms()))
        return [(line, _read_only(self._align(values))) for line, values in lines]

    def _find_input(self, column: Any) -> Any:
        if isinstance(column, str):
            values = self[column]
        elif isinstance(column, np.ndarray) and column.shape == self.time_ms.shape:
            values = pd.Series(column, index=self._index)
        else:
            return column
        return values if self._fresh is None else values[self._fresh]

    def _bars_ms(self) -> NDArray[np.int64]:
        return self.time_ms if self._fresh is None else self.time_ms[self._fresh]

    def _align(self, values: FloatArray) -> FloatArray:
        if self._fresh is None:
            return values
        at = np.cumsum(self._fresh) - 1
        return np.where(at >= 0, values[at], np.nan)

    def _keep(self, key: Hashable, lines: list[tuple[str, FloatArray]], columns: tuple[Any, ...]) -> None:
        self._kept[key] = (lines, columns)  # keeps array columns alive, so their ids stay their own
        self._n_kept_bytes += len(lines) * self.time_ms.nbytes
        while self._n_kept_bytes > MAX_KEPT_BYTES and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._n_kept_bytes -= len(self._kept.pop(oldest)[0]) * self.time_ms.nbytes

    def _show(
        self, fn: Callable[..., Any], lines: list[tuple[str, FloatArray]], name: str | None, pane: str | None
    ) -> None:
        stem = name or str(getattr(fn, "__name__", type(fn).__name__))
        for line, values in lines:
            shown = line if name is None else name if len(lines) == 1 else f"{name} {line}"
            if self._draw is not None:
                self._draw(shown, pane or guess_pane(stem, values, self.low, self.high), values)


def _read_only[T: np.generic](values: NDArray[T]) -> NDArray[T]:
    view = values.view()
    view.flags.writeable = False
    return view


def _key_of(fn: Callable[..., Any], columns: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable | None:
    """None for a call that cannot be recognised again."""
    parts = [column if isinstance(column, str) else (type(column).__name__, id(column)) for column in columns]
    key = (fn, *parts, *sorted(kwargs.items()))
    try:
        hash(key)
    except TypeError:
        return None
    return key
