"""From pinned candle files to what the engine steps over: bars, mark bars and funding events as read-only arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.engine.errors import DataError
from backtests.engine.request import (
    Bars,
    Feed,
    FundingEvents,
    Instrument,
    MarginTier,
    RunRequest,
    SymbolFeed,
)
from marketdata.rules import InstrumentRules
from marketdata.run_data import RunData, SymbolData
from marketdata.store import CandleArrays, CandleStore, StoreError
from marketdata.timeframes import grid_phase_ms, is_on_grid

BAR_COLUMNS = ("open_ms", "open", "high", "low", "close", "volume", "n_trades")
ROUND_MS = 1_000  # funding stamps jitter by some ms


def build_feed(run_data: RunData, request: RunRequest, store: CandleStore) -> Feed:
    """The engine's feed of a run: per symbol the warm-up bars and those of the span, in time order.

    Candles off the timeframe's grid are no bars. Mark bars are there only if every bar has one of the same open time.
    Raises DataError for missing or damaged files, and for a symbol without bars in the span.
    """
    held = {symbol.rules.symbol: symbol for symbol in run_data.symbols}
    missing = [symbol for symbol in request.symbols if symbol not in held]
    if missing:
        raise DataError(f"The run's data holds no candles of {', '.join(missing)}.")
    try:
        return Feed(tuple(_build_symbol(held[symbol], request, store) for symbol in request.symbols))
    except StoreError as error:
        raise DataError(str(error)) from error


def _build_symbol(data: SymbolData, request: RunRequest, store: CandleStore) -> SymbolFeed:
    warmup_from_ms = request.from_ms - request.warmup_bars * request.timeframe_ms
    bars = _to_bars(store.read_columns(BAR_COLUMNS, data.candles, warmup_from_ms, request.to_ms), request.timeframe)
    if not len(bars) or bars.open_ms[-1] < request.from_ms:
        raise DataError(f"There is no {request.timeframe} candle of {data.rules.symbol} in the span.")
    marks = store.read_candles(data.mark, warmup_from_ms, request.to_ms)
    return SymbolFeed(
        instrument=_to_instrument(data.rules),
        bars=bars,
        mark_bars=_align_marks(marks, bars) if data.mark_timeframe == request.timeframe else None,
        funding=_read_funding(data, int(bars.open_ms[0]), request.to_ms, marks, store),
    )


def _to_bars(columns: dict[str, NDArray[Any]], timeframe: str) -> Bars:
    open_ms = columns["open_ms"]
    on_grid = is_on_grid(timeframe, open_ms, grid_phase_ms(timeframe, open_ms))
    if not bool(np.all(on_grid)):
        columns = {name: column[on_grid] for name, column in columns.items()}
    for column in columns.values():
        column.flags.writeable = False
    return Bars(**columns)


def _align_marks(marks: CandleArrays, bars: Bars) -> Bars | None:
    """The mark candle of every bar, or nothing: half a series would test liquidation on two kinds of price."""
    at = np.searchsorted(marks.open_ms, bars.open_ms)
    if len(marks) < len(bars) or int(at[-1]) >= len(marks) or not np.array_equal(marks.open_ms[at], bars.open_ms):
        return None
    rows = marks.take(at)
    return Bars(rows.open_ms, rows.open, rows.high, rows.low, rows.close, rows.volume)


def _read_funding(
    data: SymbolData, first_open_ms: int, to_ms: int, marks: CandleArrays, store: CandleStore
) -> FundingEvents:
    """Events stamped in [first_open_ms, to_ms); the mark price is the event's own, else the open of the mark candle
    that opens at the stamp, else NaN."""
    events = store.read_funding(data.funding, first_open_ms - ROUND_MS, to_ms + ROUND_MS)
    stamps = (events.time_ms + ROUND_MS // 2) // ROUND_MS * ROUND_MS
    inside = (stamps >= first_open_ms) & (stamps < to_ms)
    stamps, rate, mark_price = stamps[inside], events.rate[inside], events.mark_price[inside]
    if len(marks):
        mark_price = np.where(np.isnan(mark_price), _opens_at(marks, stamps), mark_price)
    return FundingEvents(stamps, rate, mark_price)


def _opens_at(marks: CandleArrays, stamps: NDArray[np.int64]) -> NDArray[np.float64]:
    at = np.minimum(np.searchsorted(marks.open_ms, stamps), len(marks) - 1)
    return np.where(marks.open_ms[at] == stamps, marks.open[at], np.nan)


def _to_instrument(rules: InstrumentRules) -> Instrument:
    tiers = tuple(
        MarginTier(tier.floor, tier.cap, tier.maintenance_rate, tier.max_leverage, tier.cumulative)
        for tier in rules.tiers
    )
    return Instrument(
        symbol=rules.symbol,
        tick_size=rules.tick_size,
        step_size=rules.step_size,
        min_qty=rules.min_qty,
        min_notional=rules.min_notional,
        liquidation_fee_rate=rules.liquidation_fee_rate,
        tiers=tiers,
        rules_as_of=rules.rules_as_of,
        tiers_as_of=rules.tiers_as_of,
    )
