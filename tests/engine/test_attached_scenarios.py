"""Attached orders: what they cover, when they live, how they end. Candles in, fills out."""

import pytest

from backtests.engine.kernels.types import OrderKind
from backtests.engine.request import FillPolicy, PathRule, TradingMarket
from tests.engine.market_stage import QUIET, buy, close, sell
from tests.engine.order_stage import DOWN, UP, Case, cancel, check, ids, modify, stop_at, target_at

OPEN = {"fill": FillPolicy.NEXT_OPEN}
HALF_TICK = {"instrument": {"tick_size": 0.5}}
SLIP = {"slippage_bps": 100}
IN = (0, 1, 100, "market")
BRACKET = {"stop_loss": 95, "take_profit": 105}
GONE = "cancelled POSITION_CLOSED"

# fmt: off
EXITS = [
    Case("a stop-loss closes what its entry opened",
        [QUIET, DOWN], {0: [buy(1, **BRACKET)]}, [IN, (1, -1, 95, "stop_loss")], ["filled", "filled", GONE],
        ["stop_loss"]),
    Case("a take-profit too, and ends the stop",
        [QUIET, UP], {0: [buy(1, **BRACKET)]}, [IN, (1, -1, 105, "take_profit")], ["filled", GONE, "filled"],
        ["take_profit"]),
    Case("the stop of a short lies above",
        [QUIET, UP], {0: [sell(1, stop_loss=105, take_profit=95)]}, [(0, -1, 100, "market"), (1, 1, 105, "stop_loss")],
        ["filled", "filled", GONE], ["stop_loss"]),
    Case("and its target below",
        [QUIET, DOWN], {0: [sell(1, stop_loss=105, take_profit=95)]},
        [(0, -1, 100, "market"), (1, 1, 95, "take_profit")], ["filled", GONE, "filled"], ["take_profit"]),
    Case("at a gap the stop fills at the open beyond it",
        [QUIET, (90, 92, 89, 91)], {0: [buy(1, **BRACKET)]}, [IN, (1, -1, 90, "stop_loss")]),
    Case("and so does the target: it is a market order",
        [QUIET, (110, 112, 109, 111)], {0: [buy(1, **BRACKET)]}, [IN, (1, -1, 110, "take_profit")]),
    Case("a stop-loss slips",
        [QUIET, DOWN], {0: [buy(1, **BRACKET)]}, [(0, 1, 101, "market"), (1, -1, 94.05, "stop_loss")], settings=SLIP),
    Case("a take-profit slips",
        [QUIET, UP], {0: [buy(1, **BRACKET)]}, [(0, 1, 101, "market"), (1, -1, 103.95, "take_profit")], settings=SLIP),
    Case("with both in one bar the worse comes first",
        [QUIET, (100, 106, 94, 103)], {0: [buy(1, **BRACKET)]}, [IN, (1, -1, 95, "stop_loss")], ambiguous=1),
    Case("or the better, if the run says so",
        [QUIET, (100, 106, 94, 103)], {0: [buy(1, **BRACKET)]}, [IN, (1, -1, 105, "take_profit")], ambiguous=1,
        settings={"path": PathRule.OPTIMISTIC}),
    Case("not on the entry's own bar under `close`: that one is over",
        [QUIET, (100, 106, 94, 100), QUIET], {1: [buy(1, **BRACKET)]}, [(1, 1, 100, "market")],
        ["filled", "expired END_OF_DATA", "expired END_OF_DATA"]),
    Case("but from the open on under `next_open`",
        [QUIET, DOWN], {0: [buy(1, **BRACKET)]}, [(1, 1, 100, "market"), (1, -1, 95, "stop_loss")], settings=OPEN),
    Case("an entry that gaps beyond its own stop is closed at once",
        [QUIET, (93, 94, 92, 93)], {0: [buy(1, **BRACKET)]}, [(1, 1, 93, "market"), (1, -1, 93, "stop_loss")],
        settings=OPEN),
    Case("a bar without trades triggers nothing",
        [QUIET, DOWN, QUIET], {0: [buy(1, **BRACKET)]}, [IN], settings={"volumes": {1: 0.0}}),
    Case("spot has them too",
        [QUIET, DOWN], {0: [buy(1, **BRACKET)]}, [IN, (1, -1, 95, "stop_loss")],
        settings={"market": TradingMarket.SPOT}),
    Case("a stop is rounded away from the market, down",
        [QUIET, DOWN], {0: [buy(1, stop_loss=95.3)]}, [IN, (1, -1, 95, "stop_loss")], settings=HALF_TICK),
    Case("a target up",
        [QUIET, UP], {0: [buy(1, take_profit=104.7)]}, [IN, (1, -1, 105, "take_profit")], settings=HALF_TICK),
    Case("mirrored for a short",
        [QUIET, UP], {0: [sell(1, stop_loss=104.7)]}, [(0, -1, 100, "market"), (1, 1, 105, "stop_loss")],
        settings=HALF_TICK),
]

ENTRIES = [
    Case("after a limit entry the stop lives for the rest of the path",
        [QUIET, DOWN], {0: [buy(1, limit_price=97, stop_loss=95)]}, [(1, 1, 97, "limit"), (1, -1, 95, "stop_loss")]),
    Case("what the price did before the entry does not count",
        [QUIET, (100, 101, 94, 98)], {0: [buy(1, limit_price=95, take_profit=99)]}, [(1, 1, 95, "limit")],
        ambiguous=1),
    Case("what it does after it does",
        [QUIET, (100, 101, 94, 98)], {0: [buy(1, limit_price=95, take_profit=97)]},
        [(1, 1, 95, "limit"), (1, -1, 97, "take_profit")]),
    Case("after a stop entry too",
        [QUIET, UP], {0: [buy(1, stop_price=105, stop_loss=104)]}, [(1, 1, 105, "stop"), (1, -1, 104, "stop_loss")]),
    Case("an entry that waits keeps its children waiting",
        [QUIET, QUIET], {0: [buy(1, limit_price=97, **BRACKET)]}, [], ["expired END_OF_DATA", ..., ...]),
    Case("children of a cancelled entry end with it",
        [QUIET, DOWN], {0: [buy(1, limit_price=97, stop_loss=90, take_profit=120), cancel(0)]}, [],
        ["cancelled BY_STRATEGY", "cancelled ENTRY_ENDED", "cancelled ENTRY_ENDED"]),
    Case("children of an expired entry too",
        [QUIET, QUIET, QUIET], {0: [buy(1, limit_price=97, stop_loss=90, good_for_bars=1)]}, [],
        ["expired GOOD_FOR_BARS", "cancelled ENTRY_ENDED"]),
    Case("of one that is refused at its fill too",
        [QUIET, (108, 109, 95, 108)], {0: [buy(9.5, stop_price=105, stop_loss=90)]}, [],
        ["rejected INSUFFICIENT_MARGIN", "cancelled ENTRY_ENDED"]),
    Case("a refused entry has none",
        [QUIET, DOWN], {0: [buy(11, **BRACKET)]}, [], ["rejected INSUFFICIENT_MARGIN"]),
    Case("good_for_bars is the entry's alone",
        [QUIET, QUIET, DOWN], {0: [buy(1, stop_loss=95, good_for_bars=1)]}, [IN, (2, -1, 95, "stop_loss")]),
    Case("a stop on the wrong side of the last price refuses the whole order",
        [QUIET], {0: [buy(1, stop_loss=101), buy(1, stop_loss=100), sell(1, stop_loss=99)]}, [],
        ["rejected INVALID_PRICE"] * 3),
    Case("a target too",
        [QUIET], {0: [buy(1, take_profit=99), sell(1, take_profit=101), sell(1, take_profit=100)]}, [],
        ["rejected INVALID_PRICE"] * 3),
    Case("one bad target of several too",
        [QUIET], {0: [buy(1, take_profit=[(0.5, 110), (0.5, 99)])]}, [], ["rejected INVALID_PRICE"]),
    Case("of a limit order the limit counts",
        [QUIET, QUIET], {0: [buy(1, limit_price=95, stop_loss=96), buy(1, limit_price=95, take_profit=96)]}, [],
        ["rejected INVALID_PRICE", "expired END_OF_DATA", ...]),
    Case("of a stop order the trigger",
        [QUIET, QUIET], {0: [buy(1, stop_price=105, take_profit=104), buy(1, stop_price=105, stop_loss=104)]}, [],
        ["rejected INVALID_PRICE", "expired END_OF_DATA", ...]),
    Case("of a stop-limit order the limit",
        [QUIET, QUIET], {0: [buy(1, stop_price=105, limit_price=107, take_profit=106)]}, [],
        ["rejected INVALID_PRICE"]),
    Case("compared after rounding: 99.9 is rounded down to 99.5",
        [QUIET, (100, 100, 99.5, 100)], {0: [buy(1, stop_loss=99.9)]}, [IN, (1, -1, 99.5, "stop_loss")],
        settings=HALF_TICK),
]

COVER = [
    Case("several targets take their shares",
        [QUIET, UP, (103, 111, 103, 110)], {0: [buy(2, take_profit=[(0.5, 105), (0.5, 110)])]},
        [(0, 2, 100, "market"), (1, -1, 105, "take_profit"), (2, -1, 110, "take_profit")], ["filled"] * 3,
        ["take_profit"]),
    Case("the stop shrinks with each",
        [QUIET, UP, (103, 103, 94, 96)], {0: [buy(2, stop_loss=95, take_profit=[(0.5, 105), (0.5, 110)])]},
        [(0, 2, 100, "market"), (1, -1, 105, "take_profit"), (2, -1, 95, "stop_loss")],
        ["filled", "filled", "filled", GONE], ["stop_loss"]),
    Case("the last target takes the rounding",
        [QUIET, (100, 113, 99, 112)], {0: [buy(0.005, take_profit=[(1 / 3, 110), (1 / 3, 111), (1 / 3, 112)])]},
        [(0, 0.005, 100, "market"), (1, -0.001, 110, "take_profit"), (1, -0.001, 111, "take_profit"),
         (1, -0.003, 112, "take_profit")]),
    Case("shares below 1 leave a rest open",
        [QUIET, UP], {0: [buy(0.005, take_profit=[(0.5, 105)])]},
        [(0, 0.005, 100, "market"), (1, -0.002, 105, "take_profit")], exits=["open"]),
    Case("a share of no step takes nothing",
        [QUIET, UP, QUIET], {0: [buy(0.001, take_profit=[(0.5, 104), (0.5, 105)])]},
        [(0, 0.001, 100, "market"), (1, -0.001, 105, "take_profit")]),
    Case("targets may come in any order of price",
        [QUIET, UP, (103, 111, 103, 110)], {0: [buy(2, take_profit=[(0.25, 110), (0.75, 105)])]},
        [(0, 2, 100, "market"), (1, -1.5, 105, "take_profit"), (2, -0.5, 110, "take_profit")]),
    Case("each entry has its own stop",
        [QUIET, DOWN, (97, 97, 89, 90)], {0: [buy(1, stop_loss=95), buy(2, stop_loss=90)]},
        [IN, (0, 2, 100, "market"), (1, -1, 95, "stop_loss"), (2, -2, 90, "stop_loss")], ["filled"] * 4),
    Case("a stop is reduce-only: cut to what is left",
        [QUIET, DOWN], {0: [buy(2, stop_loss=95), close(75.0)]},
        [(0, 2, 100, "market"), (0, -1.5, 100, "market"), (1, -0.5, 95, "stop_loss")]),
    Case("of a flip it covers the opened rest",
        [QUIET, DOWN], {0: [sell(1), buy(3, stop_loss=95)]},
        [(0, -1, 100, "market"), (0, 1, 100, "market"), (0, 2, 100, "market"), (1, -2, 95, "stop_loss")],
        exits=["flip", "stop_loss"]),
    Case("an order that opens nothing leaves nothing to cover",
        [QUIET, DOWN], {0: [buy(2), sell(1, stop_loss=120)]}, [(0, 2, 100, "market"), (0, -1, 100, "market")],
        ["filled", "filled", GONE]),
    Case("closing the position ends them",
        [QUIET, DOWN], {0: [buy(1, **BRACKET), close()]}, [IN, (0, -1, 100, "market")],
        ["filled", GONE, GONE, "filled"], ["order"]),
    Case("a flip ends them",
        [QUIET, UP], {0: [buy(1, **BRACKET), sell(3)]}, [IN, (0, -1, 100, "market"), (0, -2, 100, "market")],
        ["filled", GONE, GONE, "filled"]),
    Case("a new position does not revive them",
        [QUIET, DOWN], {0: [buy(1, **BRACKET), close(), buy(1)]}, [IN, (0, -1, 100, "market"), (0, 1, 100, "market")]),
    Case("a liquidation ends them",
        [QUIET, (100, 101, 85, 95)], {0: [buy(10, leverage=10.0, stop_loss=88)]},
        [(0, 10, 100, "market"), (1, -10, 900 / 9.96, "liquidation")], ["filled", "cancelled LIQUIDATED"],
        ["liquidation"]),
    Case("cancelled stops do nothing",
        [QUIET, DOWN], {0: [buy(1, **BRACKET), cancel(1)]}, [IN],
        ["filled", "cancelled BY_STRATEGY", "expired END_OF_DATA"]),
    Case("a moved stop counts from the next bar",
        [QUIET, DOWN], {0: [buy(1, **BRACKET), modify(1, stop_price=96)]}, [IN, (1, -1, 96, "stop_loss")]),
    Case("a stop cannot be moved to the wrong side",
        [QUIET, DOWN], {0: [buy(1, **BRACKET), modify(1, stop_price=101)]}, [IN, (1, -1, 95, "stop_loss")]),
]

TRAILING = [
    Case("a trailing stop follows the best price",
        [QUIET, (100, 110, 100, 108), (108, 108, 98, 99)], {0: [buy(1, trailing_ratio=0.1)]},
        [IN, (2, -1, 99, "trailing_stop")], exits=["trailing_stop"]),
    Case("inside a bar too",
        [QUIET, (100, 110, 97, 98)], {0: [buy(1, trailing_ratio=0.1)]}, [IN, (1, -1, 99, "trailing_stop")]),
    Case("it does not fall back",
        [QUIET, (100, 110, 100, 108), (108, 108, 99.5, 100), (100, 101, 98, 100)], {0: [buy(1, trailing_ratio=0.1)]},
        [IN, (3, -1, 99, "trailing_stop")]),
    Case("at a gap it fills at the open",
        [QUIET, (100, 110, 100, 108), (95, 96, 94, 95)], {0: [buy(1, trailing_ratio=0.1)]},
        [IN, (2, -1, 95, "trailing_stop")]),
    Case("of a short it follows the lowest price",
        [QUIET, (100, 100, 90, 92), (92, 100, 92, 98)], {0: [sell(1, trailing_ratio=0.1)]},
        [(0, -1, 100, "market"), (2, 1, 99, "trailing_stop")]),
    Case("its level is rounded away from the market",
        [QUIET, (100, 110, 100, 108), (108, 108, 98, 99)], {0: [buy(1, trailing_ratio=0.033)]},
        [IN, (2, -1, 106, "trailing_stop")], settings=HALF_TICK),
    Case("it starts at the price before slippage",
        [QUIET, (100, 100, 90.5, 92)], {0: [buy(1, trailing_ratio=0.1)]}, [(0, 1, 101, "market")], settings=SLIP),
    Case("and from there falls",
        [QUIET, (100, 100, 90, 92)], {0: [buy(1, trailing_ratio=0.1)]}, [IN, (1, -1, 90, "trailing_stop")]),
    Case("the best before its entry's fill does not count",
        [QUIET, (100, 101, 90, 93)], {0: [buy(1, limit_price=95, trailing_ratio=0.06)]}, [(1, 1, 95, "limit")],
        ambiguous=1),
    Case("a bar without trades does not move it",
        [QUIET, (100, 120, 100, 100), (100, 100, 95, 97)], {0: [buy(1, trailing_ratio=0.1)]}, [IN],
        settings={"volumes": {1: 0.0}}),
    Case("it lives beside stop and target",
        [QUIET, (100, 110, 100, 108), (108, 108, 98, 99)],
        {0: [buy(1, stop_loss=90, take_profit=120, trailing_ratio=0.1)]}, [IN, (2, -1, 99, "trailing_stop")],
        ["filled", GONE, GONE, "filled"]),
]

LATER = [
    Case("a stop set on an open position",
        [QUIET, DOWN], {0: [buy(1), stop_at(95)]}, [IN, (1, -1, 95, "stop_loss")], ["filled", "filled"],
        ["stop_loss"]),
    Case("a target set on an open position",
        [QUIET, UP], {0: [buy(1), target_at(105)]}, [IN, (1, -1, 105, "take_profit")], ["filled", "filled"],
        ["take_profit"]),
    Case("both: one ends the other",
        [QUIET, UP], {0: [buy(1), stop_at(95), target_at(105)]}, [IN, (1, -1, 105, "take_profit")],
        ["filled", GONE, "filled"]),
    Case("a new one replaces the old",
        [QUIET, DOWN], {0: [buy(1), stop_at(95), stop_at(96)]}, [IN, (1, -1, 96, "stop_loss")],
        ["filled", "cancelled REPLACED", "filled"]),
    Case("also the one that came with the entry",
        [QUIET, DOWN], {0: [buy(1, **BRACKET), stop_at(96)]}, [IN, (1, -1, 96, "stop_loss")],
        ["filled", "cancelled REPLACED", GONE, "filled"]),
    Case("a target replaces all targets",
        [QUIET, UP], {0: [buy(2, take_profit=[(0.5, 104), (0.5, 110)]), target_at(105)]},
        [(0, 2, 100, "market"), (1, -2, 105, "take_profit")],
        ["filled", "cancelled REPLACED", "cancelled REPLACED", "filled"]),
    Case("a trailing stop is not replaced",
        [QUIET, DOWN], {0: [buy(1, trailing_ratio=0.04), stop_at(90)]}, [IN, (1, -1, 96, "trailing_stop")],
        ["filled", "filled", GONE]),
    Case("it covers what is held when it triggers",
        [QUIET, DOWN], {0: [buy(1), stop_at(95), buy(2)]}, [IN, (0, 2, 100, "market"), (1, -3, 95, "stop_loss")]),
    Case("flat there is nothing to guard",
        [QUIET], {0: [stop_at(95), target_at(105)]}, [], ["rejected NO_POSITION"] * 2),
    Case("on the wrong side the old one stays",
        [QUIET, DOWN], {0: [buy(1), stop_at(95), stop_at(100), target_at(100)]}, [IN, (1, -1, 95, "stop_loss")],
        ["filled", "filled", "rejected INVALID_PRICE", "rejected INVALID_PRICE"]),
    Case("a short's stop lies above",
        [QUIET, UP], {0: [sell(1), stop_at(99), stop_at(105)]}, [(0, -1, 100, "market"), (1, 1, 105, "stop_loss")],
        ["filled", "rejected INVALID_PRICE", "filled"]),
    Case("closing the position ends it",
        [QUIET, DOWN], {0: [buy(1), stop_at(95), close()]}, [IN, (0, -1, 100, "market")], ["filled", GONE, "filled"]),
    Case("it is rounded like any",
        [QUIET, DOWN], {0: [buy(1), stop_at(95.3)]}, [IN, (1, -1, 95, "stop_loss")], settings=HALF_TICK),
]
# fmt: on


@pytest.mark.parametrize("case", EXITS, ids=ids)
def test_attached_exits(case):
    check(case)


@pytest.mark.parametrize("case", ENTRIES, ids=ids)
def test_attached_orders_and_their_entries(case):
    check(case)


@pytest.mark.parametrize("case", COVER, ids=ids)
def test_what_attached_orders_cover(case):
    check(case)


@pytest.mark.parametrize("case", TRAILING, ids=ids)
def test_trailing_stops(case):
    check(case)


@pytest.mark.parametrize("case", LATER, ids=ids)
def test_stops_and_targets_set_later(case):
    check(case)


def test_children_are_rows_of_their_own_in_a_fixed_order():
    script = {0: [buy(1, trailing_ratio=0.1, take_profit=[(0.4, 110), (0.6, 120)], stop_loss=90)]}
    orders = check(Case("", [QUIET, QUIET], script, [IN])).orders
    kinds = [OrderKind.MARKET, OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT, OrderKind.TAKE_PROFIT]
    assert list(orders["kind"]) == [*kinds, OrderKind.TRAILING_STOP]
    assert list(orders["parent_id"]) == [-1, 0, 0, 0, 0]
    assert list(orders["side"]) == [1, -1, -1, -1, -1]
    assert list(orders["stop_price"][1:]) == [90, 110, 120, 90]
    assert list(orders["share"][2:4]) == [0.4, 0.6]
    assert orders["is_reduce_only"][1:].all()
