"""Finer bars resolve the way through a bar; everything else stays."""

from dataclasses import replace

import numpy as np
import pytest

from backtests.engine.errors import RequestError
from backtests.engine.kernels.types import SizeKind
from backtests.engine.portfolio import Account
from backtests.engine.replay import replay
from backtests.engine.request import Bars, Feed, FillPolicy, Instrument, RunRequest, SymbolFeed, TradingMarket
from tests.engine.scenarios import MINUTE, SMALL_TIERS, START, make_bars, play

STEP = 5


def coarse(bars):
    """Five bars into one."""
    n = len(bars) // STEP
    cut = lambda column: column[: n * STEP].reshape(n, STEP)  # noqa: E731
    return Bars(
        cut(bars.open_ms)[:, 0].copy(),
        cut(bars.open)[:, 0].copy(),
        cut(bars.high).max(axis=1),
        cut(bars.low).min(axis=1),
        cut(bars.close)[:, -1].copy(),
        cut(bars.volume).sum(axis=1),
    )


def both(seed, *, fine=None, **fields):
    """(request, feed) whose five-minute bars are those of the one-minute ones."""
    bars = make_bars(np.random.default_rng(seed), 300, sigma=0.004) if fine is None else fine
    request = RunRequest(
        market=TradingMarket.USDM,
        symbols=("BTCUSDT",),
        timeframe="5m",
        from_ms=START,
        to_ms=START + len(bars) * MINUTE,
        initial_balance=10_000.0,
        **fields,
    )
    return request, Feed((SymbolFeed(Instrument("BTCUSDT", tiers=SMALL_TIERS), coarse(bars), fine_bars=bars),))


def script_of(seed, n, leverage):
    rng = np.random.default_rng(seed)
    ratio = {"size": 0.4, "size_kind": SizeKind.EQUITY_RATIO, "leverage": leverage}
    calls = [("submit", {"side": 1, **ratio}), ("submit", {"side": -1, **ratio}), ("close_position", {})]
    return {i: [calls[int(rng.integers(3))]] for i in range(n) if rng.random() < 0.3}


@pytest.mark.parametrize("fill", list(FillPolicy))
def test_without_liquidation_finer_bars_change_nothing_in_the_account(fill):
    for seed in range(20):
        request, feed = both(seed, fill=fill)
        script = script_of(seed, 60, 1.0)
        plain, _ = play(script, request, feed)
        finer, log = play(script, replace(request, intrabar_timeframe="1m"), feed)
        assert not len(plain.liquidations)
        assert np.array_equal(plain.equity, finer.equity)
        for name in ("entry_price", "exit_price", "pnl", "mae", "mfe"):
            assert np.array_equal(plain.trades[name], finer.trades[name], equal_nan=True), name
        assert replay(replace(request, intrabar_timeframe="1m"), feed, log).result_hash() == finer.result_hash()


def test_what_was_liquidated_on_finer_bars_is_on_coarse_ones_and_the_finer_time_is_told():
    n_found = 0
    for seed in range(20):
        request, feed = both(seed)
        script = {0: [("submit", {"side": 1, "size": 50.0, "leverage": 50.0})]}
        plain = play(script, request, feed)[0].liquidations
        finer = play(script, replace(request, intrabar_timeframe="1m"), feed)[0].liquidations
        assert len(plain) == len(finer)
        for one, other in zip(plain, finer, strict=True):
            n_found += 1
            assert one["i_bar"] == other["i_bar"]
            assert 0 <= other["time_ms"] - one["time_ms"] < STEP * MINUTE
            assert other["mark_low"] <= other["liquidation_price"] or other["mark_open"] <= other["liquidation_price"]
    assert n_found


def test_best_pnl_before_a_liquidation_is_known_from_finer_bars():
    prices = np.array([100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 120.0, 60.0, 100.0, 100.0])
    opens = np.append(100.0, prices[:-1])
    times = START + MINUTE * np.arange(10, dtype=np.int64)
    bars = Bars(times, opens, np.maximum(opens, prices), np.minimum(opens, prices), prices, np.ones(10))
    request, feed = both(0, fine=bars)
    script = {0: [("submit", {"side": 1, "size": 50.0, "leverage": 10.0})]}
    assert play(script, request, feed)[0].trades["mfe"][0] == 0.0
    assert play(script, replace(request, intrabar_timeframe="1m"), feed)[0].trades["mfe"][0] == 1000.0


def test_finer_bars_that_are_not_at_hand_are_said_so():
    request, feed = both(0)
    bare = Feed((replace(feed.symbols[0], fine_bars=None),))
    with pytest.raises(RequestError) as error:
        Account(replace(request, intrabar_timeframe="1m"), bare)
    assert error.value.field == "intrabar_timeframe"


def test_steps_without_finer_bars_use_their_own_bar():
    request, feed = both(3)
    fine = feed.symbols[0].fine_bars
    keep = (np.arange(len(fine)) // STEP) % 3 != 1
    holed = Bars(*(getattr(fine, name)[keep] for name in ("open_ms", "open", "high", "low", "close", "volume")))
    gappy = Feed((replace(feed.symbols[0], fine_bars=holed),))
    script = script_of(3, 60, 1.0)
    plain, _ = play(script, request, feed)
    finer, _ = play(script, replace(request, intrabar_timeframe="1m"), gappy)
    assert np.array_equal(plain.equity, finer.equity)
