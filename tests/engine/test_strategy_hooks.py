"""Hooks, in the order of events; and a strategy that takes itself apart."""

import textwrap

import numpy as np
import pytest

from backtests.engine.request import Feed, FundingEvents, SymbolFeed
from tests.engine.strategy_stage import make_bars, make_feed, play, seen

NOTE = """
def initialize(self): self.seen = []
def on_order(self, order): self.seen.append(("order", self.i_bar, order.status))
def on_fill(self, fill): self.seen.append(("fill", self.i_bar, fill.side, fill.qty))
def on_trade_closed(self, trade): self.seen.append(("trade", self.i_bar, trade.side, trade.exit_reason))
def on_liquidation(self, trade): self.seen.append(("liquidation", self.i_bar, trade.exit_reason))
def on_funding(self, payment): self.seen.append(("funding", self.i_bar, payment.payment))
def on_finish(self): self.seen.append(("finish", self.i_bar))
"""


def test_hooks_come_in_the_order_of_events():
    body = """
    def on_data(self, data):
        if self.i_bar == 0: self.buy(1)
        if self.i_bar == 2: self.close_position()
        self.seen.append(("data", self.i_bar))
    """
    assert seen(NOTE + textwrap.dedent(body), closes=(100, 101, 102, 103)) == [
        ("data", 0),
        ("fill", 0, "buy", 1),
        ("order", 0, "filled"),
        ("data", 1),
        ("data", 2),
        ("fill", 2, "sell", 1),
        ("trade", 2, "long", "order"),
        ("order", 2, "filled"),
        ("data", 3),
        ("finish", 3),
    ]


def test_a_liquidation_is_heard_before_the_bar():
    body = """
    def on_data(self, data):
        self.seen.append(("data", self.i_bar))
        if self.i_bar == 0: self.buy(equity_ratio=0.5, leverage=20)
    """
    found = seen(NOTE + textwrap.dedent(body), closes=(100, 100, 80, 80))
    assert ("liquidation", 2, "liquidation") in found[: found.index(("data", 2))]
    assert found.count(("liquidation", 2, "liquidation")) == 1


def test_orders_from_a_hook_count_as_made_at_this_close():
    found = seen(
        """
        def on_fill(self, fill):
            if fill.side == "buy":
                self.seen.append((self.i_bar, fill.price, fill.symbol, fill.time.hour, bool(self.close_position())))
        def on_data(self, data):
            if self.i_bar == 1: self.buy(1)
            self.seen.append(self.get_position_size())
        """,
        closes=(100, 101, 102),
    )
    assert found == [0, 1, (1, 101, "BTCUSDT", 2, True), 0]


def test_a_row_names_the_fields_that_it_has():
    with pytest.raises(AttributeError, match=r"Fill has no 'cost'; it has symbol, .*price"):
        play("def initialize(self): pass\ndef on_fill(self, fill): fill.cost\ndef on_data(self, data): self.buy(1)")


def test_the_payment_of_funding_is_heard():
    plain = make_feed(make_bars((100, 100, 100, 100))).symbols[0]
    stamp = np.array([plain.bars.open_ms[2]], np.int64)
    funding = FundingEvents(stamp, np.array([0.01]), np.array([np.nan]))
    feed = Feed((SymbolFeed(plain.instrument, plain.bars, funding=funding),))
    found = seen(NOTE + "def on_data(self, data):\n    if self.i_bar == 0: self.buy(1)", feed=feed)
    assert ("funding", 2, -1.0) in found


TAKEN_APART = """
def initialize(self): pass
def on_data(self, data):
    if self.i_bar == 0: self.buy(1)
    if self.i_bar == 1: self.close_position()
    {harm}
"""


@pytest.mark.parametrize("harm", ["self.on_data = None", "type(self).on_data = None", "self.extra = data"])
def test_a_strategy_that_replaces_its_attributes_harms_nothing(harm):
    whole = play(TAKEN_APART.format(harm="pass"))[1]
    assert play(TAKEN_APART.format(harm=harm))[1].result_hash() == whole.result_hash()


def test_a_strategy_that_deletes_its_attributes_harms_only_itself():
    with pytest.raises(AttributeError):
        play(TAKEN_APART.format(harm="self.__dict__.clear()"))


def test_a_strategy_without_trades_leaves_the_balance_alone():
    _, result, _ = play("def initialize(self): pass\ndef on_data(self, data): pass")
    assert (len(result.orders), len(result.trades), result.final_equity) == (0, 0, 10_000)
