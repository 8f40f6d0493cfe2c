"""Made-up candles for machines without a network: the same bytes on every machine, and always labelled synthetic.

Only sums, products and comparisons of a bit generator's raw numbers are used: their results, unlike those of a
library's `normal` or `exp`, do not change between versions and processors.
"""

import datetime as dt

import numpy as np

from marketdata.arrays import CandleArrays, FloatArray, FundingArrays
from marketdata.timeframes import DAY_MS, HOUR_MS, MINUTE_MS

SAMPLE_MONTH = dt.date(2025, 1, 1)
SEED = 20_250_112
FIRST_PRICE = 94_000.0
TICK = 10  # ticks of 0.1 in one unit of price
STEPS_PER_MINUTE = 6
STEP_VOLATILITY = 0.00022
TREND_HOURS = 14
TREND_VOLATILITY = 0.000005


def make_candles(month: dt.date = SAMPLE_MONTH) -> CandleArrays:
    """One month of 1m candles of a price that trends, calms down and wakes up again. Never traded by anyone."""
    first_ms, n_minutes = _span(month)
    raw = np.random.PCG64(SEED)
    n_steps = n_minutes * STEPS_PER_MINUTE
    day_share = np.arange(n_steps) % (1440 * STEPS_PER_MINUTE) / (1440 * STEPS_PER_MINUTE)
    wakefulness = 0.6 + 1.6 * np.minimum(day_share, 1 - day_share)  # quiet around midnight, busy around noon
    trends = _bells(raw, n_minutes // (TREND_HOURS * 60) + 1) * TREND_VOLATILITY
    drift = np.repeat(trends, TREND_HOURS * 60 * STEPS_PER_MINUTE)[:n_steps]
    moves = _bells(raw, n_steps) * STEP_VOLATILITY * wakefulness + drift
    prices = np.round(FIRST_PRICE * np.cumprod(1 + moves) * TICK) / TICK
    path = prices.reshape(n_minutes, STEPS_PER_MINUTE)
    close = path[:, -1]
    open_ = np.concatenate(([FIRST_PRICE], close[:-1]))
    spread = path.max(axis=1) - path.min(axis=1)
    volume = np.round((5 + 0.8 * spread) * (0.5 + _uniforms(raw, n_minutes)) * 1000) / 1000
    return CandleArrays(
        open_ms=first_ms + MINUTE_MS * np.arange(n_minutes, dtype=np.int64),
        open=open_,
        high=np.maximum(path.max(axis=1), open_),
        low=np.minimum(path.min(axis=1), open_),
        close=close,
        volume=volume,
        quote_volume=np.round(volume * (open_ + close) / 2 * 100) / 100,
        n_trades=np.floor(volume * 30).astype(np.int64) + 1,
        taker_buy_volume=np.round(volume * (0.35 + 0.3 * _uniforms(raw, n_minutes)) * 1000) / 1000,
    )


def make_funding(month: dt.date = SAMPLE_MONTH) -> FundingArrays:
    """Three made-up funding events a day, most of them positive as they usually are."""
    first_ms, n_minutes = _span(month)
    n_events = n_minutes // (8 * 60)
    rate = np.round((0.6 + _bells(np.random.PCG64(SEED + 1), n_events)) * 1e-4 * 1e8) / 1e8
    return FundingArrays(
        time_ms=first_ms + 8 * HOUR_MS * np.arange(n_events, dtype=np.int64),
        rate=rate,
        interval_hours=np.full(n_events, 8.0),
        mark_price=np.full(n_events, np.nan),
    )


def _span(month: dt.date) -> tuple[int, int]:
    first = dt.datetime(month.year, month.month, 1, tzinfo=dt.UTC)
    end = (first + dt.timedelta(days=32)).replace(day=1)
    return round(first.timestamp() * 1000), (end - first).days * (DAY_MS // MINUTE_MS)


def _uniforms(raw: np.random.PCG64, n: int) -> FloatArray:
    """Numbers in [0, 1) from the top 53 bits of the generator's words."""
    words = np.asarray(raw.random_raw(n), np.uint64)
    return np.ldexp((words >> np.uint64(11)).astype(np.float64), -53)


def _bells(raw: np.random.PCG64, n: int) -> FloatArray:
    """Numbers around 0 with variance 1, bell-shaped: sums of four uniforms."""
    four = _uniforms(raw, 4 * n).reshape(n, 4)
    sums: FloatArray = four[:, 0] + four[:, 1] + four[:, 2] + four[:, 3]
    bells: FloatArray = (sums - 2.0) * 3.0**0.5
    return bells
