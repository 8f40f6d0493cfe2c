"""Orders as a strategy makes them: sizes, answers, refusals, errors."""

import math
import re

import pytest

from backtests.engine.errors import OrderError, ResourceLimitError
from backtests.engine.loop import run
from backtests.engine.strategy import Session, load_strategy
from tests.engine.strategy_stage import make_bars, make_feed, make_request, play, seen


def raised(call, error=OrderError, **fields):
    """The message of what a call in on_data raises."""
    with pytest.raises(error) as caught:
        play(f"def initialize(self): pass\ndef on_data(self, data): self.{call}", **fields)
    return str(caught.value)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("buy()", "exactly one way.*none is given"),
        ("buy(1, notional=100)", "exactly one way.*amount and notional are given"),
        ("sell(notional=100, equity_ratio=0.5)", "notional and equity_ratio are given"),
        ("buy(-1)", "amount must be above zero, not -1. buy.. and sell.. say the direction"),
        ("buy(0)", "amount must be above zero, not 0"),
        ("buy(float('nan'))", "amount is NaN. An indicator is NaN until"),
        ("buy(float('inf'))", "amount is infinite"),
        ("buy('1')", "amount must be a number, not '1'"),
        ("buy(True)", "amount must be a number, not True"),
        ("buy([1])", "amount must be a number"),
        ("buy(equity_ratio=1.5)", "at most 1.0, not 1.5. Leverage goes beyond it"),
        ("buy(equity_ratio=0)", "equity_ratio must be above zero"),
        ("buy(1, leverage=0.5)", "leverage must be at least 1, not 0.5"),
        ("buy(1, leverage=float('nan'))", "leverage is NaN"),
        ("buy(1, symbol='ETHUSDT')", "'ETHUSDT' is not in this run; its symbols are: BTCUSDT"),
        ("buy(1, symbol=['BTCUSDT'])", "is not in this run"),
        ("buy(1, stop_loss=-1)", "stop_loss must be above zero"),
        ("buy(1, limit=float('nan'))", "limit is NaN"),
        ("buy(1, take_profit=[(0.6, 110), (0.6, 120)])", "sum to at most 1"),
        ("buy(1, take_profit=[110, 120])", "list of .share, price."),
        ("buy(1, trailing_ratio=2)", "ratio below 1"),
        ("buy(1, good_for_bars=1.5)", "whole number of bars"),
        ("buy(1, post_only=True)", "post_only belongs to a limit order"),
        ("buy(1, reduce_only=True, stop_loss=90)", "stop_loss guards what an order opens"),
        ("sell(1, reduce_only=True, trailing_ratio=0.1)", "trailing_ratio guards"),
        ("buy(1, trailing_ratio=0)", "trailing_ratio must be above zero"),
        ("buy(1, trailing_ratio=1)", "ratio below 1"),
        ("buy(1, take_profit=[])", "sum to at most 1"),
        ("buy(1, take_profit=[(0, 110)])", "take_profit share must be above zero"),
        ("buy(1, take_profit=[(0.5, float('nan'))])", "take_profit is NaN"),
        ("buy(1, take_profit='110')", "take_profit must be a number"),
        ("buy(1, limit=1e300)", "no price is that high"),
        ("buy(1, stop=0)", "stop must be above zero"),
        ("buy(1, good_for_bars=0)", "good_for_bars must be above zero"),
        ("buy(1, good_for_bars=1e12)", "whole number of bars"),
        ("set_stop_loss(float('nan'))", "price is NaN"),
        ("set_stop_loss(-1)", "price must be above zero"),
        ("set_take_profit(110, 'ETHUSDT')", "'ETHUSDT' is not in this run"),
        ("buy(1, tag=5)", "tag must be a text"),
        ("buy(1, tag='x' * 65)", "at most 64 characters"),
        ("close_position(0)", "percentage must be above zero"),
        ("close_position(101)", "percentage must be at most 100"),
        ("target_ratio(float('nan'))", "ratio is NaN"),
        ("cancel(5)", "an order that buy or sell returned, not 5"),
    ],
)
def test_a_call_that_can_never_be_an_order_is_an_error_in_clear_words(call, text):
    assert re.search(text, raised(call))


@pytest.mark.parametrize(
    "call", ["buy(1)", "close_position()", "target_ratio(1)", "cancel_all()", "set_stop_loss(9)", "set_take_profit(9)"]
)
def test_orders_from_initialize_are_an_error(call):
    with pytest.raises(OrderError, match="not in initialize"):
        play(f"def initialize(self): self.{call}\ndef on_data(self, data): pass")


def test_orders_from_on_finish_are_an_error():
    with pytest.raises(OrderError, match="on_finish"):
        play("def initialize(self): pass\ndef on_data(self, data): pass\ndef on_finish(self): self.buy(1)")


def test_a_market_order_fills_inside_the_call():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                order = self.buy(2, leverage=4, tag="entry")
                self.seen += [bool(order), order.status, order.reject_reason, order.filled_qty, order.average_price]
                self.seen += [order.side, order.kind, order.symbol, order.qty, order.is_waiting, order.attached]
                self.seen += [self.get_position_size(), self.get_entry_price(), self.get_leverage()]
        """
    )
    assert found == [True, "filled", "", 2, 100, "buy", "market", "BTCUSDT", 2, False, (), 2, 100, 4]


def test_under_next_open_an_order_waits_and_can_be_cancelled():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                self.first, self.second, self.third = self.buy(1), self.buy(2), self.buy(4)
                self.seen += [self.first.status, bool(self.first), self.first.cancel(), self.cancel(self.second)]
                self.seen += [self.first.cancel()]
            if self.i_bar == 1:
                self.seen += [self.first.status, self.first.reject_reason, self.second.status]
                self.seen += [self.third.status, self.get_position_size()]
        """,
        fill="next_open",
    )
    assert found == [
        *("pending", True, True, True, False),
        *("cancelled", "BY_STRATEGY", "cancelled", "filled", 4),
    ]


def test_cancel_all_cancels_what_waits():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                self.order = self.buy(1)
                self.cancel_all()
                self.seen.append(self.order.status)
        """,
        fill="next_open",
    )
    assert found == ["cancelled"]


def test_a_rejected_order_is_falsy_and_says_why():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                order = self.buy(1_000_000)
                self.seen += [bool(order), order.status, order.reject_reason]
                nothing = self.close_position()
                self.seen += [bool(nothing), nothing.reject_reason]
        """
    )
    assert found == [False, "rejected", "INSUFFICIENT_MARGIN", False, "NO_POSITION"]


def test_sizes_by_notional_and_by_equity_ratio():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                self.buy(notional=500)
                self.seen.append(self.get_position_size())
                self.close_position()
                self.buy(equity_ratio=1.0, leverage=3)
                self.seen += [self.get_position_size(), self.position.margin_used / self.get_equity()]
        """,
        taker_fee=0,
    )
    assert found == pytest.approx([5, 300, 1.0])


def test_an_indicator_can_be_a_size():
    found = seen(
        """
        def initialize(self):
            self.seen = []
            self.qty = self.indicator(lambda close: close / 100, "close")
        def on_data(self, data):
            if self.i_bar == 0:
                self.seen.append(self.buy(self.qty).filled_qty)
        """
    )
    assert found == [1]


def test_close_position_by_percentage_and_flip():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                self.buy(4)
                self.close_position(25)
                self.seen.append(self.get_position_size())
                self.sell(5)
                self.seen.append(self.get_position_size())
                self.sell(1, reduce_only=True)
                self.seen.append(self.get_position_size())
                self.close_position()
                self.seen.append(self.get_position_size())
        """
    )
    assert found == [3, -2, -2, 0]


def test_target_ratio_trades_to_a_share_of_the_equity():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                for ratio in (0.5, -0.5, 0):
                    self.target_ratio(ratio, leverage=2)
                    self.seen.append(self.get_position_size())
        """,
        taker_fee=0,
    )
    assert found == pytest.approx([50, -50, 0])


def test_an_order_beyond_the_limit_of_orders_names_the_limit():
    feed = make_feed(make_bars([100] * 20))
    source = "class S(Strategy):\n def initialize(self): pass\n def on_data(self, data): self.buy(0.01)"
    session = Session(load_strategy(source), max_orders=5)
    with pytest.raises(ResourceLimitError, match="at most 5 orders") as caught:
        run(session, make_request(feed), feed)
    assert (caught.value.limit, session.account.n_commands) == ("max_orders", 5)


def test_orders_of_another_symbol_go_to_that_symbol():
    feed = make_feed(make_bars([100] * 4), make_bars([10] * 4))
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 1:
                order = self.sell(3, symbol="ETHUSDT")
                self.seen += [order.symbol, self.get_position_size("ETHUSDT"), self.get_position_size()]
                self.seen += [sorted(self.portfolio.positions), self.portfolio.positions["ETHUSDT"].position_type]
        """,
        feed=feed,
    )
    assert found == ["ETHUSDT", -3, 0, ["ETHUSDT"], "short"]


def test_the_account_at_a_glance():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                self.seen += [self.get_margin_ratio(), self.get_liquidation_price(), bool(self.position)]
                self.buy(10, leverage=10)
            if self.i_bar == 1:
                self.seen += [self.get_cash(), self.get_equity(), self.get_unrealized_pnl()]
                self.seen += [self.portfolio.wallet_balance, self.portfolio.available_balance, self.portfolio.equity]
                self.seen += [self.position.size, self.position.entry_price, self.position.is_long]
                self.seen += [0 < self.get_margin_ratio() < 1, 85 < self.get_liquidation_price() < 95]
        """,
        taker_fee=0,
    )
    assert found == [0, None, False, 9_900, 10_010, 10, 10_000, 9_900, 10_010, 10, 100, True, True, True]


def test_flat_has_no_entry_price():
    (entry,) = seen("def on_data(self, data):\n    if not self.seen: self.seen.append(self.get_entry_price())")
    assert math.isnan(entry)
