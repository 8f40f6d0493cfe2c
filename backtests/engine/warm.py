"""Compile every kernel once, so that no user waits for it."""

import os
import shutil
import time
from pathlib import Path
from time import perf_counter

import numpy as np

from backtests.engine.kernels.compiler import sources_digest
from backtests.engine.kernels.types import COMMAND
from backtests.engine.portfolio.domain import Portfolio, TradingMode
from backtests.engine.portfolio.formulas import funding_payment, liquidation_price, maintenance_margin
from backtests.engine.replay import replay
from backtests.engine.request import Bars, Feed, Instrument, MarginTier, RunRequest, SymbolFeed, TradingMarket
from backtests.engine.result import CommandLog
from backtests.engine.strategy import Candles

_TIER = MarginTier(floor=0.0, cap=1e9, maintenance_rate=0.01, max_leverage=100.0, cumulative=0.0)
_MINUTE = 60_000


def warm_kernels() -> float:
    """Compile all entry kernels on a tiny feed into numba's cache folder; returns the seconds it took."""
    started = perf_counter()
    replay(_tiny_request(), _tiny_feed(), CommandLog(np.empty(0, COMMAND)))
    liquidation_price(side=1, qty=1.0, entry_price=100.0, wallet_balance=10.0, tiers=(_TIER,))
    maintenance_margin(notional=100.0, tiers=(_TIER,))
    funding_payment(position_qty=1.0, mark_price=100.0, rate=0.0001)
    Portfolio(1000.0, TradingMode.FUTURES, 10.0).check_liquidations({})
    Candles(_tiny_feed(), _tiny_feed().symbols[0].bars.open_ms, 0).crossings(0.0, 1.0)
    return perf_counter() - started


def sweep_old_kernels(grace_s: float = 86_400.0) -> int:
    """Delete what was compiled from sources of old: each change of a kernel leaves a hundred megabytes.

    Kept are the present ones, the newest before them, which a running site may still read, and what is younger than
    `grace_s`. Returns how many sets were deleted; 0 without NUMBA_CACHE_DIR.
    """
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if not folder:
        return 0
    sets = [path for path in (Path(folder) / "kernels").glob("*/") if path.name != sources_digest()]
    before = sorted(sets, key=lambda path: path.stat().st_mtime, reverse=True)[1:]
    old = [path for path in before if path.stat().st_mtime < time.time() - grace_s]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)


def _tiny_request() -> RunRequest:
    return RunRequest(market=TradingMarket.USDM, symbols=("TINY",), timeframe="1m", from_ms=_MINUTE, to_ms=3 * _MINUTE)


def _tiny_feed() -> Feed:
    times = np.array([_MINUTE, 2 * _MINUTE])
    price = np.full(2, 100.0)
    bars = Bars(times, price, price, price, price, price)
    return Feed((SymbolFeed(Instrument("TINY", tiers=(_TIER,)), bars),))
