"""Level of detail: as many candles, points and marks as a screen can show, and none that would change the picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tsdownsample import MinMaxLTTBDownsampler

from backtests.engine.request import Bars

type FloatArray = NDArray[np.float64]
type IntArray = NDArray[np.int64]

MAX_CANDLES = 1_200
MAX_POINTS = 2_000
MAX_TRADES_MARKED = 120
PX_PER_CANDLE = 3
PX_PER_TRADE = 10

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_NICE_MS = (
    *(n * _MINUTE for n in (1, 2, 3, 5, 10, 15, 20, 30)),
    *(n * _HOUR for n in (1, 2, 3, 4, 6, 8, 12)),
    *(n * _DAY for n in (1, 2, 3, 7, 14, 28)),
)


@dataclass(frozen=True, slots=True)
class ChartView:
    """What is asked for: a half-open span in UTC ms and the width of the plot in CSS pixels."""

    from_ms: int
    to_ms: int
    px: int = 1_200

    @property
    def max_candles(self) -> int:
        return max(60, min(MAX_CANDLES, self.px // PX_PER_CANDLE))

    @property
    def max_trades_marked(self) -> int:
        return min(MAX_TRADES_MARKED, self.px // PX_PER_TRADE)


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Bars merged into buckets of `bucket_ms`; open_ms is the start of each bucket's first bar."""

    open_ms: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    bucket_ms: int

    def __len__(self) -> int:
        return len(self.open_ms)


def merge_bars(bars: Bars, timeframe_ms: int, max_candles: int) -> Candles:
    """At most `max_candles` candles over the same bars: first open, highest high, lowest low, last close.

    Buckets lie on the UTC grid of a round length, so that panning does not make candles flicker.
    """
    bucket_ms = _bucket_ms(bars.open_ms, timeframe_ms, max_candles)
    if not len(bars):
        none = np.empty(0)
        return Candles(bars.open_ms, none, none, none, none, none, bucket_ms)
    bucket = bars.open_ms // bucket_ms
    starts = np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1])))
    ends = np.append(starts[1:], len(bucket)) - 1
    return Candles(
        bars.open_ms[starts],
        bars.open[starts],
        np.maximum.reduceat(bars.high, starts),
        np.minimum.reduceat(bars.low, starts),
        bars.close[ends],
        np.add.reduceat(bars.volume, starts),
        bucket_ms,
    )


def _bucket_ms(open_ms: IntArray, timeframe_ms: int, max_candles: int) -> int:
    if len(open_ms) <= max_candles:
        return timeframe_ms
    for nice_ms in _NICE_MS:
        bars_a_bucket = nice_ms // timeframe_ms
        if nice_ms % timeframe_ms or bars_a_bucket * max_candles < len(open_ms):
            continue  # too fine even without gaps
        bucket = open_ms // nice_ms
        if 1 + np.count_nonzero(bucket[1:] != bucket[:-1]) <= max_candles:
            return nice_ms
    span_ms = int(open_ms[-1] - open_ms[0]) + timeframe_ms
    return -(-span_ms // (max_candles - 1) // timeframe_ms) * timeframe_ms


def thin_points(x: IntArray, y: FloatArray, keep: Sequence[int] = (), max_points: int = MAX_POINTS) -> IntArray:
    """Indexes of at most `max_points` points that draw like all of them (MinMaxLTTB).

    The first, the last and those named in `keep` are always among them.
    """
    if len(x) <= max_points:
        return np.arange(len(x))
    forced = np.array([0, len(x) - 1, *keep], dtype=np.int64)
    n_out = max_points - len(forced)
    chosen = MinMaxLTTBDownsampler().downsample(x, np.ascontiguousarray(y), n_out=n_out)
    return np.unique(np.concatenate((chosen.astype(np.int64), forced)))


def format_duration(ms: int) -> str:
    """ "90 min", "4 h", "2 d": the largest unit that divides the length."""
    for unit_ms, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if ms % unit_ms == 0:
            return f"{ms // unit_ms} {unit}"
    return f"{ms / 1000:g} s"


def say_detail(candles: Candles, n_bars: int, timeframe: str) -> str:
    if len(candles) == n_bars:
        return f"{n_bars:,} bars of {timeframe}, each one drawn"
    return f"{n_bars:,} bars of {timeframe}, drawn as {len(candles):,} candles of {format_duration(candles.bucket_ms)}"
