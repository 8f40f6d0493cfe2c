"""Candles of one timeframe out of pinned files of the same or a shorter one: what runs, charts and the API read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketdata.aggregation import BuiltCandles, build_candles, hold_candles
from marketdata.arrays import IntArray
from marketdata.store import CandleSource, SegmentRef
from marketdata.timeframes import DAY_MS, TIMEFRAME_MS, grid_phase_ms, is_on_grid, last_close_ms, next_open_ms

type Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class CandleFiles:
    """Segments of one series, in time order, and the timeframe that is wanted of them.

    What lies between the first row of the first segment and the end of the last row is taken as held.
    """

    refs: tuple[SegmentRef, ...]
    source_timeframe: str
    timeframe: str

    @property
    def is_built(self) -> bool:
        return self.source_timeframe != self.timeframe

    @property
    def n_per_candle(self) -> int:
        """Rows of a candle that lacks none."""
        return TIMEFRAME_MS[self.timeframe] // TIMEFRAME_MS[self.source_timeframe]

    def clip(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """The half-open span of the candles that open in [from_ms, to_ms) and, if they are built, lie wholly in what
        is held: a part of a candle at either end of it is none."""
        if not self.is_built or not self.refs:
            return from_ms, to_ms
        held_to_ms = self.refs[-1].last_ms + TIMEFRAME_MS[self.source_timeframe]
        end_ms = last_close_ms(self.timeframe, held_to_ms)
        first_ms = next_open_ms(self.timeframe, max(from_ms, self.refs[0].first_ms))
        return first_ms, max(first_ms, min(next_open_ms(self.timeframe, to_ms), end_ms))

    def count_cut(self, from_ms: int, to_ms: int) -> int:
        """How many candles that open in [from_ms, to_ms) clip leaves out."""
        if not self.is_built:
            return 0
        first_ms, end_ms = self.clip(from_ms, to_ms)
        asked_ms = next_open_ms(self.timeframe, to_ms) - next_open_ms(self.timeframe, from_ms)
        return (asked_ms - (end_ms - first_ms)) // TIMEFRAME_MS[self.timeframe]


def read_timeframe(
    store: CandleSource,
    files: CandleFiles,
    names: Sequence[str],
    from_ms: int,
    to_ms: int,
    off_grid: list[IntArray] | None = None,
) -> BuiltCandles:
    """Columns (open_ms first) of the candles that open in [from_ms, to_ms), in time order; off-grid rows are left out.

    Built candles lie wholly in what the files hold; one that lacks rows inside has fewer than files.n_per_candle.
    No more than a file at a time is in memory beside the result. `off_grid`, if given, takes the open times of the rows
    left out. Raises StoreError.
    """
    from_ms, to_ms = files.clip(from_ms, to_ms)
    left_out: list[IntArray] = [] if off_grid is None else off_grid
    if not files.is_built:
        return hold_candles(_on_grid(store.read_columns(names, files.refs, from_ms, to_ms), files.timeframe, left_out))
    parts: list[BuiltCandles] = []
    rest: Columns = {}
    for ref in files.refs:
        rows = _on_grid(store.read_columns(names, (ref,), from_ms, to_ms), files.source_timeframe, left_out)
        if rest:
            rows = {name: np.concatenate((rest[name], rows[name])) for name in names}
        if ref is not files.refs[-1]:
            rows, rest = _split_last(rows, files.timeframe)
        parts.append(build_candles(rows, files.timeframe))
    return _join(names, parts)


def _on_grid(columns: Columns, timeframe: str, left_out: list[IntArray]) -> Columns:
    """Without a copy where every row is: a year of minutes has 25 MB."""
    open_ms = columns["open_ms"]
    fits = is_on_grid(timeframe, open_ms, grid_phase_ms(timeframe, open_ms))
    if bool(np.all(fits)):
        return columns
    left_out.append(open_ms[~fits])
    return {name: column[fits] for name, column in columns.items()}


def _split_last(rows: Columns, timeframe: str) -> tuple[Columns, Columns]:
    """Rows of whole candles, and those of the last candle if it may go on in the next file: files end with a month."""
    if not len(rows["open_ms"]) or not DAY_MS % TIMEFRAME_MS[timeframe]:
        return rows, {}
    after_ms = int(rows["open_ms"][-1]) + 1
    at = int(np.searchsorted(rows["open_ms"], next_open_ms(timeframe, after_ms) - TIMEFRAME_MS[timeframe]))
    return {name: column[:at] for name, column in rows.items()}, {name: column[at:] for name, column in rows.items()}


def _join(names: Sequence[str], parts: list[BuiltCandles]) -> BuiltCandles:
    if not parts:
        return hold_candles({name: np.empty(0) for name in names})
    if len(parts) == 1:
        return parts[0]
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in names}
    n_rows, n_idle = (np.concatenate(counts) for counts in zip(*((p.n_rows, p.n_idle) for p in parts), strict=True))
    return BuiltCandles(columns, n_rows, n_idle)
