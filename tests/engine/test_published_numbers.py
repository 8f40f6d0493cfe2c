"""Numbers that exchanges and other projects have published. Each case names its source in shared/oracle."""

import json
from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest

from backtests.engine import (
    Feed,
    FundingEvents,
    Instrument,
    MarginTier,
    Portfolio,
    RunRequest,
    SymbolFeed,
    TradingMode,
    funding_payment,
    liquidation_price,
    maintenance_margin,
)
from backtests.engine.kernels.types import OrderStatus, Reason
from backtests.engine.request import Bars, TradingMarket, check_tiers
from tests.engine.scenarios import MINUTE, START, play

SIDES = {"long": 1, "short": -1, "BUY": 1, "SELL": -1}
HUGE = 1e9


@pytest.fixture
def published(shared_oracle):
    return lambda name: json.loads((shared_oracle / f"{name}.json").read_text())


def one_tier(rate, cumulative=0.0):
    return (MarginTier(0.0, 1e15, rate, 125.0, cumulative),)


def flat_bars(closes):
    closes = np.array(closes, float)
    times = START + MINUTE * np.arange(len(closes), dtype=np.int64)
    opened = np.append(closes[:1], closes[:-1])
    return Bars(times, opened, np.maximum(opened, closes), np.minimum(opened, closes), closes, np.ones(len(closes)))


def run_on(closes, script, *, mark=None, funding=None, tiers=None, **fields):
    bars = flat_bars(closes)
    market = fields.pop("market", TradingMarket.USDM)
    symbol = SymbolFeed(
        Instrument("BTCUSDT", tiers=() if market == "spot" else tiers or one_tier(0.004)),
        bars,
        mark_bars=None if mark is None else flat_bars(mark),
        funding=funding or FundingEvents.none(),
    )
    request = RunRequest(
        market=market,
        symbols=("BTCUSDT",),
        timeframe="1m",
        from_ms=START,
        to_ms=START + MINUTE * len(closes),
        **{"initial_balance": HUGE, "taker_fee": 0.0, "max_leverage": 125.0, **fields},
    )
    return play(script, request, Feed((symbol,)))[0]


def test_liquidation_prices(published):
    """liquidation_price.json: Binance's FAQ and API examples, freqtrade's tests (`buffer` rows)."""
    cases = published("liquidation_price")["cases"]
    assert cases
    for case in cases:
        side = SIDES[case["side"]]
        price = liquidation_price(
            side=side,
            qty=case["qty"],
            entry_price=case["entry_price"],
            wallet_balance=case["wallet_balance"],
            tiers=one_tier(case["mmr"], case["cum"]),
            other_maintenance_margin=case["other_maint_margin"],
            other_unrealized_pnl=case["other_upnl"],
        )
        if case["id"] == "ft-adj-1x-open":  # below zero, which its source moves up by its buffer
            assert price is None
            continue
        if "buffer" in case:  # freqtrade's own safety margin
            price += abs(case["entry_price"] - price) * case["buffer"] * side
        assert price == pytest.approx(case["expected"], abs=case["tol"]), case["id"]


def test_cross_case_of_binance_from_its_other_position(published):
    """liquidation_price.json, ft-cross-eth: the other position's maintenance margin and PnL, by our own formulas."""
    case = next(c for c in published("liquidation_price")["cases"] if c["id"] == "ft-cross-eth")
    other = case["others"][0]
    notional = other["qty"] * other["mark"]
    assert maintenance_margin(notional=notional, tiers=one_tier(other["mmr"], other["cum"])) == pytest.approx(
        case["other_maint_margin"], abs=1e-3
    )
    assert other["qty"] * (other["mark"] - other["entry"]) == pytest.approx(case["other_upnl"], abs=1e-3)


def brackets(rows):
    return tuple(
        MarginTier(
            float(r["notional_floor"]), float(r["notional_cap"]), r["mmr"], float(r["max_leverage"]), float(r["cum"])
        )
        for r in rows
    )


def test_real_margin_tiers(published):
    """maintenance_brackets.json: Binance's brackets of three dates. Margin is continuous where tiers meet."""
    tables = {name: rows for name, rows in published("maintenance_brackets").items() if isinstance(rows, list)}
    assert len(tables) >= 10
    for name, rows in tables.items():
        tiers = brackets(rows)
        check_tiers(tiers, name)
        for below, tier in pairwise(tiers):
            at_floor = maintenance_margin(notional=tier.floor, tiers=tiers)
            assert at_floor == tier.floor * tier.maintenance_rate - tier.cumulative
            assert at_floor == pytest.approx(tier.floor * below.maintenance_rate - below.cumulative, abs=0.07)
        middle = (tiers[-1].floor + tiers[-1].cap) / 2
        assert maintenance_margin(notional=middle, tiers=tiers) == pytest.approx(
            middle * tiers[-1].maintenance_rate - tiers[-1].cumulative
        )


def test_liquidation_price_satisfies_its_definition_on_real_tiers(published):
    """At the price, margin balance equals maintenance margin: whichever tier that falls into."""
    rows = published("maintenance_brackets")
    for name in ("BTCUSDT_2024_10", "ETHUSDT_2026_09"):
        tiers = brackets(rows[name])
        for qty in (0.01, 1.0, 55.0, 3_000.0, 25_000.0):
            for side in (1, -1):
                wallet = qty * 60_000.0 / 4
                price = liquidation_price(side=side, qty=qty, entry_price=60_000.0, wallet_balance=wallet, tiers=tiers)
                balance = wallet + side * qty * (price - 60_000.0)
                assert balance == pytest.approx(maintenance_margin(notional=qty * price, tiers=tiers), rel=1e-6)


def test_bracket_lookup(published):
    """bracket_lookup_freqtrade.json: tests of freqtrade."""
    found = published("bracket_lookup_freqtrade")
    for case in found["cases"]:
        tiers = tuple(
            MarginTier(
                float(r["minNotional"]),
                float(r["maxNotional"]),
                r["maintenanceMarginRate"],
                float(r["maxLeverage"]),
                float(r["maintAmt"]),
            )
            for r in found["tiers"][case["symbol"]]
        )
        expected = case["notional"] * case["mmr"] - case["cum"]
        assert maintenance_margin(notional=case["notional"], tiers=tiers) == pytest.approx(expected)
    with pytest.raises(ValueError, match="not negative"):
        maintenance_margin(notional=-1.0, tiers=tiers)


def test_funding_payments(published):
    """funding.json: tests of freqtrade; the windows are inclusive at both ends."""
    found = published("funding")
    for case in found["single"]:
        position_qty = SIDES[case["side"]] * case["qty"]
        payment = funding_payment(position_qty=position_qty, mark_price=case["mark"], rate=case["rate"])
        assert payment == pytest.approx(case["expected"])
    marks = dict(map(tuple, found["mark_open"]))
    for window in found["windows"]:
        opened, closed = (datetime.fromisoformat(window[k]).timestamp() * 1000 for k in ("open", "close"))
        payments = [
            funding_payment(position_qty=SIDES[window["side"]] * window["qty"], mark_price=marks[time], rate=rate)
            for time, rate in found["rates"][slice(*window["rate_slice"])]
            if opened <= time <= closed
        ]
        assert sum(payments) == pytest.approx(window["expected"], rel=1e-6, abs=1e-12)


def test_position_sequences(published):
    """position_accounting.json: tests of nautilus_trader and jesse. Realised PnL there is net of fees."""
    for case in published("position_accounting")["sequences"]:
        portfolio = Portfolio(HUGE, TradingMode.FUTURES, 125.0, taker_fee=case["fee_rate"])
        for (side, qty, price), expected in zip(case["fills"], case["expect"], strict=True):
            trade = portfolio.buy if side == "BUY" else portfolio.sell
            assert trade("ETHUSDT", qty, price)
            if expected is None:
                continue
            position = portfolio.positions["ETHUSDT"]
            assert position.size == pytest.approx(expected["qty"]), case["id"]
            assert position.entry_price == pytest.approx(expected["avg"], rel=1e-12), case["id"]
            realised = sum(t.pnl - t.fee for t in portfolio.trades)
            assert realised == pytest.approx(expected["realized"], abs=5e-9), case["id"]


def test_pnl_of_single_positions(published):
    """position_accounting.json: nautilus_trader's PnL examples, jesse's return on margin."""
    found = published("position_accounting")
    for case in found["simple"]:
        portfolio = Portfolio(HUGE, TradingMode.FUTURES, 125.0, taker_fee=case["fee"])
        trade = portfolio.buy if case["side"] == "long" else portfolio.sell
        assert trade("BTCUSDT", case["qty"], case["entry"])
        position = portfolio.positions["BTCUSDT"]
        assert position.unrealized_pnl(case["mark"]) == pytest.approx(case["unrealized"])
        assert -portfolio.trades[0].fee == pytest.approx(case["realized"])
        if "total" in case:
            value = portfolio.calculate_portfolio_value({"BTCUSDT": case["mark"]})
            assert value - HUGE == pytest.approx(case["total"])
    for case in found["leverage_roi"]:
        portfolio = Portfolio(HUGE, TradingMode.FUTURES, 125.0)
        portfolio.buy("BTCUSDT", case["qty"], case["entry"], case["leverage"])
        position = portfolio.positions["BTCUSDT"]
        assert position.unrealized_pnl(case["mark"]) == pytest.approx(case["pnl"])
        assert position.margin_used == pytest.approx(case["margin"])
        assert 100 * case["pnl"] / position.margin_used == pytest.approx(case["roi_pct"])


def test_margins_and_available_balance(published):
    """position_accounting.json: initial margins of LEAN, balances of jesse."""
    found = published("position_accounting")
    for case in found["initial_margin"]:
        portfolio = Portfolio(HUGE, TradingMode.FUTURES, 125.0)
        trade = portfolio.buy if case["qty"] > 0 else portfolio.sell
        trade("BTCUSDT", abs(case["qty"]), case["price"], case["leverage"])
        assert portfolio.positions["BTCUSDT"].margin_used == pytest.approx(case["expected"])
    for case in found["wallet"]:
        portfolio = Portfolio(case["available_before"], TradingMode.FUTURES, 125.0, taker_fee=0.0)
        assert portfolio.buy("BTCUSDT", case["order_notional"] / 100.0, 100.0, case["leverage"])
        assert portfolio.cash == pytest.approx(case["available_after"])


def test_bankruptcy_price_is_where_nothing_is_left(published):
    """position_accounting.json, jesse's bankruptcy prices: ours without maintenance margin; a fee may take the rest."""
    for case in published("position_accounting")["liquidation_bankruptcy"]:
        side, qty = (1 if case["qty"] > 0 else -1), abs(case["qty"])
        wallet = qty * case["entry"] / case["leverage"]
        bare = liquidation_price(
            side=side, qty=qty, entry_price=case["entry"], wallet_balance=wallet, tiers=one_tier(1e-12)
        )
        assert bare == pytest.approx(case["bankruptcy"])
        instrument = Instrument("BTCUSDT", liquidation_fee_rate=0.0125, tiers=one_tier(0.004))
        portfolio = Portfolio(
            case["balance"], TradingMode.FUTURES, 125.0, taker_fee=0.0, instruments={"BTCUSDT": instrument}
        )
        trade = portfolio.buy if side > 0 else portfolio.sell
        assert trade("BTCUSDT", qty, case["entry"], case["leverage"])
        assert portfolio.check_liquidations({"BTCUSDT": case["bankruptcy"]}) == ["BTCUSDT"]
        assert portfolio.cash == pytest.approx(case["balance_after_liquidation"])


@pytest.mark.parametrize(("spare", "status"), [(0.001, OrderStatus.FILLED), (-0.001, OrderStatus.REJECTED)])
def test_cost_to_open(published, spare, status):
    """order_cost.json, Binance's FAQ: an order needs its initial margin and its open loss against the mark."""
    for case in published("order_cost")["cases"]:
        exact = case["qty"] * case["order_price"] / case["leverage"]
        assert exact == pytest.approx(case["initial_margin"], abs=0.006)
        order = {"side": SIDES[case["side"]], "size": float(case["qty"]), "leverage": float(case["leverage"])}
        result = run_on(
            [case["order_price"]] * 2,
            {0: [("submit", order)]},
            mark=[case["mark"]] * 2,
            initial_balance=exact + case["open_loss"] + spare,
        )
        assert result.orders["status"][0] == status, case
        if status == OrderStatus.REJECTED:
            assert result.orders["reason"][0] == Reason.INSUFFICIENT_MARGIN


def test_trade_pnl_with_fees_and_funding(published):
    """trade_pnl_fees_funding.json: freqtrade's test_calc_profit. The row with two fee rates is not ours to simulate."""
    found = published("trade_pnl_fees_funding")
    setup = found["setup"]
    for case in found["cases"]:
        if case["fee_close"] != setup["fee_open"]:
            continue
        side = SIDES[case["side"]]
        rate = -case["funding"] / (side * setup["amount"] * setup["open_rate"])
        stamps = FundingEvents(np.array([START + MINUTE]), np.array([rate]), np.array([setup["open_rate"]]))
        result = run_on(
            [setup["open_rate"], setup["open_rate"], case["close_rate"]],
            {
                0: [("submit", {"side": side, "size": setup["amount"], "leverage": float(case["leverage"])})],
                2: [("close_position", {})],
            },
            market=TradingMarket.SPOT if case["mode"] == "spot" else TradingMarket.USDM,
            funding=stamps,
            taker_fee=setup["fee_open"],
        )
        trade = result.trades[0]
        assert trade["pnl"] == pytest.approx(case["profit"], abs=2e-6), case
        open_value = setup["amount"] * setup["open_rate"] * (1 + side * setup["fee_open"])
        ratio = trade["pnl"] * case["leverage"] / open_value
        assert ratio == pytest.approx(case["profit_ratio"], abs=2e-6), case


def test_position_risk_of_the_api(published):
    """positionrisk_v3.json: answers of Binance's API as kept in ccxt."""
    for case in published("positionrisk_v3")["cases"]:
        portfolio = Portfolio(HUGE, TradingMode.FUTURES, 125.0)
        assert portfolio.buy(case["symbol"], case["qty"], case["entry"], case["leverage"])
        position = portfolio.positions[case["symbol"]]
        assert position.unrealized_pnl(case["mark"]) == pytest.approx(case["upnl"])
        if "maint_margin" in case:
            tiers = one_tier(case["implied_mmr"])
            assert maintenance_margin(notional=case["notional"], tiers=tiers) == pytest.approx(case["maint_margin"])
