"""The published numbers in shared/oracle, case by case, and a small market on which a run reproduces them."""

import json
from pathlib import Path

import numpy as np
import pytest

from backtests.engine import Feed, FundingEvents, Instrument, MarginTier, RunRequest, SymbolFeed, run
from backtests.engine.request import Bars, TradingMarket
from tests.engine.scenarios import MINUTE, START, Script

ORACLE = Path(__file__).resolve().parents[3] / "shared" / "oracle"
SIDES = {"long": 1, "short": -1, "BUY": 1, "SELL": -1}
PLENTY = 1e7  # of balance, where it is none of the case's business


def published(name):
    """One file as it is. Without the files, tests of it are skipped."""
    if not ORACLE.is_dir():
        pytest.skip(f"published reference numbers are not at hand ({ORACLE})")
    return json.loads((ORACLE / f"{name}.json").read_text())


def cases(name, part="cases", *, skipped=None):
    """The rows of one part of a file as test parameters. skipped(row): why it is not ours to reproduce, or "".

    Without the files it is one parameter that is skipped.
    """
    if not ORACLE.is_dir():
        why = f"published reference numbers are not at hand ({ORACLE})"
        return [pytest.param(None, id=f"{name}-{part}", marks=pytest.mark.skip(reason=why))]
    params = []
    for number, row in enumerate(published(name)[part]):
        why = skipped(row) if skipped else ""
        marks = [pytest.mark.skip(reason=f"{name} {part} {number}: {why}")] if why else []
        params.append(pytest.param(row, id=str(row.get("id", number)), marks=marks))
    return params


def one_tier(rate, cumulative=0.0):
    return (MarginTier(0.0, 1e15, rate, 125.0, cumulative),)


def tiers_of(rows):
    """The rows of maintenance_brackets.json."""
    names = ("notional_floor", "notional_cap", "mmr", "max_leverage", "cum")
    return tuple(MarginTier(*(float(row[name]) for name in names)) for row in rows)


def flat_bars(closes, start=START, length=MINUTE):
    """Bars that open at the close before and go straight to their own."""
    closes = np.array(closes, float)
    times = start + length * np.arange(len(closes), dtype=np.int64)
    opened = np.append(closes[:1], closes[:-1])
    return Bars(times, opened, np.maximum(opened, closes), np.minimum(opened, closes), closes, np.ones(len(closes)))


def order(side, size, leverage=1.0, **fields):
    """A call of a script: a market order, which fills at the close of its bar."""
    return "submit", {"side": SIDES.get(side, side), "size": float(size), "leverage": float(leverage), **fields}


def perform(closes, script, *, mark=None, funding=None, tiers=None, liquidation_fee_rate=0.0, other=None, **fields):
    """Run a script, {i_bar: [(call, fields), ...]}, over bars with these closes. Returns (result, account).

    other: (closes, tiers) of a second symbol.
    """
    is_spot = fields.get("market") == TradingMarket.SPOT
    instrument = Instrument(
        "BTCUSDT",
        liquidation_fee_rate=liquidation_fee_rate,
        tiers=() if is_spot else tiers or one_tier(0.004),
    )
    bars = closes if isinstance(closes, Bars) else flat_bars(closes)
    symbol = SymbolFeed(
        instrument,
        bars,
        mark_bars=None if mark is None else flat_bars(mark),
        funding=funding or FundingEvents.none(),
    )
    symbols = [symbol]
    if other is not None:
        symbols.append(SymbolFeed(Instrument("ETHUSDT", tiers=other[1]), flat_bars(other[0])))
    request = {
        "market": TradingMarket.USDM,
        "symbols": tuple(held.instrument.symbol for held in symbols),
        "timeframe": "1m",
        "from_ms": int(bars.open_ms[0]),
        "to_ms": int(bars.open_ms[-1]) + 1,
        "initial_balance": PLENTY,
        "taker_fee": 0.0,
        "max_leverage": 125.0,
        **fields,
    }
    strategy = Script(script)
    return run(strategy, RunRequest(**request), Feed(tuple(symbols))), strategy.account
