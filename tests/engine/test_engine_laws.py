"""Laws that hold for every run, on random scenarios."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtests.engine.kernels.types import OrderKind, OrderStatus, Reason, SizeKind
from backtests.engine.replay import replay
from backtests.engine.request import (
    Bars,
    Feed,
    FundingEvents,
    Instrument,
    MarginMode,
    MarginTier,
    PathRule,
    RunRequest,
    SymbolFeed,
    TradingMarket,
)
from tests.engine.random_runs import make_scenario
from tests.engine.scenarios import MINUTE, SMALL_TIERS, START, make_bars, play

seeds = st.integers(1_000, 1_000_000)
lawful = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TABLES = ("orders", "fills", "trades", "equity", "funding", "liquidations")
ROOT = Path(__file__).resolve().parents[2]


def close_to(value, scale):
    return pytest.approx(value, rel=1e-9, abs=1e-9 * scale)


@lawful
@given(seeds)
def test_wallet_is_what_was_paid_in_and_what_every_fill_and_funding_did(seed):
    request, feed, script = make_scenario(seed)
    result, _ = play(script, request, feed)
    fills, trades, liquidations = result.fills, result.trades, result.liquidations
    wallet = result.equity["wallet_balance"][-1]
    by_fills = fills["realised_pnl"].sum() - fills["fee"].sum() + fills["covered"].sum()
    paid = result.funding["payment"].sum()
    assert wallet == close_to(request.initial_balance + by_fills + paid, request.initial_balance)
    by_trades = (
        trades["gross_pnl"] - trades["fees"] + trades["funding"] - trades["liquidation_loss"] + trades["covered"]
    )
    assert wallet == close_to(request.initial_balance + by_trades.sum(), request.initial_balance)
    assert trades["pnl"].sum() == close_to(by_trades.sum(), request.initial_balance)
    assert trades["liquidation_loss"].sum() == close_to(liquidations["loss"].sum(), request.initial_balance)


@lawful
@given(seeds)
def test_flat_account_is_worth_its_wallet_and_no_wallet_is_negative(seed):
    request, feed, script = make_scenario(seed)
    request, feed = replace(request, symbols=request.symbols[:1]), Feed(feed.symbols[:1])
    script = {i: [c for c in calls if c[1].get("i_symbol", 0) < 1] for i, calls in script.items()}
    result, _ = play(script, request, feed)
    equity = result.equity
    flat = equity["position_qty"] == 0.0
    assert np.array_equal(equity["margin_balance"][flat], equity["wallet_balance"][flat])
    assert np.all(equity["wallet_balance"] >= 0.0)
    assert np.all(equity["margin_ratio"][flat] == 0.0)


@lawful
@given(seeds)
def test_liquidation_costs_at_most_the_isolated_wallet(seed):
    request, feed, script = make_scenario(seed)
    request = replace(request, margin_mode=MarginMode.ISOLATED)
    rows = play(script, request, feed)[0].liquidations
    assert np.all(rows["loss"] <= rows["margin_wallet"])
    assert np.all(rows["covered"] >= 0.0)
    slack = 1e-9 * request.initial_balance
    assert np.all(rows["margin_wallet"] + rows["unrealised_pnl"] <= rows["maintenance_margin"] + slack)


@lawful
@given(seeds, st.integers(3, 30))
def test_changing_later_bars_changes_nothing_before_them(seed, i_cut):
    request, feed, script = make_scenario(seed)
    result, _ = play(script, request, feed)
    cut_ms = START + i_cut * request.timeframe_ms
    changed, _ = play(script, request, Feed(tuple(_with_other_future(s, cut_ms) for s in feed.symbols)))
    n_same = int(np.searchsorted(result.equity["time_ms"], cut_ms, side="right"))
    n_same = min(n_same, len(changed.equity), len(result.equity))
    assert np.array_equal(result.equity[:n_same], changed.equity[:n_same])
    for table in ("fills", "funding"):
        before, after = getattr(result, table), getattr(changed, table)
        before, after = before[before["time_ms"] < cut_ms], after[after["time_ms"] < cut_ms]
        names = [name for name in before.dtype.names if before.dtype[name].kind != "V"]
        assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in names if name != "kind")


def _with_other_future(symbol, cut_ms):
    """The same symbol, its prices a tenth higher and wilder from the cut on."""

    def bend(bars):
        if bars is None:
            return None
        factor = np.where(bars.open_ms >= cut_ms, 1.1, 1.0)
        wild = np.where(bars.open_ms >= cut_ms, 1.02, 1.0)
        columns = (bars.open * factor, bars.high * factor * wild, bars.low * factor / wild, bars.close * factor)
        return Bars(bars.open_ms, *columns, bars.volume)

    bent = {name: bend(getattr(symbol, name)) for name in ("bars", "mark_bars", "fine_bars")}
    return replace(symbol, **bent)


@lawful
@given(seeds, st.sampled_from([0.25, 2.0, 64.0]))
def test_scaling_all_money_by_a_power_of_two_scales_all_pnl_exactly(seed, factor):
    request, feed, script = make_scenario(seed)
    result, _ = play(script, request, feed)
    bigger = replace(request, initial_balance=request.initial_balance * factor)
    scaled, _ = play(_scaled_script(script, factor), bigger, Feed(tuple(_scaled(s, factor) for s in feed.symbols)))
    assert np.array_equal(result.fills["qty"], scaled.fills["qty"])
    for table, names in {
        "fills": ("price", "fee", "realised_pnl", "covered", "wallet_balance"),
        "trades": ("pnl", "mae", "mfe", "initial_margin", "funding", "liquidation_loss"),
        "equity": ("wallet_balance", "unrealised_pnl", "margin_balance"),
        "liquidations": ("price", "liquidation_price", "loss", "maintenance_margin"),
    }.items():
        for name in names:
            ours, theirs = getattr(result, table)[name] * factor, getattr(scaled, table)[name]
            assert np.array_equal(ours, theirs, equal_nan=True), name


def _scaled(symbol, factor):
    def scale(bars):
        if bars is None:
            return None
        prices = (bars.open * factor, bars.high * factor, bars.low * factor, bars.close * factor)
        return Bars(bars.open_ms, *prices, bars.volume)

    funding = symbol.funding
    tiers = tuple(
        MarginTier(t.floor * factor, t.cap * factor, t.maintenance_rate, t.max_leverage, t.cumulative * factor)
        for t in symbol.instrument.tiers
    )
    return replace(
        symbol,
        instrument=replace(
            symbol.instrument,
            tiers=tiers,
            min_notional=symbol.instrument.min_notional * factor,
            tick_size=symbol.instrument.tick_size * factor,
        ),
        bars=scale(symbol.bars),
        mark_bars=scale(symbol.mark_bars),
        fine_bars=scale(symbol.fine_bars),
        funding=FundingEvents(funding.time_ms, funding.rate, funding.mark_price * factor),
    )


MONEY = ("limit_price", "stop_price", "stop_loss", "price")


def _scaled_script(script, factor):
    def scale(name, fields):
        changed = {word: fields[word] * factor for word in MONEY if word in fields}
        if fields.get("size_kind") == SizeKind.NOTIONAL:
            changed["size"] = fields["size"] * factor
        targets = fields.get("take_profit")
        if isinstance(targets, list):
            changed["take_profit"] = [(share, price * factor) for share, price in targets]
        elif targets is not None:
            changed["take_profit"] = targets * factor
        return name, {**fields, **changed}

    return {i: [scale(*call) for call in calls] for i, calls in script.items()}


@lawful
@given(seeds)
def test_replay_of_the_order_log_is_the_run_to_the_bit(seed):
    request, feed, script = make_scenario(seed)
    result, log = play(script, request, feed)
    again = replay(request, feed, log)
    assert again.result_hash() == result.result_hash()
    for table in TABLES:
        assert getattr(again, table).tobytes() == getattr(result, table).tobytes(), table


@lawful
@given(seeds)
def test_path_rule_changes_only_what_trades_saw(seed):
    """With market orders alone the way through a bar decides nothing but the best PnL before a liquidation."""
    request, feed, script = make_scenario(seed, frozenset())
    one = replace(request, symbols=request.symbols[:1]), Feed(feed.symbols[:1])
    script = {i: [c for c in calls if c[1].get("i_symbol", 0) < 1] for i, calls in script.items()}
    hurt, _ = play(script, replace(one[0], path=PathRule.PESSIMISTIC), one[1])
    kind, _ = play(script, replace(one[0], path=PathRule.OPTIMISTIC), one[1])
    assert np.array_equal(hurt.equity, kind.equity)
    assert np.all(kind.trades["mfe"] >= hurt.trades["mfe"])


@lawful
@given(seeds)
def test_fills_of_liquidations_belong_to_no_order(seed):
    request, feed, script = make_scenario(seed)
    fills = play(script, request, feed)[0].fills
    assert np.array_equal(fills["order_id"] < 0, fills["kind"] == OrderKind.LIQUIDATION)


@lawful
@given(seeds)
def test_every_order_ends_with_its_reason_and_holds_what_its_fills_did(seed):
    request, feed, script = make_scenario(seed)
    result, _ = play(script, request, feed)
    orders, fills = result.orders, result.fills
    assert np.array_equal(orders["order_id"], np.arange(len(orders)))
    assert not np.any(np.isin(orders["status"], (OrderStatus.PENDING, OrderStatus.PARTLY_FILLED)))
    assert np.array_equal(orders["status"] == OrderStatus.FILLED, orders["reason"] == Reason.NONE)
    assert np.all(orders["filled_qty"][orders["status"] == OrderStatus.FILLED] > 0.0)
    assert np.all(orders["filled_qty"][orders["status"] == OrderStatus.REJECTED] == 0.0)
    own = fills[fills["order_id"] >= 0]
    filled = np.bincount(own["order_id"], own["qty"], minlength=len(orders))
    assert orders["filled_qty"] == close_to(filled, 1.0)
    for i in range(len(request.symbols)):
        of_symbol = fills[fills["i_symbol"] == i]
        held = np.cumsum(of_symbol["side"] * of_symbol["qty"])
        assert of_symbol["position_qty"] == close_to(held, 1.0)


@lawful
@given(seeds)
def test_optimist_never_gets_less_than_the_pessimist_out_of_one_bracket_trade(seed):
    rng = np.random.default_rng(seed)
    bars = make_bars(rng, 40, sigma=float(rng.choice([0.004, 0.03])))
    side, price = int(rng.choice([-1, 1])), float(bars.close[0])
    away = rng.uniform(0.002, 0.05, 2)
    bracket = {"stop_loss": price * (1 - side * away[0]), "take_profit": price * (1 + side * away[1])}
    script = {0: [("submit", {"side": side, "size": 10.0, **bracket})]}
    request = RunRequest(
        market=TradingMarket.USDM,
        symbols=("BTCUSDT",),
        timeframe="1m",
        from_ms=START,
        to_ms=START + 40 * MINUTE,
        slippage_bps=float(rng.choice([0.0, 5.0])),
        leverage=float(rng.choice([1.0, 20.0])),
    )
    feed = Feed((SymbolFeed(Instrument("BTCUSDT", tiers=SMALL_TIERS), bars),))
    hurt, kind = (
        play(script, replace(request, path=rule), feed)[0] for rule in (PathRule.PESSIMISTIC, PathRule.OPTIMISTIC)
    )
    assert kind.final_equity >= hurt.final_equity
    assert len(hurt.trades) == 1


HASHES = """
import sys
from tests.engine.random_runs import make_scenario
from tests.engine.scenarios import play
for seed in range(2_000, 2_012):
    request, feed, script = make_scenario(seed)
    sys.stdout.write(play(script, request, feed)[0].result_hash() + "\\n")
"""


def test_results_are_the_same_to_the_bit_without_the_compiler():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    interpreted = subprocess.run(
        [sys.executable, "-c", HASHES], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    compiled = [play(s, r, f)[0].result_hash() for r, f, s in (make_scenario(seed) for seed in range(2_000, 2_012))]
    assert interpreted == compiled
