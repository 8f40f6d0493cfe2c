"""Made-up candles for the check of a version, where no candles of its symbols are held: always the same ones."""

import numpy as np

from backtests.engine.request import Bars, Feed, FundingEvents, Instrument, MarginTier, RunRequest, SymbolFeed
from marketdata.synthetic import make_candles, make_funding

BAR_MINUTES = 15
_TIERS = (MarginTier(0.0, 50_000.0, 0.004, 125.0, 0.0), MarginTier(50_000.0, 1e12, 0.005, 100.0, 50.0))


def make_check_feed(request: RunRequest) -> Feed:
    """Bars of 15 minutes for every symbol of the request: each a copy of one series, seen from another day on."""
    return Feed(tuple(_make_symbol(symbol, i, request) for i, symbol in enumerate(request.symbols)))


def _make_symbol(symbol: str, i_symbol: int, request: RunRequest) -> SymbolFeed:
    candles, events = make_candles(), make_funding()
    n = len(candles.open_ms) // BAR_MINUTES
    columns = {
        name: np.roll(getattr(candles, name).reshape(n, BAR_MINUTES), -i_symbol * 96, axis=0)
        for name in ("open", "high", "low", "close", "volume")
    }
    times = candles.open_ms[::BAR_MINUTES]
    is_inside = (times >= request.from_ms - request.warmup_bars * request.timeframe_ms) & (times < request.to_ms)
    bars = Bars(
        times[is_inside],
        columns["open"][:, 0][is_inside],
        columns["high"].max(axis=1)[is_inside],
        columns["low"].min(axis=1)[is_inside],
        columns["close"][:, -1][is_inside],
        columns["volume"].sum(axis=1)[is_inside],
    )
    is_charged = (events.time_ms >= bars.open_ms[0]) & (events.time_ms < request.to_ms)
    funding = FundingEvents(*(getattr(events, name)[is_charged] for name in ("time_ms", "rate", "mark_price")))
    return SymbolFeed(Instrument(symbol, tick_size=0.1, step_size=1e-3, tiers=_TIERS), bars, funding=funding)
