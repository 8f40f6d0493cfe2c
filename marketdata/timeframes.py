"""Candle lengths by name, and the grid of UTC times on which the exchange opens them."""

import numpy as np
from numpy.typing import NDArray

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS

TIMEFRAME_MS: dict[str, int] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": WEEK_MS,
}

FIRST_MONDAY_MS = 4 * DAY_MS  # 1970-01-05: weeks open on Monday
FIRST_THREE_DAYS_MS = DAY_MS  # the exchange counts its 3 days from 1970-01-02 (and so from its first, 2017-08-17)


def opening_phase_ms(timeframe: str) -> int:
    """What every open time of the exchange's candles leaves when divided by their length."""
    return {"1w": FIRST_MONDAY_MS, "3d": FIRST_THREE_DAYS_MS}.get(timeframe, 0)


def next_open_ms(timeframe: str, time_ms: int) -> int:
    """The first open time at or after a moment."""
    length_ms, phase_ms = TIMEFRAME_MS[timeframe], opening_phase_ms(timeframe)
    return -(-(time_ms - phase_ms) // length_ms) * length_ms + phase_ms


def last_close_ms(timeframe: str, time_ms: int) -> int:
    """The last moment, at or before another, at which a candle closes."""
    return next_open_ms(timeframe, time_ms + 1) - TIMEFRAME_MS[timeframe]


def builds(source: str, timeframe: str) -> bool:
    """Whether candles of `source` fill those of `timeframe` evenly (or are of the same length)."""
    return not TIMEFRAME_MS[timeframe] % TIMEFRAME_MS[source]


def sources_of(timeframe: str) -> list[str]:
    """The timeframe itself and those that it can be built from, the finest first."""
    return [source for source in TIMEFRAME_MS if builds(source, timeframe)]


def grid_phase_ms(timeframe: str, open_ms: NDArray[np.int64]) -> int:
    """The remainder of every on-grid open time of held rows: of 3 days, which other sources cut otherwise, the day that
    most of them open on."""
    length_ms = TIMEFRAME_MS[timeframe]
    if timeframe == "3d" and len(open_ms):
        days, counts = np.unique(open_ms % length_ms // DAY_MS, return_counts=True)
        return int(days[np.argmax(counts)]) * DAY_MS
    return opening_phase_ms(timeframe)


def is_on_grid(timeframe: str, open_ms: NDArray[np.int64], phase_ms: int = 0) -> NDArray[np.bool_]:
    return np.asarray(open_ms % TIMEFRAME_MS[timeframe] == phase_ms % TIMEFRAME_MS[timeframe])


def find_gaps(
    timeframe: str, open_ms: NDArray[np.int64], from_ms: int, to_ms: int, phase_ms: int = 0
) -> tuple[tuple[int, int], ...]:
    """Half-open stretches of [from_ms, to_ms) whose grid times have no candle.

    open_ms: on-grid open times within the span, ascending. Each stretch runs from the first missing open time to the
    next open time that is there (or to the first grid time at or after to_ms).
    """
    length_ms = TIMEFRAME_MS[timeframe]
    first_cell = -(-(from_ms - phase_ms) // length_ms)
    end_cell = -(-(to_ms - phase_ms) // length_ms)
    cells = np.concatenate(([first_cell - 1], (open_ms - phase_ms) // length_ms, [end_cell]))
    before = np.flatnonzero(np.diff(cells) > 1)
    return tuple((int(cells[i] + 1) * length_ms + phase_ms, int(cells[i + 1]) * length_ms + phase_ms) for i in before)


def is_filled(
    open_ms: NDArray[np.int64], length_ms: int, finer_open_ms: NDArray[np.int64], finer_length_ms: int
) -> NDArray[np.bool_]:
    """Per bar whether all of its finer candles are there. Both open times ascend and lie on their grids."""
    first = np.searchsorted(finer_open_ms, open_ms)
    end = np.searchsorted(finer_open_ms, open_ms + length_ms)
    return np.asarray(end - first == length_ms // finer_length_ms)
