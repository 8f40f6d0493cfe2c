"""Cross margin: one wallet bears all positions. Candles in, fills out, by hand.

TIERS of the stage: 0.4 % up to a notional of 50,000.
"""

import pytest

from backtests.engine import MarginMode, liquidation_price
from backtests.engine.kernels.types import ExitReason, OrderKind, OrderStatus, Reason
from backtests.engine.loop import run
from backtests.engine.request import FillPolicy, TradingMarket
from tests.engine.market_stage import QUIET, TIERS, buy, close, sell, simulate, stage
from tests.engine.scenarios import MINUTE, Script

NAN = float("nan")
LEVER = {"leverage": 20.0}
SECOND = {"i_symbol": 1}
FEE = {"liquidation_fee_rate": 0.01}
KEEP = 0.004


def cross(rows, script, **fields):
    return simulate(rows, script, margin_mode=MarginMode.CROSS, **fields)


def flat(price):
    return (price, price, price, price)


def test_single_position_lives_on_the_whole_wallet():
    """Long 10 at 100 with 20x: isolated it would go at 95.38, the wallet of 500 carries it to 50.20."""
    rows = [QUIET, (100.0, 100.0, 51.0, 60.0), (60.0, 60.0, 40.0, 60.0)]
    result = cross(rows, {0: [buy(10, **LEVER)]}, initial_balance=500.0)
    price = liquidation_price(side=1, qty=10, entry_price=100, wallet_balance=500, tiers=TIERS)
    assert price == pytest.approx(500 / (10 * (1 - KEEP)))
    (gone,) = result.liquidations
    assert gone["i_bar"] == 2
    assert gone["price"] == gone["liquidation_price"] == price
    assert gone["margin_wallet"] == 500.0
    assert gone["loss"] == pytest.approx(10 * (100 - price))
    assert result.final_equity == pytest.approx(gone["maintenance_margin"])  # what is left when no fee takes it
    assert result.trades["exit_reason"][0] == ExitReason.LIQUIDATION


def test_gap_through_the_liquidation_price_closes_at_the_open_and_the_rest_is_covered():
    result = cross([QUIET, (40.0, 45.0, 39.0, 41.0)], {0: [buy(10, **LEVER)]}, initial_balance=500.0)
    (gone,) = result.liquidations
    assert (gone["price"], gone["loss"], gone["covered"]) == (40.0, 500.0, 100.0)
    assert result.final_equity == 0.0
    assert result.is_ruined


SHORT_TOO = {0: [buy(10, **LEVER), sell(10, **SECOND, **LEVER)]}


def test_gain_of_one_position_keeps_the_other_alive():
    """The short wins 600, then the long loses 600 of a wallet of 500: alone it would not have lived."""
    rows = [QUIET, QUIET, (100.0, 100.0, 40.0, 40.0)]
    alone = cross(rows, {0: [buy(10, **LEVER)]}, initial_balance=500.0)
    assert len(alone.liquidations) == 1
    others = [[QUIET, (100.0, 100.0, 40.0, 40.0), flat(40.0)]]
    result = cross(rows, SHORT_TOO, others=others, initial_balance=500.0)
    assert not len(result.liquidations)
    assert result.equity["margin_balance"].tolist() == [500.0, 1100.0, 500.0]
    ratio = 2 * 10 * 40 * KEEP / 500
    assert result.equity["margin_ratio"][-1] == pytest.approx(ratio)


def test_account_wide_liquidation_closes_all_at_one_time_of_the_path():
    """Both longs fall from 100: to 60 and to 80 on the first leg. 20 x 100 - (10 x 60 + 10 x 80) = 600 > 500."""
    rows = [QUIET, (100.0, 100.0, 60.0, 90.0)]
    script = {0: [buy(10, **LEVER), buy(10, **SECOND, **LEVER)]}
    result = cross(rows, script, others=[[QUIET, (100.0, 100.0, 80.0, 90.0)]], initial_balance=500.0)
    # 500 - 10 x 40 t - 10 x 20 t = 0.004 x 10 x (200 - 60 t)
    time = (500 - KEEP * 2000) / (600 - KEEP * 600)
    first, second = result.liquidations
    assert (first["i_symbol"], second["i_symbol"]) == (0, 1)
    assert first["price"] == pytest.approx(100 - 40 * time)
    assert second["price"] == pytest.approx(100 - 20 * time)
    assert first["margin_wallet"] == second["margin_wallet"] == 500.0
    together = 500 + result.liquidations["unrealised_pnl"].sum()
    assert together == pytest.approx(result.liquidations["maintenance_margin"].sum())  # the ratio is 1
    for gone in (first, second):
        assert gone["liquidation_price"] == pytest.approx(gone["price"])
    assert result.final_equity == pytest.approx(together)
    assert list(result.fills["kind"][2:]) == [OrderKind.LIQUIDATION] * 2


def test_loss_beyond_the_wallet_is_covered_and_gains_come_first():
    """The gap: the long of symbol 0 loses 700, the short of symbol 1 wins 100, each pays a fee of 1 %."""
    rows = [QUIET, flat(30.0)]
    result = cross(rows, SHORT_TOO, others=[[QUIET, flat(90.0)]], instrument=FEE, initial_balance=500.0)
    gain, loss = result.liquidations
    assert (gain["i_symbol"], loss["i_symbol"]) == (1, 0)
    assert gain["loss"] == pytest.approx(9 - 100)
    assert loss["loss"] + gain["loss"] == pytest.approx(500.0)
    assert loss["covered"] == pytest.approx(700 + 3 - 91 - 500)
    assert result.final_equity == 0.0
    assert result.trades["liquidation_loss"].sum() == pytest.approx(500.0)


def test_waiting_orders_of_all_symbols_end_with_the_account():
    rows = [QUIET, flat(100.0), flat(40.0)]
    others = [[QUIET, QUIET, flat(40.0)], [QUIET, QUIET, flat(100.0)]]
    script = {0: SHORT_TOO[0][:1], 1: [buy(0.1, i_symbol=2), close(), buy(1, **SECOND)]}
    fields = {"others": others, "fill": FillPolicy.NEXT_OPEN, "initial_balance": 500.0}
    result = cross(rows, script, **fields)
    assert len(result.liquidations) == 1
    assert set(result.orders["status"][1:]) == {OrderStatus.CANCELLED}
    assert set(result.orders["reason"][1:]) == {Reason.LIQUIDATED}


def test_funding_moves_the_wallet_and_can_end_the_account():
    """Two longs bind 100 of a wallet of 110. Funding of 10 % on symbol 0 takes 100: 10 is above 8, not above 12."""
    script = {0: [buy(10, **LEVER), buy(10, **SECOND, **LEVER)]}
    fields = {"others": [[QUIET] * 3], "initial_balance": 110.0}
    lives = cross([QUIET] * 3, script, stamps=[(MINUTE, 0.1, NAN)], **fields)
    assert lives.funding["payment"].tolist() == [-100.0]
    assert not len(lives.liquidations)
    assert lives.equity["wallet_balance"][-1] == pytest.approx(10.0)
    assert lives.equity["margin_ratio"][-1] == pytest.approx(0.8)
    dies = cross([QUIET] * 3, script, stamps=[(MINUTE, 0.103, NAN)], **fields)
    assert dies.funding["payment"].tolist() == [-103.0]
    assert dies.liquidations["i_bar"].tolist() == [1, 1]
    assert dies.final_equity == pytest.approx(7.0)


def test_funding_takes_at_most_the_wallet():
    result = cross([QUIET] * 3, {0: [buy(10, **LEVER)]}, stamps=[(MINUTE, 0.5, NAN)], initial_balance=300.0)
    assert result.funding["payment"].tolist() == [-300.0]
    assert result.liquidations["loss"].tolist() == [0.0]
    assert result.is_ruined


def test_reducing_loss_is_bounded_by_the_wallet():
    """The last price falls to 40 while the mark stands still: closing costs 600, the wallet has 500."""
    rows = [QUIET, flat(40.0)]
    result = cross(rows, {0: [buy(10, **LEVER)], 1: [close()]}, mark=[QUIET, QUIET], initial_balance=500.0)
    fill = result.fills[-1]
    assert (fill["realised_pnl"], fill["covered"], fill["wallet_balance"]) == (-600.0, 100.0, 0.0)
    assert result.trades["pnl"][0] == pytest.approx(-500.0)
    assert result.is_ruined


def test_unrealised_profit_is_available_for_entries():
    """+400 unrealised: 500 + 400 - 10 x 140 / 20 = 830 are available, 16.6 more at 20x of a price of 1,000."""
    others = [[flat(1000.0)] * 2]
    rows = [QUIET, flat(140.0)]
    for size, status in ((16.599, OrderStatus.FILLED), (16.601, OrderStatus.REJECTED)):
        script = {0: [buy(10, **LEVER)], 1: [buy(size, **SECOND, **LEVER)]}
        order = cross(rows, script, others=others, initial_balance=500.0).orders[1]
        assert order["status"] == status
    assert order["reason"] == Reason.INSUFFICIENT_MARGIN
    script = {0: [buy(10, **LEVER)], 1: [buy(10, **SECOND, **LEVER)]}
    isolated = simulate(rows, script, others=others, initial_balance=500.0)
    assert isolated.orders["reason"][1] == Reason.INSUFFICIENT_MARGIN


def test_entry_whose_fee_the_wallet_cannot_pay_is_refused():
    """Funding has left 5 in the wallet; profit would carry the margin of 50, but the fee of 1 % is 10."""
    rows, others = [QUIET, flat(140.0), flat(140.0)], [[QUIET] * 3]
    entry = {"script": None, "others": others, "stamps": [(MINUTE, 0.35, 140.0)], "taker_fee": 0.01}
    for size, status in ((10, OrderStatus.REJECTED), (4, OrderStatus.FILLED)):
        script = {0: [buy(10, leverage=50.0)], 1: [buy(size, **SECOND, **LEVER)]}
        result = cross(rows, **{**entry, "script": script}, initial_balance=505.0)
        assert result.equity["wallet_balance"][1] == pytest.approx(5.0 if size == 10 else 1.0)
        assert result.orders["status"][1] == status
    script[1] = [("target_ratio", {"ratio": 3.0, "i_symbol": 1, "leverage": 20.0})]
    result = cross(rows, **{**entry, "script": script}, initial_balance=505.0)
    assert result.orders["filled_qty"][1] == pytest.approx(5.0)  # a target is shaved to what can be paid
    assert result.equity["wallet_balance"][1] == pytest.approx(0.0, abs=1e-3)


def test_margin_released_by_one_position_raises_the_other_level():
    """After symbol 1 is closed with a loss of 100, symbol 0 is alone with a wallet of 400."""
    rows = [QUIET, QUIET, (100.0, 100.0, 50.0, 50.0)]
    script = {0: [buy(10, **LEVER), buy(10, **SECOND, **LEVER)], 1: [("close_position", SECOND)]}
    result = cross(rows, script, others=[[QUIET, flat(90.0), flat(90.0)]], initial_balance=500.0)
    (gone,) = result.liquidations
    assert gone["price"] == liquidation_price(side=1, qty=10, entry_price=100, wallet_balance=400, tiers=TIERS)


class Watch(Script):
    """Notes what the account says after its calls of each bar."""

    def __init__(self, script):
        super().__init__(script)
        self.seen = []

    def on_data(self, data):
        super().on_data(data)
        account = self.account
        levels = [account.liquidation_price(i) for i in range(2)]
        self.seen.append((account.cash, account.available_balance, account.margin_ratio, levels))


def test_account_tells_cash_available_balance_ratio_and_levels_at_the_marks():
    """Long 10 of symbol 0, from 100; short 10 of symbol 1, from 100 to 90."""
    rows, others = [QUIET, QUIET, QUIET], [[QUIET, flat(90.0), QUIET]]
    request, feed = stage(rows, others=others, margin_mode=MarginMode.CROSS, initial_balance=500.0)
    watch = Watch(SHORT_TOO)
    run(watch, request, feed)
    cash, available, ratio, levels = watch.seen[1]
    assert cash == pytest.approx(500 - 10 * 100 / 20 - 10 * 90 / 20)
    assert available == pytest.approx(cash + 100)
    needed = 10 * 100 * KEEP, 10 * 90 * KEEP
    assert ratio == pytest.approx(sum(needed) / 600)
    first = {"side": 1, "qty": 10, "entry_price": 100, "wallet_balance": 500, "tiers": TIERS}
    second = {**first, "side": -1}
    others = {"other_maintenance_margin": needed[1], "other_unrealized_pnl": 100}
    assert levels[0] == pytest.approx(liquidation_price(**first, **others))
    others = {"other_maintenance_margin": needed[0], "other_unrealized_pnl": 0}
    assert levels[1] == pytest.approx(liquidation_price(**second, **others))


def test_level_of_a_single_position_is_where_it_ends():
    request, feed = stage([QUIET] * 2, others=[[QUIET] * 2], margin_mode=MarginMode.CROSS, initial_balance=500.0)
    watch = Watch({0: [buy(10, **LEVER)]})
    run(watch, request, feed)
    level = liquidation_price(side=1, qty=10, entry_price=100, wallet_balance=500, tiers=TIERS)
    assert watch.seen[1][3] == [level, None]


def test_spot_runs_do_not_know_cross_margin():
    fields = {"market": TradingMarket.SPOT, "others": [[QUIET, QUIET]]}
    script = {0: [buy(10)], 1: [buy(1, **SECOND)]}
    result = cross([QUIET, flat(200.0)], script, **fields)
    assert result.orders["reason"][1] == Reason.INSUFFICIENT_MARGIN
