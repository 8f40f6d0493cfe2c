"""What comes first on the path, what a bar cannot tell, what a participation cap leaves, what changes do."""

import pytest

from backtests.engine import liquidation_price
from backtests.engine.kernels.types import OrderStatus
from backtests.engine.request import FillPolicy, PathRule
from tests.engine.market_stage import QUIET, TIERS, buy, close, sell
from tests.engine.order_stage import DOWN, UP, Case, cancel, check, ids, modify, run_case, stop_at

OPEN = {"fill": FillPolicy.NEXT_OPEN}
IN = (0, 1, 100, "market")
BEST = {"path": PathRule.OPTIMISTIC}
LP = liquidation_price(side=1, qty=10, entry_price=100, wallet_balance=100, tiers=TIERS)  # 90.36...
LONG = (0, 10, 100, "market")
GONE = "cancelled POSITION_CLOSED"


def thin(volume, cap=0.5, **more):
    """Half of the volume may be taken: of every bar, or of the bars named."""
    volumes = volume if isinstance(volume, dict) else dict.fromkeys(range(9), float(volume))
    return {"participation_cap": cap, "volumes": volumes, **more}


# fmt: off
TIES = [
    Case("on one level liquidation comes before the stop",
        [QUIET, (100, 101, 85, 95)], {0: [buy(10, leverage=10.0, stop_loss=LP)]}, [LONG, (1, -10, LP, "liquidation")],
        ["filled", "cancelled LIQUIDATED"]),
    Case("a stop just above it comes first",
        [QUIET, (100, 101, 85, 95)], {0: [buy(10, leverage=10.0, stop_loss=90.5)]},
        [LONG, (1, -10, 90.5, "stop_loss")]),
    Case("a gap beyond both liquidates",
        [QUIET, (85, 86, 84, 85)], {0: [buy(10, leverage=10.0, stop_loss=95)]}, [LONG, (1, -10, 85, "liquidation")]),
    Case("then stops, then limits",
        [QUIET, DOWN], {0: [buy(1), buy(2, limit_price=95), sell(1, stop_price=95)]},
        [IN, (1, -1, 95, "stop"), (1, 2, 95, "limit")]),
    Case("stops before take-profits",
        [QUIET, UP], {0: [buy(1, take_profit=105), buy(2, stop_price=105)]},
        [IN, (1, 2, 105, "stop"), (1, -1, 105, "take_profit")]),
    Case("take-profits before limits",
        [QUIET, UP], {0: [sell(1, limit_price=105), buy(1, take_profit=105)]},
        [IN, (1, -1, 105, "take_profit"), (1, -1, 105, "limit")]),
    Case("within a class by order",
        [QUIET, DOWN], {0: [buy(2, limit_price=95), buy(1, limit_price=95)]},
        [(1, 2, 95, "limit"), (1, 1, 95, "limit")]),
    Case("the clock before all of it",
        [QUIET, DOWN], {0: [buy(2, limit_price=95), sell(1, stop_price=94.5), buy(1, limit_price=98)]},
        [(1, 1, 98, "limit"), (1, 2, 95, "limit"), (1, -1, 94.5, "stop")]),
    Case("at a gap everything beyond comes at once, by class",
        [QUIET, (90, 92, 89, 91)], {0: [buy(1), buy(1, limit_price=97), sell(1, stop_price=92)]},
        [IN, (1, -1, 90, "stop"), (1, 1, 97, "limit")]),
    Case("what goes live or waits fills at the open, by order",
        [QUIET, (90, 92, 89, 91)], {0: [buy(1, limit_price=95), buy(2)]}, [(1, 1, 90, "limit"), (1, 2, 90, "market")],
        settings=OPEN),
    Case("before what rested fills on the path",
        [QUIET, QUIET, (90, 92, 89, 91)], {0: [buy(1, limit_price=95)], 1: [buy(2)]},
        [(2, 2, 90, "market"), (2, 1, 95, "limit")], settings=OPEN),
    Case("the way is that of the position held after the open",
        [QUIET, (100, 106, 94, 97)], {0: [sell(1, stop_loss=105, take_profit=95)]},
        [(1, -1, 100, "market"), (1, 1, 105, "stop_loss")], settings=OPEN),
    Case("flat, the nearer extreme comes first",
        [QUIET, (100, 103, 94, 97)], {0: [buy(1, stop_price=102, stop_loss=96)]},
        [(1, 1, 102, "stop"), (1, -1, 96, "stop_loss")]),
    Case("equally near: low first in a rising bar",
        [QUIET, (100, 104, 96, 101)], {0: [buy(1, limit_price=97, take_profit=103)]},
        [(1, 1, 97, "limit"), (1, -1, 103, "take_profit")]),
    Case("high first in a falling one",
        [QUIET, (100, 104, 96, 99)], {0: [buy(1, limit_price=97, take_profit=103)]}, [(1, 1, 97, "limit")]),
    Case("a position that opens on the path does not turn it",
        [QUIET, (100, 106, 99, 101)], {0: [buy(1, stop_price=105, stop_loss=99.5)]}, [(1, 1, 105, "stop")]),
]

AMBIGUOUS = [
    Case("only one level inside: it is clear",
        [QUIET, DOWN], {0: [buy(1, stop_loss=95, take_profit=105)]}, [IN, (1, -1, 95, "stop_loss")], ambiguous=0),
    Case("no level inside",
        [QUIET, DOWN], {0: [buy(1, stop_loss=90, take_profit=105)]}, [IN], ambiguous=0),
    Case("stop and target inside",
        [QUIET, (100, 106, 94, 97)], {0: [buy(1, stop_loss=95, take_profit=105)]}, [IN, (1, -1, 95, "stop_loss")],
        ambiguous=1),
    Case("both gapped over is clear",
        [QUIET, (93, 110, 92, 97)], {0: [buy(1, stop_loss=95, take_profit=105)]}, [IN, (1, -1, 93, "stop_loss")],
        ambiguous=0),
    Case("an entry with its stop on the same side is clear",
        [QUIET, (100, 101, 91, 96)], {0: [buy(1, limit_price=95, stop_loss=92)]},
        [(1, 1, 95, "limit"), (1, -1, 92, "stop_loss")], ambiguous=0),
    Case("a stop entry whose stop lies on the other side is not",
        [QUIET, UP], {0: [buy(1, stop_price=105, stop_loss=99.5)]}, [(1, 1, 105, "stop")], ambiguous=1),
    Case("two entries on both sides: mere order does not count",
        [QUIET, (100, 106, 94, 97)], {0: [buy(1, limit_price=95), sell(1, limit_price=105)]},
        [(1, -1, 105, "limit"), (1, 1, 95, "limit")], ambiguous=0),
    Case("liquidation or target",
        [QUIET, (100, 106, 85, 97)], {0: [buy(10, leverage=10.0, take_profit=105)]},
        [LONG, (1, -10, LP, "liquidation")], ambiguous=1),
    Case("a trailing stop that the other way would catch",
        [QUIET, (100, 110, 96, 108)], {0: [buy(1, trailing_ratio=0.1)]}, [IN], ambiguous=1),
    Case("each such bar counts",
        [QUIET, (100, 106, 94, 97), QUIET, (100, 106, 94, 97)],
        {0: [buy(1, stop_loss=95, take_profit=105)], 2: [buy(1, stop_loss=95, take_profit=105)]},
        [IN, (1, -1, 95, "stop_loss"), (2, 1, 100, "market"), (3, -1, 95, "stop_loss")], ambiguous=2),
]

CAPS = [
    Case("a market order fills over bars",
        [QUIET] * 5, {0: [buy(2.5)]}, [(1, 1, 100, "market"), (2, 1, 100, "market"), (3, 0.5, 100, "market")],
        ["filled"], settings=thin(2, **OPEN)),
    Case("under `close` what its own bar leaves, the rest at the next opens",
        [QUIET, (101, 102, 100, 101), (103, 104, 102, 103)], {0: [buy(2.5)]},
        [(0, 1, 100, "market"), (1, 1, 101, "market"), (2, 0.5, 103, "market")], ["filled"], settings=thin(2)),
    Case("a limit waits until it is touched again",
        [QUIET, DOWN, QUIET, DOWN], {0: [buy(1.5, limit_price=95)]}, [(1, 1, 95, "limit"), (3, 0.5, 95, "limit")],
        ["filled"], settings=thin(2)),
    Case("a triggered stop goes on at the next open",
        [QUIET, UP, (90, 91, 89, 90)], {0: [buy(1.5, stop_price=105)]}, [(1, 1, 105, "stop"), (2, 0.5, 90, "stop")],
        ["filled"], settings=thin(2)),
    Case("so does a stop-loss",
        [QUIET, DOWN, (99, 100, 98, 99)], {0: [buy(1.5, stop_loss=95)]},
        [(0, 1.5, 100, "market"), (1, -1, 95, "stop_loss"), (2, -0.5, 99, "stop_loss")], ["filled"] * 2,
        settings=thin({0: 4.0, 1: 2.0, 2: 2.0})),
    Case("triggered where nothing is left, it goes on at the next open",
        [QUIET, DOWN, QUIET], {0: [buy(3, limit_price=96, stop_loss=95)]},
        [(1, 2, 96, "limit"), (2, -2, 100, "stop_loss")], [GONE, "filled"], settings=thin(4)),
    Case("what is left of a guarded entry ends with its position",
        [QUIET, DOWN, QUIET, DOWN], {0: [buy(3, limit_price=96, stop_loss=90)], 1: [close()]},
        [(1, 2, 96, "limit"), (2, -2, 100, "market")], [GONE, GONE, "filled"], settings=thin(4, **OPEN)),
    Case("orders share a bar in the order of events",
        [QUIET, QUIET, QUIET], {0: [buy(0.75), sell(0.5)]},
        [(1, 0.75, 100, "market"), (1, -0.25, 100, "market"), (2, -0.25, 100, "market")], ["filled", "filled"],
        settings=thin(2, **OPEN)),
    Case("a limit on the path gets what the open left",
        [QUIET, DOWN, DOWN], {0: [buy(0.75), buy(0.5, limit_price=95)]},
        [(1, 0.75, 100, "market"), (1, 0.25, 95, "limit"), (2, 0.25, 95, "limit")], settings=thin(2, **OPEN)),
    Case("a fill at the close gets what the path left",
        [QUIET, DOWN, QUIET], {0: [buy(0.75, limit_price=95)], 1: [buy(0.5)]},
        [(1, 0.75, 95, "limit"), (1, 0.25, 97, "market"), (2, 0.25, 100, "market")], settings=thin(2)),
    Case("capacity is cut to whole steps",
        [QUIET, QUIET, QUIET], {0: [buy(1)]}, [(1, 0.333, 100, "market"), (2, 0.333, 100, "market")],
        ["expired END_OF_DATA"], settings=thin(1, cap=0.3339, **OPEN)),
    Case("what is below a step fills nothing",
        [QUIET, QUIET, QUIET], {0: [buy(1)]}, [], ["expired END_OF_DATA"], settings=thin(0.001, **OPEN)),
    Case("a flip closes first",
        [QUIET, QUIET, QUIET, QUIET], {0: [buy(1)], 1: [sell(1.75)]},
        [(1, 1, 100, "market"), (2, -1, 100, "market"), (3, -0.75, 100, "market")], settings=thin(2, **OPEN)),
    Case("liquidation ignores it",
        [QUIET, (100, 101, 85, 95)], {0: [buy(10, leverage=10.0)]}, [LONG, (1, -10, LP, "liquidation")],
        settings=thin({0: 20.0, 1: 0.001})),
    Case("a partly filled order can be cancelled",
        [QUIET] * 4, {0: [buy(2)], 1: [cancel(0)]}, [(1, 1, 100, "market")], ["cancelled BY_STRATEGY"],
        settings=thin(2, **OPEN)),
    Case("or expire",
        [QUIET] * 4, {0: [buy(5, good_for_bars=2)]}, [(1, 1, 100, "market"), (2, 1, 100, "market")],
        ["expired GOOD_FOR_BARS"], settings=thin(2, **OPEN)),
]

CHANGES = [
    Case("a limit moved to where the price goes",
        [QUIET, DOWN], {0: [buy(1, limit_price=90), modify(0, limit_price=95)]}, [(1, 1, 95, "limit")], ["filled"]),
    Case("its price is rounded again",
        [QUIET, DOWN], {0: [buy(1, limit_price=90), modify(0, limit_price=95.3)]}, [(1, 1, 95, "limit")],
        settings={"instrument": {"tick_size": 0.5}}),
    Case("moved to where it is marketable it takes at the close",
        [QUIET, DOWN], {0: [buy(1, limit_price=90), modify(0, limit_price=101)]}, [(0, 1, 100, "limit")], ["filled"]),
    Case("post-only is refused there",
        [QUIET, DOWN], {0: [buy(1, limit_price=95, is_post_only=True), modify(0, limit_price=101)]}, [],
        ["rejected WOULD_TAKE"]),
    Case("under `next_open` it goes live at the next open",
        [QUIET, QUIET, (98, 99, 97, 98)], {0: [buy(1, limit_price=90)], 1: [modify(0, limit_price=101)]},
        [(2, 1, 98, "limit")], settings=OPEN),
    Case("a stop moved",
        [QUIET, UP], {0: [buy(1, stop_price=110), modify(0, stop_price=105)]}, [(1, 1, 105, "stop")]),
    Case("to the wrong side: refused, and as before",
        [QUIET, UP], {0: [buy(1, stop_price=105), modify(0, stop_price=99)]}, [(1, 1, 105, "stop")], ["filled"]),
    Case("both prices of a stop-limit",
        [QUIET, UP], {0: [buy(1, stop_price=110, limit_price=111), modify(0, stop_price=104, limit_price=105)]},
        [(1, 1, 104, "stop_limit")]),
    Case("another quantity",
        [QUIET, DOWN], {0: [buy(1, limit_price=95), modify(0, qty=2)]}, [(1, 2, 95, "limit")], ["filled"]),
    Case("too large a quantity: as before",
        [QUIET, DOWN], {0: [buy(1, limit_price=95), modify(0, qty=11)]}, [(1, 1, 95, "limit")], ["filled"]),
    Case("a ratio becomes a quantity",
        [QUIET, DOWN], {0: [buy(0.5, limit_price=95, size_kind=3), modify(0, qty=2)]}, [(1, 2, 95, "limit")],
        ["filled"]),
    Case("a market order that waits can change its quantity",
        [QUIET, QUIET], {0: [buy(1), modify(0, qty=2)]}, [(1, 2, 100, "market")], settings=OPEN),
    Case("a stop that was set later can be moved",
        [QUIET, DOWN], {0: [buy(1), stop_at(90), modify(1, stop_price=95)]}, [IN, (1, -1, 95, "stop_loss")],
        ["filled", "filled"]),
]
# fmt: on


@pytest.mark.parametrize("case", TIES, ids=ids)
def test_what_comes_first(case):
    check(case)


@pytest.mark.parametrize("case", AMBIGUOUS, ids=ids)
def test_ambiguous_bars(case):
    result = check(case)
    assert result.trades["is_ambiguous"].any() == (case.ambiguous > 0)


@pytest.mark.parametrize("case", CAPS, ids=ids)
def test_participation_cap(case):
    check(case)


@pytest.mark.parametrize("case", CHANGES, ids=ids)
def test_changed_orders(case):
    check(case)


def test_at_one_time_the_symbols_come_in_their_order():
    script = {0: [buy(1, limit_price=95, i_symbol=1), buy(2, limit_price=95)]}
    fills = run_case(Case("", [QUIET, DOWN], script, [], settings={"others": [[QUIET, DOWN]]})).fills
    assert list(fills["i_symbol"]) == [0, 1]


def test_the_clock_runs_through_all_symbols():
    other = (100.0, 101.0, 90.0, 97.0)  # falls twice as fast on the same leg
    script = {0: [buy(1, limit_price=96), buy(1, limit_price=96, i_symbol=1)]}
    fills = run_case(Case("", [QUIET, DOWN], script, [], settings={"others": [[QUIET, other]]})).fills
    assert list(fills["i_symbol"]) == [1, 0]


def test_trades_of_clear_bars_are_not_named():
    bad = (100, 106, 94, 97)
    script = {0: [buy(1, stop_loss=95)], 2: [buy(1, stop_loss=95, take_profit=105)]}
    result = run_case(Case("", [QUIET, DOWN, QUIET, bad], script, []))
    assert list(result.trades["is_ambiguous"]) == [False, True]


def test_optimism_is_never_worse_for_a_bracket():
    rows = [QUIET, (100, 106, 94, 97)]
    script = {0: [buy(1, stop_loss=95, take_profit=105)]}
    worse, better = (run_case(Case("", rows, script, [], settings=settings)) for settings in ({}, BEST))
    assert (worse.final_equity, better.final_equity) == (995, 1005)


def test_a_partly_filled_order_says_so_and_means_its_price():
    rows = [QUIET, (100, 101, 99, 101), (101, 103, 100, 102)]
    result = run_case(Case("", rows, {0: [buy(3)]}, [], settings=thin(2, **OPEN)))
    order = result.orders[0]
    assert (order["status"], order["qty"], order["filled_qty"]) == (OrderStatus.EXPIRED, 3, 2)
    assert order["average_price"] == pytest.approx(100.5)
