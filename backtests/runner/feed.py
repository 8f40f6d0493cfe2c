"""From pinned candle files to what the engine steps over: bars, finer ones, marks and funding as read-only arrays."""

from collections.abc import Mapping, Sequence
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
from marketdata.reading import CandleFiles, read_timeframe
from marketdata.rules import InstrumentRules
from marketdata.run_data import RunData, SymbolData
from marketdata.store import CandleSource, StoreError
from marketdata.timeframes import TIMEFRAME_MS, is_filled

PATH_COLUMNS = ("open_ms", "open", "high", "low", "close", "volume")
BAR_COLUMNS = (*PATH_COLUMNS, "n_trades")
ROUND_MS = 1_000  # funding stamps jitter by some ms


def build_feed(run_data: RunData, request: RunRequest, store: CandleSource) -> Feed:
    """The engine's feed of a run: per symbol the warm-up bars and those of the span, in time order.

    Bars and finer bars that the run's data builds from shorter candles are built here, whole ones only. Candles off
    their grid are no bars and in none. Finer bars are there if the request asks for them, for the span only.
    Mark bars no longer than the finest bars are there, for those finest bars that they fill.
    Raises DataError for missing or damaged files, for a symbol without bars in the span, or without finer bars.
    """
    held = {symbol.rules.symbol: symbol for symbol in run_data.symbols}
    missing = [symbol for symbol in request.symbols if symbol not in held]
    if missing:
        raise DataError(f"The run's data holds no candles of {', '.join(missing)}.")
    try:
        return Feed(tuple(_build_symbol(held[symbol], request, store) for symbol in request.symbols))
    except StoreError as error:
        raise DataError(str(error)) from error


def _build_symbol(data: SymbolData, request: RunRequest, store: CandleSource) -> SymbolFeed:
    symbol = data.rules.symbol
    warmup_from_ms = request.from_ms - request.warmup_bars * request.timeframe_ms
    bars = _read_bars(store, BAR_COLUMNS, data.bar_files, (warmup_from_ms, request.to_ms))
    if bars is None or bars.open_ms[-1] < request.from_ms:
        raise DataError(f"There is no {request.timeframe} candle of {symbol} in the span.")
    span_ms = (request.from_ms, request.to_ms)
    fine = None
    if request.intrabar_timeframe:
        if data.fine_timeframe == request.intrabar_timeframe:
            fine = _read_bars(store, PATH_COLUMNS, data.fine_files, span_ms)
        if fine is None:
            raise DataError(f"There is no finer candle of {symbol} at {request.intrabar_timeframe} in the span.")
    marks = _read_bars(store, PATH_COLUMNS, data.mark_files, span_ms) if data.mark else None
    finest, length_ms = bars.open_ms, request.timeframe_ms
    if fine is not None and request.intrabar_timeframe:
        finest, length_ms = fine.open_ms, TIMEFRAME_MS[request.intrabar_timeframe]
    return SymbolFeed(
        instrument=_to_instrument(data.rules),
        bars=bars,
        mark_bars=None if marks is None else _fit_marks(marks, TIMEFRAME_MS[data.mark_timeframe], finest, length_ms),
        fine_bars=fine,
        funding=_read_funding(data, int(bars.open_ms[0]), request.to_ms, marks, store),
    )


def _read_bars(store: CandleSource, names: Sequence[str], files: CandleFiles, span_ms: tuple[int, int]) -> Bars | None:
    """Read-only bars of the half-open span; None where there are none."""
    columns = read_timeframe(store, files, names, *span_ms).columns
    return _take(columns, None) if len(columns["open_ms"]) else None


def _take(columns: Mapping[str, NDArray[Any]], chosen: NDArray[np.bool_] | None) -> Bars:
    """Without a copy where all are chosen: a year of minutes has 25 MB."""
    if chosen is not None and not bool(np.all(chosen)):
        columns = {name: column[chosen] for name, column in columns.items()}
    for column in columns.values():
        column.flags.writeable = False
    return Bars(**columns)


def _fit_marks(marks: Bars, mark_length_ms: int, finest: NDArray[np.int64], length_ms: int) -> Bars | None:
    """The mark bars of those finest bars that they fill: half of a bar's marks would hide an extreme of it."""
    if mark_length_ms > length_ms:
        return None
    filled = finest[is_filled(finest, length_ms, marks.open_ms, mark_length_ms)]
    if not len(filled):
        return None
    at = np.searchsorted(filled, marks.open_ms, side="right") - 1
    is_inside = (at >= 0) & (marks.open_ms < filled[np.maximum(at, 0)] + length_ms)
    return _take({name: getattr(marks, name) for name in PATH_COLUMNS}, is_inside)


def _read_funding(
    data: SymbolData, first_open_ms: int, to_ms: int, marks: Bars | None, store: CandleSource
) -> FundingEvents:
    """Events stamped in [first_open_ms, to_ms); the mark price is the event's own, else the open of the mark candle
    that opens at the stamp, else NaN."""
    events = store.read_funding(data.funding, first_open_ms - ROUND_MS, to_ms + ROUND_MS)
    stamps = (events.time_ms + ROUND_MS // 2) // ROUND_MS * ROUND_MS
    inside = (stamps >= first_open_ms) & (stamps < to_ms)
    stamps, rate, mark_price = stamps[inside], events.rate[inside], events.mark_price[inside]
    if marks is not None:
        mark_price = np.where(np.isnan(mark_price), _opens_at(marks, stamps), mark_price)
    return FundingEvents(stamps, rate, mark_price)


def _opens_at(marks: Bars, stamps: NDArray[np.int64]) -> NDArray[np.float64]:
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
