"""Bars made by integer arithmetic from PCG64's raw words: the same on every machine, numpy and processor."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.engine.request import Bars, Feed, FundingEvents, Instrument, MarginTier, RunRequest, SymbolFeed

EIGHT_HOURS_MS = 8 * 3_600_000


def make_feed(request: RunRequest, recipe: Mapping[str, Any]) -> Feed:
    """`recipe`: seed, start_price, tick_size, max_step_ticks, instrument, and optionally funding_rate."""
    tick = float(recipe["tick_size"])
    tiers = tuple(MarginTier(*row) for row in recipe.get("tiers", ()))
    symbols = []
    for i, symbol in enumerate(request.symbols):
        bars = make_bars(request, recipe, seed=int(recipe["seed"]) + i, tick=tick)
        instrument = Instrument(symbol=symbol, tick_size=tick, tiers=tiers, **recipe.get("instrument", {}))
        symbols.append(SymbolFeed(instrument, bars, funding=make_funding(request, recipe.get("funding_rate", 0.0))))
    return Feed(tuple(symbols))


def make_bars(request: RunRequest, recipe: Mapping[str, Any], *, seed: int, tick: float) -> Bars:
    n = request.warmup_bars + request.n_bars
    words = np.random.PCG64(seed).random_raw(5 * n).reshape(5, n)
    reach = int(recipe["max_step_ticks"])
    steps = between(words[0], -reach, reach)
    close = round(float(recipe["start_price"]) / tick) + np.cumsum(steps)
    close = np.maximum(close, 10 * reach)
    opened = np.concatenate([close[:1], close[:-1]]) + between(words[1], -reach // 10, reach // 10)
    high = np.maximum(opened, close) + between(words[2], 0, reach // 2)
    low = np.minimum(opened, close) - between(words[3], 0, reach // 2)
    volume = between(words[4], 0, 100_000)
    volume[volume < 500] = 0  # some bars without a trade
    first_ms = request.from_ms - request.warmup_bars * request.timeframe_ms
    open_ms = first_ms + np.arange(n, dtype=np.int64) * request.timeframe_ms
    return Bars(open_ms, opened * tick, high * tick, low * tick, close * tick, volume / 1_000)


def between(words: NDArray[np.uint64], lowest: int, highest: int) -> NDArray[np.int64]:
    return (words % np.uint64(highest - lowest + 1)).astype(np.int64) + lowest


def make_funding(request: RunRequest, rate: float) -> FundingEvents:
    if not rate:
        return FundingEvents.none()
    first = -(-request.from_ms // EIGHT_HOURS_MS) * EIGHT_HOURS_MS
    time_ms = np.arange(first, request.to_ms, EIGHT_HOURS_MS, dtype=np.int64)
    return FundingEvents(time_ms, np.full(len(time_ms), rate), np.full(len(time_ms), np.nan))
