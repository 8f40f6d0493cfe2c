"""Published positions, PnL, margins and balances, by runs whose bars close at the published prices.

Each test names its file in shared/oracle; the file's own `source` and `ref` fields say where it was published.
"""

import numpy as np
import pytest

from backtests.engine import FundingEvents, maintenance_margin
from backtests.engine.kernels.types import ExitReason
from backtests.engine.request import MarginMode, TradingMarket
from tests.engine.published import PLENTY, SIDES, cases, one_tier, order, perform, published
from tests.engine.scenarios import MINUTE, START

BALANCE = 1e6  # small enough that 1e-9 of PnL is not lost in the wallet


@pytest.mark.parametrize("case", cases("position_accounting", "sequences"))
def test_position_sequence(case):
    """position_accounting.json, sequences: tests of nautilus_trader and jesse. Realised PnL there is net of fees."""
    script = {i: [order(side, qty)] for i, (side, qty, _) in enumerate(case["fills"])}
    prices = [float(price) for *_, price in case["fills"]]
    result, account = perform(prices, script, initial_balance=BALANCE, taker_fee=case["fee_rate"])
    assert result.n_orders_rejected == 0
    for i_bar, expected in enumerate(case["expect"]):
        if expected is None:
            continue
        so_far = result.fills[result.fills["i_bar"] <= i_bar]
        assert so_far["position_qty"][-1] == pytest.approx(expected["qty"], rel=1e-12)
        assert so_far["entry_price"][-1] == pytest.approx(expected["avg"], rel=1e-12)
        assert (so_far["realised_pnl"] - so_far["fee"]).sum() == pytest.approx(expected["realized"], abs=5e-9)
        assert so_far["wallet_balance"][-1] - BALANCE == pytest.approx(expected["realized"], abs=5e-9)
        assert result.equity["position_qty"][i_bar] == so_far["position_qty"][-1]
    assert account.position_qty() == pytest.approx(expected["qty"], rel=1e-12)
    assert account.entry_price() == pytest.approx(expected["avg"], rel=1e-12)


def test_a_flip_closes_one_trade_and_opens_the_next():
    """position_accounting.json, flip-limits-pnl: only the closed part realises."""
    case = next(c for c in published("position_accounting")["sequences"] if c["id"] == "flip-limits-pnl")
    script = {i: [order(side, qty)] for i, (side, qty, _) in enumerate(case["fills"])}
    result, _ = perform([price for *_, price in case["fills"]], script)
    closed, opened = result.trades
    assert (closed["pnl"], closed["qty"], closed["exit_reason"]) == (
        case["expect"][1]["realized"],
        1.0,
        ExitReason.FLIP,
    )
    assert (opened["side"], opened["qty"], opened["exit_reason"]) == (-1, 1.0, ExitReason.OPEN)


@pytest.mark.parametrize("case", cases("position_accounting", "simple"))
def test_unrealised_and_realised_pnl(case):
    """position_accounting.json, simple: nautilus_trader's PnL examples."""
    script = {0: [order(case["side"], case["qty"])]}
    result, account = perform([case["entry"], case["mark"]], script, initial_balance=BALANCE, taker_fee=case["fee"])
    last = result.equity[-1]
    assert last["unrealised_pnl"] == pytest.approx(case["unrealized"])
    assert account.unrealised_pnl() == pytest.approx(case["unrealized"])
    assert last["wallet_balance"] - BALANCE == pytest.approx(case["realized"])
    if "total" in case:
        assert last["margin_balance"] - BALANCE == pytest.approx(case["total"])
    if "notional_at_mark" in case:
        notional = last["exposure"] * last["margin_balance"] * SIDES[case["side"]]
        assert notional == pytest.approx(case["notional_at_mark"])


@pytest.mark.parametrize("case", cases("position_accounting", "leverage_roi"))
def test_return_on_margin(case):
    """position_accounting.json, leverage_roi: jesse."""
    script = {0: [order("long", case["qty"], case["leverage"])]}
    result, account = perform([case["entry"], case["mark"]], script)
    assert account.initial_margin() == pytest.approx(case["margin"])
    assert account.unrealised_pnl() == pytest.approx(case["pnl"])
    assert 100 * account.unrealised_pnl() / account.initial_margin() == pytest.approx(case["roi_pct"])
    assert result.trades["mfe"][0] == pytest.approx(case["pnl"])


@pytest.mark.parametrize("case", cases("position_accounting", "initial_margin"))
def test_initial_margin(case):
    """position_accounting.json, initial_margin: LEAN."""
    script = {0: [order(np.sign(case["qty"]), abs(case["qty"]), case["leverage"])]}
    result, account = perform([case["price"]] * 2, script)
    assert result.fills["initial_margin"][0] == account.initial_margin() == pytest.approx(case["expected"])


@pytest.mark.parametrize("n_orders", [1, 2])
@pytest.mark.parametrize("case", cases("position_accounting", "wallet"))
def test_available_balance(case, n_orders):
    """position_accounting.json, wallet: jesse. Its notional may come in one order or in several."""
    half = case["order_notional"] / 100.0 / n_orders
    script = {0: [order("long", half, case["leverage"])] * n_orders}
    result, account = perform([100.0, 100.0], script, initial_balance=case["available_before"])
    assert len(result.fills) == n_orders
    assert account.available_balance == pytest.approx(case["available_after"])


@pytest.mark.parametrize("case", cases("position_accounting", "liquidation_bankruptcy"))
def test_bankruptcy_price_is_where_nothing_is_left(case):
    """position_accounting.json, liquidation_bankruptcy: jesse.

    Without maintenance margin and fee a run liquidates there; with a fee that takes the rest nothing is left either.
    """
    side, qty = np.sign(case["qty"]), abs(case["qty"])
    market = {"initial_balance": case["balance"], "tiers": one_tier(1e-12)}
    path = [case["entry"], case["bankruptcy"] * (0.9 if side > 0 else 1.1)]
    script = {0: [order(side, qty, case["leverage"])]}
    for margin_mode in MarginMode:
        bare, _ = perform(path, script, margin_mode=margin_mode, **market)
        assert bare.liquidations["price"][0] == pytest.approx(case["bankruptcy"])
        assert bare.final_equity == pytest.approx(case["balance_after_liquidation"], abs=1e-6)

    charged, _ = perform(path, script, liquidation_fee_rate=0.0125, **{**market, "tiers": one_tier(0.004)})
    assert charged.final_equity == case["balance_after_liquidation"]
    assert charged.is_ruined


def has_two_fees(case):
    setup = published("trade_pnl_fees_funding")["setup"]
    if case["fee_close"] == setup["fee_open"]:
        return ""
    return f"fee_open {setup['fee_open']} and fee_close {case['fee_close']}: a run has one taker fee"


@pytest.mark.parametrize("case", cases("trade_pnl_fees_funding", skipped=has_two_fees))
def test_trade_pnl_with_fees_and_funding(case):
    """trade_pnl_fees_funding.json: freqtrade's test_calc_profit."""
    setup = published("trade_pnl_fees_funding")["setup"]
    side, fee = SIDES[case["side"]], setup["fee_open"]
    rate = -case["funding"] / (side * setup["amount"] * setup["open_rate"])
    result, _ = perform(
        [setup["open_rate"], setup["open_rate"], case["close_rate"]],
        {0: [order(case["side"], setup["amount"], case["leverage"])], 2: [("close_position", {})]},
        market=TradingMarket.SPOT if case["mode"] == "spot" else TradingMarket.USDM,
        funding=FundingEvents(np.array([START + MINUTE]), np.array([rate]), np.array([setup["open_rate"]])),
        taker_fee=fee,
    )
    trade = result.trades[0]
    assert trade["pnl"] == pytest.approx(case["profit"], abs=2e-6)
    assert trade["funding"] == pytest.approx(case["funding"])
    open_value = setup["amount"] * setup["open_rate"] * (1 + side * fee)
    assert trade["pnl"] * case["leverage"] / open_value == pytest.approx(case["profit_ratio"], abs=2e-6)
    assert result.final_equity - PLENTY == pytest.approx(trade["pnl"], abs=1e-7)


@pytest.mark.parametrize("case", cases("positionrisk_v3"))
def test_position_risk_of_the_api(case):
    """positionrisk_v3.json: answers of Binance's API."""
    script = {0: [order(case["side"], case["qty"], case["leverage"])]}
    tiers = one_tier(case.get("implied_mmr", 0.004))
    fee = case["implied_fee"]
    path = [case["entry"], case["mark"], case["break_even"]]
    result, account = perform(path, script, tiers=tiers, taker_fee=fee, initial_balance=BALANCE)
    at_mark = result.equity[1]
    assert at_mark["unrealised_pnl"] == pytest.approx(case["upnl"])
    assert at_mark["exposure"] * at_mark["margin_balance"] == pytest.approx(case["notional"])
    assert result.final_equity == pytest.approx(BALANCE, abs=1e-7)  # at the break-even price the entry's fee is earned
    if "maint_margin" in case:
        own_margin = account.initial_margin() + case["upnl"]
        assert at_mark["margin_ratio"] * own_margin == pytest.approx(case["maint_margin"])
        assert maintenance_margin(notional=case["notional"], tiers=tiers) == pytest.approx(case["maint_margin"])


@pytest.mark.parametrize("case", cases("positionrisk_v3"))
def test_margins_of_the_api_follow_the_mark_under_cross_margin(case):
    """positionrisk_v3.json: what a position binds, and what it must keep, at the mark."""
    script = {0: [order(case["side"], case["qty"], case["leverage"])]}
    tiers = one_tier(case.get("implied_mmr", 0.004))
    fields = {"tiers": tiers, "initial_balance": BALANCE, "margin_mode": MarginMode.CROSS}
    _, account = perform([case["entry"], case["mark"]], script, **fields)
    bound = account.margin_balance - account.available_balance
    assert bound == pytest.approx(case.get("initial_margin", case["notional"] / case["leverage"]), abs=1e-8)
    if "maint_margin" in case:
        assert account.margin_ratio * account.margin_balance == pytest.approx(case["maint_margin"])
