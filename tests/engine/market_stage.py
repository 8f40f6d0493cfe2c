"""A small stage for rules: candles and calls in, a result out. Calls are the account's own, by name."""

import numpy as np

from backtests.engine.request import (
    Bars,
    Feed,
    FundingEvents,
    Instrument,
    RunRequest,
    SymbolFeed,
    TradingMarket,
)
from tests.engine.scenarios import MINUTE, NAMES, START, make_tiers, play

TIERS = make_tiers((0.0, 0.004, 125.0), (50_000.0, 0.01, 50.0), (250_000.0, 0.05, 10.0))
QUIET = (100.0, 100.0, 100.0, 100.0)


def bars_of(rows, volumes=None):
    """(open, high, low, close), ...; None leaves the bar out."""
    times = START + MINUTE * np.arange(len(rows), dtype=np.int64)
    keep = [i for i, row in enumerate(rows) if row is not None]
    columns = np.array([rows[i] for i in keep], float).T
    volume = np.array([(volumes or {}).get(i, 1.0) for i in keep])
    return Bars(times[keep], *np.ascontiguousarray(columns), volume)


def stamps_of(rows):
    """(ms after the start, rate, own mark or NaN), ..."""
    times, rates, marks = zip(*rows, strict=True)
    return FundingEvents(START + np.array(times, np.int64), np.array(rates), np.array(marks, float))


def simulate(rows, script, **fields):
    return play(script, *stage(rows, **fields))[0]


def stage(rows, *, volumes=None, mark=None, stamps=None, others=(), instrument=None, **fields):
    """(request, feed)"""
    rules = {"tiers": TIERS, "step_size": 0.001, **(instrument or {})}
    if fields.get("market") is TradingMarket.SPOT:
        rules["tiers"] = ()
    symbols = [SymbolFeed(Instrument(NAMES[0], **rules), bars_of(rows, volumes), mark and bars_of(mark))]
    symbols += [SymbolFeed(Instrument(NAMES[i + 1], **rules), bars_of(more)) for i, more in enumerate(others)]
    if stamps:
        symbols[0] = SymbolFeed(symbols[0].instrument, symbols[0].bars, symbols[0].mark_bars, funding=stamps_of(stamps))
    request = RunRequest(
        **{
            "market": TradingMarket.USDM,
            "symbols": NAMES[: len(symbols)],
            "timeframe": "1m",
            "from_ms": START,
            "to_ms": START + MINUTE * len(rows),
            "initial_balance": 1000.0,
            "taker_fee": 0.0,
            "max_leverage": 125.0,
            **fields,
        }
    )
    return request, Feed(tuple(symbols))


def buy(size, **fields):
    return "submit", {"side": 1, "size": size, **fields}


def sell(size, **fields):
    return "submit", {"side": -1, "size": size, **fields}


def close(percentage=100.0):
    return "close_position", {"percentage": percentage}
