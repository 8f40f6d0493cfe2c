"""Liquidation, funding, ruin, and what trades and rows say: small markets with known outcomes."""

import numpy as np
import pytest

from backtests.engine.kernels.types import ExitReason, OrderKind, OrderStatus, Reason, SizeKind
from backtests.engine.request import FillPolicy, PathRule, TradingMarket
from tests.engine.market_stage import QUIET, TIERS, buy, close, sell, simulate
from tests.engine.scenarios import MINUTE, START

NAN = float("nan")
OPEN = FillPolicy.NEXT_OPEN
RATIO = {"size_kind": SizeKind.EQUITY_RATIO}
LEVER = {"leverage": 10.0}
UP = [QUIET, (100.0, 112.0, 99.0, 110.0), (111.0, 121.0, 110.0, 120.0)]


def only_liquidation(result):
    assert len(result.liquidations) == 1
    return result.liquidations[0]


def test_long_is_liquidated_at_its_price_inside_the_bar():
    rows = [QUIET, (100.0, 101.0, 85.0, 95.0)]
    result = simulate(rows, {0: [buy(10, **LEVER)]}, instrument={"liquidation_fee_rate": 0.01})
    gone = only_liquidation(result)
    price = (10 * 100.0 - 100.0) / (10 * (1 - 0.004))  # margin 100
    assert gone["price"] == pytest.approx(price) == gone["liquidation_price"]
    assert gone["loss"] == pytest.approx(100.0)
    assert gone["covered"] == pytest.approx(10 * (100.0 - price) + 0.01 * 10 * price - 100.0)
    assert result.trades["exit_reason"][0] == ExitReason.LIQUIDATION
    assert result.fills["kind"][-1] == OrderKind.LIQUIDATION
    assert result.final_equity == pytest.approx(900.0)


def test_gap_beyond_the_liquidation_price_closes_at_the_open():
    gone = only_liquidation(simulate([QUIET, (80.0, 82.0, 79.0, 81.0)], {0: [buy(10, **LEVER)]}))
    assert (gone["price"], gone["loss"], gone["covered"]) == (80.0, 100.0, 100.0)


def test_short_is_liquidated_by_a_rise_exactly_to_its_price():
    price = (10 * 100.0 + 100.0) / (10 * (1 + 0.004))
    just = simulate([QUIET, (100.0, price, 100.0, 100.0)], {0: [sell(10, **LEVER)]})
    assert only_liquidation(just)["price"] == pytest.approx(price)
    below = np.nextafter(price, 0) - 1e-9
    assert not len(simulate([QUIET, (100.0, below, 100.0, 100.0)], {0: [sell(10, **LEVER)]}).liquidations)


def test_mark_bars_decide_liquidation_not_the_last_price():
    rows = [QUIET, (100.0, 101.0, 85.0, 95.0)]
    assert not len(simulate(rows, {0: [buy(10, **LEVER)]}, mark=[QUIET, QUIET]).liquidations)
    result = simulate([QUIET, QUIET], {0: [buy(10, **LEVER)]}, mark=rows)
    assert only_liquidation(result)["mark_low"] == 85.0


def test_position_is_liquidated_on_a_bar_without_trades():
    rows = [QUIET, (100.0, 101.0, 85.0, 95.0)]
    only_liquidation(simulate(rows, {0: [buy(10, **LEVER)]}, volumes={1: 0.0}))


def test_position_opened_at_the_open_is_liquidated_in_the_same_bar():
    rows = [QUIET, (100.0, 101.0, 85.0, 95.0)]
    result = simulate(rows, {0: [buy(10, **LEVER)]}, fill=OPEN)
    assert only_liquidation(result)["i_bar"] == 1
    assert result.trades["i_bar_entry"][0] == result.trades["i_bar_exit"][0] == 1


def test_liquidation_comes_before_orders_at_the_open():
    rows = [QUIET, (80.0, 82.0, 79.0, 81.0)]
    result = simulate(rows, {0: [buy(10, **LEVER)], 1: []}, fill=FillPolicy.CLOSE)
    assert only_liquidation(result)["price"] == 80.0
    waiting = simulate([QUIET, QUIET, rows[1]], {0: [buy(10, **LEVER)], 1: [close()]}, fill=OPEN)
    assert only_liquidation(waiting)["price"] == 80.0
    assert (waiting.orders["status"][1], waiting.orders["reason"][1]) == (OrderStatus.CANCELLED, Reason.LIQUIDATED)


def test_tier_of_a_position_changes_with_its_price():
    rows = [QUIET, (100.0, 130.0, 100.0, 130.0)]
    result = simulate(rows, {0: [sell(400, leverage=20.0)]}, initial_balance=10_000.0)
    gone = only_liquidation(result)
    assert gone["i_tier"] == 0
    bigger = only_liquidation(simulate(rows, {0: [sell(495, leverage=20.0)]}, initial_balance=10_000.0))
    cumulative = TIERS[1].cumulative
    assert bigger["i_tier"] == 1
    assert bigger["price"] == pytest.approx((495 * 100 / 20 + cumulative + 49_500) / (495 * 1.01))


def test_loss_beyond_the_margin_of_a_closing_fill_is_covered():
    rows = [QUIET, (100.0, 100.0, 99.4, 99.4)]  # far down, while the mark stands still
    script = {0: [buy(1.0, leverage=100.0, **RATIO)], 1: [close()]}
    result = simulate(rows, script, mark=[QUIET, QUIET], initial_balance=100.0, taker_fee=0.008)
    trade, fill = result.trades[0], result.fills[-1]
    assert trade["covered"] == fill["covered"] > 0.0
    assert fill["wallet_balance"] == 0.0
    assert trade["pnl"] == pytest.approx(-100.0)
    assert result.is_ruined


def test_ruined_account_ends_the_run_and_refuses_orders():
    rows = [QUIET, (100.0, 100.0, 80.0, 80.0), QUIET, QUIET]
    script = {0: [buy(100, **LEVER)], 1: [buy(1)], 2: [buy(1)]}
    result = simulate(rows, script, instrument={"liquidation_fee_rate": 0.05})
    assert result.is_ruined
    assert result.n_bars == 2
    assert result.final_equity == 0.0
    assert len(result.orders) == 1


def test_ruin_cancels_what_waits():
    rows = [QUIET, (100.0, 100.0, 80.0, 80.0), QUIET]
    script = {0: [buy(100, **LEVER), buy(0.001, i_symbol=1)]}
    fields = {"others": [[None, None, QUIET]], "instrument": {"liquidation_fee_rate": 0.05}}
    result = simulate(rows, script, **fields)
    assert result.is_ruined
    assert (result.orders["status"][1], result.orders["reason"][1]) == (OrderStatus.CANCELLED, Reason.RUINED)


FLAT4 = [QUIET] * 4


@pytest.mark.parametrize(
    ("name", "stamp", "mark", "expected", "fill"),
    [
        ("at the open, on the position carried in", (MINUTE, 0.01, NAN), None, [-10.0], FillPolicy.CLOSE),
        ("at its own mark", (MINUTE, 0.01, 90.0), None, [-9.0], FillPolicy.CLOSE),
        ("some ms late is still the open", (MINUTE + 4, 0.01, NAN), None, [-10.0], FillPolicy.CLOSE),
        ("at the open, before an order that fills there", (MINUTE, 0.01, NAN), None, [], OPEN),
        ("inside the bar, after an order that fills at its open", (MINUTE + 20_000, 0.01, NAN), None, [-10.0], OPEN),
        ("at the mark bar's open", (MINUTE, 0.01, NAN), 50.0, [-5.0], FillPolicy.CLOSE),
        ("negative rates pay a long", (MINUTE, -0.01, NAN), None, [10.0], FillPolicy.CLOSE),
        ("before the first bar: never", (-MINUTE, 0.01, NAN), None, [], FillPolicy.CLOSE),
    ],
)
def test_funding_is_charged(name, stamp, mark, expected, fill):
    mark_rows = None if mark is None else [QUIET, *[(mark, mark, mark, mark)] * 3]
    result = simulate(FLAT4, {0: [buy(10)]}, mark=mark_rows, stamps=[stamp], fill=fill)
    assert result.funding["payment"].tolist() == pytest.approx(expected), name
    assert result.trades["funding"][0] == pytest.approx(sum(expected))


def test_funding_takes_at_most_the_isolated_wallet_and_liquidates_at_once():
    result = simulate(FLAT4, {0: [buy(10, **LEVER)]}, stamps=[(2 * MINUTE, 0.5, NAN)])
    assert result.funding["payment"].tolist() == [-100.0]
    gone = only_liquidation(result)
    assert (gone["i_bar"], gone["price"], gone["loss"]) == (2, 100.0, 0.0)
    assert result.final_equity == 900.0


def test_funding_in_a_gap_is_charged_at_the_next_bar():
    rows = [QUIET, QUIET, None, None, QUIET]
    result = simulate(rows, {0: [buy(10)]}, stamps=[(2 * MINUTE, 0.01, NAN)])
    assert result.funding["payment"].tolist() == [-10.0]
    assert len(result.equity) == 3


def test_no_funding_on_spot_or_when_switched_off():
    for fields in ({"market": TradingMarket.SPOT}, {"funding": False}):
        assert not len(simulate(FLAT4, {0: [buy(1)]}, stamps=[(MINUTE, 0.01, NAN)], **fields).funding)


def test_worst_and_best_pnl_come_from_the_way_after_the_fill():
    rows = [QUIET, (100.0, 150.0, 60.0, 110.0), (110.0, 120.0, 105.0, 106.0)]
    at_close = simulate(rows, {1: [buy(1)], 2: [close()]}).trades[0]
    assert (at_close["mae"], at_close["mfe"]) == (-5.0, 10.0)
    at_open = simulate(rows, {0: [buy(1)], 1: [close()]}, fill=OPEN).trades[0]
    assert (at_open["mae"], at_open["mfe"]) == (-40.0, 50.0)


@pytest.mark.parametrize(("path", "best"), [(PathRule.PESSIMISTIC, 0.0), (PathRule.OPTIMISTIC, 200.0)])
def test_best_pnl_before_a_liquidation_follows_the_path_rule(path, best):
    rows = [QUIET, (100.0, 120.0, 80.0, 100.0)]
    trade = simulate(rows, {0: [buy(10, **LEVER)]}, path=path).trades[0]
    assert trade["mfe"] == best


def test_missing_bars_stand_at_the_last_close():
    others = [[(50.0, 50.0, 50.0, 50.0), None, (60.0, 60.0, 60.0, 60.0)]]
    result = simulate([QUIET] * 3, {0: [buy(1, i_symbol=1)]}, others=others)
    assert result.equity["unrealised_pnl"].tolist() == [0.0, 0.0, 10.0]


def test_rows_tell_an_open_trade_and_its_entry():
    result = simulate(UP, {0: [buy(2, tag="first")], 1: [buy(1)]})
    trade = result.trades[0]
    assert (trade["i_bar_exit"], trade["exit_ms"], trade["exit_reason"]) == (-1, -1, ExitReason.OPEN)
    assert trade["entry_price"] == pytest.approx((2 * 100 + 110) / 3)
    assert trade["qty"] == 3.0
    assert np.isnan(trade["exit_price"])
    assert result.tags[trade["i_tag"]] == "first"
    assert result.fills["time_ms"].tolist() == [START + MINUTE, START + 2 * MINUTE]
    assert result.equity["time_ms"].tolist() == [START + MINUTE * i for i in (1, 2, 3)]
    assert result.equity["exposure"][0] == pytest.approx(0.2)
