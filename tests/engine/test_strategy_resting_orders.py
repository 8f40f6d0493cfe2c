"""Orders that wait, and those that guard a position, as a strategy sees and changes them."""

import pytest

from backtests.engine.errors import OrderError, ResourceLimitError
from backtests.engine.loop import run
from backtests.engine.strategy import Session, load_strategy
from tests.engine.strategy_stage import make_bars, make_feed, make_request, play, seen

# Bars open at the close before and reach 1 beyond both: 100..102, then 101..105, ...
CLOSES = (100, 101, 104, 103, 99, 95)


def raised(call, **fields):
    with pytest.raises(OrderError) as caught:
        play(f"def initialize(self): pass\ndef on_data(self, data):\n    {call}", **fields)
    return str(caught.value)


def test_a_limit_order_waits_and_fills_at_its_price():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 2:
                self.order = self.buy(1, limit=102.5, tag="dip")
                order = self.order
                self.seen += [bool(order), order.status, order.kind, order.limit, order.stop, order.is_waiting]
                self.seen += [order.qty, order.tag, order.is_reduce_only, order.parent]
            if self.i_bar == 3:
                self.seen += [self.order.status, self.order.average_price, self.order.is_waiting]
        """,
        closes=CLOSES,
    )
    assert found == [
        *(True, "pending", "limit", 102.5, None, True, 1, "dip", False, None),
        *("filled", 102.5, False),
    ]


def test_attached_orders_know_their_entry_and_it_knows_them():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                entry = self.buy(1, stop_loss=90, take_profit=[(0.5, 110), (0.5, 120)], trailing_ratio=0.2)
                self.seen += [[(a.kind, a.side, a.stop, a.status) for a in entry.attached]]
                self.seen += [{a.parent == entry for a in entry.attached}, {a.is_reduce_only for a in entry.attached}]
                self.seen += [entry.attached[0].attached, repr(entry.attached[0])]
        """,
        closes=CLOSES,
    )
    kinds = [("stop_loss", 90), ("take_profit", 110), ("take_profit", 120), ("trailing_stop", 80)]
    assert found[0] == [(kind, "sell", stop, "pending") for kind, stop in kinds]
    assert found[1:4] == [{True}, {True}, ()]
    assert found[4].startswith("<Order 1: stop_loss sell")


def test_a_stop_can_follow_the_price_by_modify():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                self.guard = self.buy(1, stop_loss=90).attached[0]
            elif self.guard.is_waiting:
                self.seen.append((self.guard.modify(stop=data.close * 0.98), self.guard.stop))
            else:
                self.seen.append((self.guard.status, self.guard.average_price))
        """,
        closes=CLOSES,
    )
    assert found[1] == (True, pytest.approx(104 * 0.98))
    assert found[-1] == ("filled", pytest.approx(103 * 0.98))


def test_a_change_that_is_refused_answers_false_and_changes_nothing():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                guard = self.buy(1, stop_loss=90).attached[0]
                self.seen += [guard.modify(stop=105), guard.stop, guard.status]
                entry = self.buy(1, limit=95)
                self.seen += [entry.modify(qty=1_000_000), entry.qty, entry.modify(limit=96, qty=2)]
                self.seen += [entry.limit, entry.qty]
        """,
        closes=CLOSES,
    )
    assert found == [False, 90, "pending", False, 1, True, 96, 2]


@pytest.mark.parametrize(
    "call",
    [
        "self.buy(1).modify(qty=2)",  # filled in the call
        "self.buy(1, limit=90).modify(stop=80)",
        "self.buy(1, stop=120).modify(limit=130)",
        "self.buy(1, stop_loss=90).attached[0].modify(limit=80)",
        "self.buy(1, stop_loss=90).attached[0].modify(qty=0.5)",
        "self.buy(1_000_000).modify(qty=1)",  # rejected
        "self.buy(1, limit=90).modify()",
        "self.buy(1, limit=90).modify(limit=-1)",
        "self.buy(1, limit=90).modify(limit=float('nan'))",
        "self.buy(1, limit=90).modify(qty=0)",
        "order = self.buy(1, limit=90); order.cancel(); order.modify(limit=91)",
    ],
)
def test_changing_what_cannot_be_changed_is_an_error(call):
    assert raised(call).endswith(".")


def test_a_stop_and_a_target_can_be_set_later_and_moved():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0:
                self.seen.append(self.set_stop_loss(90).reject_reason)
                self.buy(1)
                self.first = self.set_stop_loss(90)
                self.second = self.set_stop_loss(94)
                self.target = self.set_take_profit(104.5)
                self.seen += [self.first.reject_reason, self.second.stop, self.second.kind, self.target.kind]
                self.seen += [bool(self.set_take_profit(99)), self.target.status]
            if self.i_bar == 3:
                self.seen += [self.target.status, self.second.reject_reason, self.get_position_size()]
        """,
        closes=CLOSES,
    )
    assert found == [
        *("NO_POSITION", "REPLACED", 94, "stop_loss", "take_profit", False, "pending"),
        *("filled", "POSITION_CLOSED", 0),
    ]


def test_hooks_hear_of_attached_orders_and_fills_tell_their_kind():
    found = seen(
        """
        def initialize(self): self.seen = []
        def on_order(self, order): self.seen.append((self.i_bar, order.kind, order.status, order.reject_reason))
        def on_fill(self, fill): self.seen.append((self.i_bar, fill.kind, fill.is_maker, fill.order.order_id))
        def on_trade_closed(self, trade): self.seen.append((self.i_bar, trade.exit_reason))
        def on_data(self, data):
            if self.i_bar == 0: self.buy(1, limit=99.5, stop_loss=80, take_profit=104)
        """,
        closes=CLOSES,
    )
    assert found == [
        *((1, "limit", True, 0), (1, "limit", "filled", "")),
        *((2, "take_profit", False, 2), (2, "take_profit"), (2, "stop_loss", "cancelled", "POSITION_CLOSED")),
        (2, "take_profit", "filled", ""),
    ]


def test_an_order_good_for_a_bar_is_over_when_the_next_is_seen():
    found = seen(
        """
        def initialize(self): self.seen = []
        def on_order(self, order): self.seen.append((self.i_bar, order.reject_reason))
        def on_data(self, data):
            if self.i_bar == 0: self.order = self.buy(1, limit=90, good_for_bars=2)
            if self.i_bar in (1, 2): self.seen.append((self.i_bar, self.order.status))
        """,
        closes=CLOSES,
    )
    assert found == [(1, "pending"), (2, "GOOD_FOR_BARS"), (2, "expired")]


def test_the_fill_of_a_liquidation_belongs_to_no_order():
    found = seen(
        """
        def initialize(self): self.seen = []
        def on_fill(self, fill): self.seen.append((fill.kind, fill.order and fill.order.order_id))
        def on_data(self, data):
            if self.i_bar == 0: self.buy(equity_ratio=0.5, leverage=20)
        """,
        closes=(100, 100, 80, 80),
    )
    assert found == [("market", 0), ("liquidation", None)]


def test_changes_count_towards_the_limit_of_orders():
    feed = make_feed(make_bars([100] * 20))
    body = "  if self.i_bar == 0: self.o = self.buy(1, limit=50)\n  self.o.modify(limit=50 + self.i_bar)"
    source = f"class S(Strategy):\n def initialize(self): pass\n def on_data(self, data):\n{body}"
    session = Session(load_strategy(source), max_orders=5)
    with pytest.raises(ResourceLimitError, match="at most 5 orders"):
        run(session, make_request(feed), feed)


def test_cancelling_what_no_longer_waits_is_false_also_at_the_end():
    found = seen(
        """
        def on_data(self, data):
            if self.i_bar == 0: self.order = self.buy(1, limit=50)
        def on_finish(self): self.seen += [self.order.status, self.order.cancel()]
        """,
        closes=CLOSES,
    )
    assert found == ["expired", False]
