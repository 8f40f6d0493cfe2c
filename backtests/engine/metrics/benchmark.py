"""Buy and hold: what doing nothing would have earned over the same bars."""

from collections.abc import Sequence

import numpy as np

from backtests.engine.metrics.rows import EquityCurve, FloatArray, IntArray
from backtests.engine.request import Bars, RunRequest, merge_times


def buy_and_hold(request: RunRequest, all_bars: Sequence[Bars]) -> EquityCurve:
    """Buy every symbol in equal parts at the first open of the span, pay one taker fee, hold without leverage.

    `all_bars` holds one Bars per symbol, warm-up allowed. No funding is charged. The curve has a point at each close
    of the union of the symbols' bars within the span.
    """
    spans = [_span_of(bars, request.from_ms, request.to_ms) for bars in all_bars]
    spans = [(opens, first_open, closes) for opens, first_open, closes in spans if len(opens)]
    if not spans:
        return EquityCurve(request.initial_balance, request.from_ms, request.to_ms, np.empty(0, np.int64), np.empty(0))
    timeline: IntArray = merge_times([opens for opens, _, _ in spans])
    share = request.initial_balance / len(spans)
    equity = np.zeros(len(timeline))
    for opens, first_open, closes in spans:
        qty = share / (first_open * (1.0 + request.taker_fee))
        held = np.searchsorted(opens, timeline, side="right")  # 0: this symbol has not traded yet, its share is cash
        equity += np.where(held > 0, qty * closes[np.maximum(held - 1, 0)], share)
    return EquityCurve(request.initial_balance, request.from_ms, request.to_ms, timeline + request.timeframe_ms, equity)


def _span_of(bars: Bars, from_ms: int, to_ms: int) -> tuple[IntArray, float, FloatArray]:
    first, end = np.searchsorted(bars.open_ms, [from_ms, to_ms])
    first_open = float(bars.open[first]) if first < end else 0.0
    return bars.open_ms[first:end], first_open, bars.close[first:end]
