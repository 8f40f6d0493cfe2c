"""Resting orders: when they fill, at what price, and why they do not. Candles in, fills out."""

import pytest

from backtests.engine.kernels.types import SizeKind
from backtests.engine.request import FillPolicy, TradingMarket
from tests.engine.market_stage import QUIET, buy, close, sell
from tests.engine.order_stage import DOWN, THROUGH, UP, Case, cancel, check, ids

OPEN = {"fill": FillPolicy.NEXT_OPEN}
SPOT = {"market": TradingMarket.SPOT}
RATIO = {"size_kind": SizeKind.EQUITY_RATIO}
NOTIONAL = {"size_kind": SizeKind.NOTIONAL}
HALF_TICK = {"instrument": {"tick_size": 0.5}}

# fmt: off
LIMITS = [
    Case("a limit fills at its own price when it is touched",
        [QUIET, DOWN], {0: [buy(1, limit_price=94)]}, [(1, 1, 94, "limit")]),
    Case("a sell limit too",
        [QUIET, UP], {0: [sell(1, limit_price=106)]}, [(1, -1, 106, "limit")]),
    Case("a limit that is not touched waits to the end",
        [QUIET, DOWN], {0: [buy(1, limit_price=93.999)]}, [], ["expired END_OF_DATA"]),
    Case("under `through` touching is not enough",
        [QUIET, DOWN], {0: [buy(1, limit_price=94)]}, [], settings=THROUGH),
    Case("under `through` beyond is, and the price stays",
        [QUIET, DOWN], {0: [buy(1, limit_price=94.01)]}, [(1, 1, 94.01, "limit")], settings=THROUGH),
    Case("a sell needs the price above it under `through`",
        [QUIET, UP], {0: [sell(1, limit_price=106)]}, [], settings=THROUGH),
    Case("a resting limit fills at its own price at a gap",
        [QUIET, (90, 92, 89, 91)], {0: [buy(1, limit_price=95)]}, [(1, 1, 95, "limit")]),
    Case("at a gap under `through` too",
        [QUIET, (90, 92, 90, 91)], {0: [buy(1, limit_price=95)]}, [(1, 1, 95, "limit")], settings=THROUGH),
    Case("an open at the limit does not go through it",
        [QUIET, (95, 97, 95, 96)], {0: [buy(1, limit_price=95)]}, [], settings=THROUGH),
    Case("it rests over quiet bars",
        [QUIET, QUIET, QUIET, DOWN], {0: [buy(1, limit_price=95)]}, [(3, 1, 95, "limit")]),
    Case("not on its own bar: that one is over",
        [QUIET, DOWN, QUIET], {1: [buy(1, limit_price=95)]}, [], ["expired END_OF_DATA"]),
    Case("marketable under `close` it takes at the close",
        [QUIET, UP], {0: [buy(1, limit_price=105)]}, [(0, 1, 100, "limit")]),
    Case("a limit at the close is marketable",
        [QUIET, UP], {0: [buy(1, limit_price=100)]}, [(0, 1, 100, "limit")]),
    Case("slipped, but not worse than its limit",
        [QUIET, UP], {0: [buy(1, limit_price=100.5)]}, [(0, 1, 100.5, "limit")], settings={"slippage_bps": 100}),
    Case("slipped where the limit leaves room",
        [QUIET, UP], {0: [sell(1, limit_price=90)]}, [(0, -1, 99, "limit")], settings={"slippage_bps": 100}),
    Case("a resting limit does not slip",
        [QUIET, DOWN], {0: [buy(1, limit_price=95)]}, [(1, 1, 95, "limit")], settings={"slippage_bps": 100}),
    Case("under `next_open` it goes live at the open, marketable there",
        [QUIET, (98, 99, 97, 98)], {0: [buy(1, limit_price=99)]}, [(1, 1, 98, "limit")], settings=OPEN),
    Case("not worse than its limit there either",
        [QUIET, (98, 99, 97, 98)], {0: [buy(1, limit_price=99)]}, [(1, 1, 99, "limit")],
        settings={**OPEN, "slippage_bps": 200}),
    Case("or rests from there",
        [QUIET, DOWN], {0: [buy(1, limit_price=95)]}, [(1, 1, 95, "limit")], settings=OPEN),
    Case("marketable at the close but not at the next open, it rests",
        [QUIET, (104, 105, 99, 100)], {0: [buy(1, limit_price=100)]}, [(1, 1, 100, "limit")], settings=OPEN),
    Case("without a traded bar it goes live at the next traded open",
        [QUIET, QUIET, (98, 99, 97, 98)], {0: [buy(1, limit_price=99)]}, [(2, 1, 98, "limit")],
        settings={"volumes": {0: 0.0, 1: 0.0}}),
    Case("a bar without trades fills nothing",
        [QUIET, DOWN, QUIET], {0: [buy(1, limit_price=95)]}, [], settings={"volumes": {1: 0.0}}),
    Case("post-only is refused where it would take",
        [QUIET, UP], {0: [buy(1, limit_price=100, is_post_only=True)]}, [], ["rejected WOULD_TAKE"]),
    Case("also at the open where it goes live",
        [QUIET, (98, 99, 97, 98)], {0: [buy(1, limit_price=99, is_post_only=True)]}, [], ["rejected WOULD_TAKE"],
        settings=OPEN),
    Case("post-only rests otherwise",
        [QUIET, DOWN], {0: [buy(1, limit_price=95, is_post_only=True)]}, [(1, 1, 95, "limit")], ["filled"]),
    Case("a resting post-only order does not take at a gap: it was there first",
        [QUIET, (90, 92, 89, 91)], {0: [buy(1, limit_price=95, is_post_only=True)]}, [(1, 1, 95, "limit")]),
    Case("two limits fill on the way, the nearer first",
        [QUIET, DOWN], {0: [buy(1, limit_price=95), buy(2, limit_price=97)]},
        [(1, 2, 97, "limit"), (1, 1, 95, "limit")]),
    Case("up and down in one bar",
        [QUIET, (100, 106, 94, 97)], {0: [buy(1, limit_price=95), sell(1, limit_price=105)]},
        [(1, -1, 105, "limit"), (1, 1, 95, "limit")], exits=["order"]),
    Case("a cancelled limit does not fill",
        [QUIET, DOWN], {0: [buy(1, limit_price=95), cancel(0)]}, [], ["cancelled BY_STRATEGY"]),
]

STOPS = [
    Case("a stop buys at its price when it is reached",
        [QUIET, UP], {0: [buy(1, stop_price=105)]}, [(1, 1, 105, "stop")]),
    Case("a stop sells at its price",
        [QUIET, DOWN], {0: [sell(1, stop_price=95)]}, [(1, -1, 95, "stop")]),
    Case("touching is enough for a stop, also under `through`",
        [QUIET, UP], {0: [buy(1, stop_price=106)]}, [(1, 1, 106, "stop")], settings=THROUGH),
    Case("a stop that is not reached waits",
        [QUIET, UP], {0: [buy(1, stop_price=106.01)]}, [], ["expired END_OF_DATA"]),
    Case("at a gap a stop fills at the open beyond it",
        [QUIET, (107, 108, 106, 107)], {0: [buy(1, stop_price=105)]}, [(1, 1, 107, "stop")]),
    Case("a gap below a sell stop",
        [QUIET, (90, 92, 89, 91)], {0: [sell(1, stop_price=95)]}, [(1, -1, 90, "stop")]),
    Case("a stop slips",
        [QUIET, UP], {0: [buy(1, stop_price=105)]}, [(1, 1, 106.05, "stop")], settings={"slippage_bps": 100}),
    Case("a gapped stop slips from the open",
        [QUIET, (107, 108, 106, 107)], {0: [buy(1, stop_price=105)]}, [(1, 1, 108.07, "stop")],
        settings={"slippage_bps": 100}),
    Case("stops rest from the next bar under `next_open` too",
        [QUIET, UP], {0: [buy(1, stop_price=105)]}, [(1, 1, 105, "stop")], settings=OPEN),
    Case("no stop triggers on a bar without trades",
        [QUIET, UP, QUIET], {0: [buy(1, stop_price=105)]}, [], settings={"volumes": {1: 0.0}}),
    Case("a buy stop lies above the last price",
        [QUIET, UP], {0: [buy(1, stop_price=99), buy(1, stop_price=100)]}, [], ["rejected INVALID_PRICE"] * 2),
    Case("a sell stop below it",
        [QUIET, UP], {0: [sell(1, stop_price=101), sell(1, stop_price=100)]}, [], ["rejected INVALID_PRICE"] * 2),
    Case("a stop may flip",
        [QUIET, DOWN], {0: [buy(1), sell(3, stop_price=95)]},
        [(0, 1, 100, "market"), (1, -1, 95, "stop"), (1, -2, 95, "stop")], exits=["flip", "open"]),
    Case("a plain stop that closes a trade is an order like any",
        [QUIET, DOWN], {0: [buy(1), sell(1, stop_price=95)]}, [(0, 1, 100, "market"), (1, -1, 95, "stop")],
        exits=["order"]),
]

STOP_LIMITS = [
    Case("a stop-limit within its limit takes at the trigger",
        [QUIET, UP], {0: [buy(1, stop_price=104, limit_price=105)]}, [(1, 1, 104, "stop_limit")]),
    Case("slipped no further than its limit",
        [QUIET, UP], {0: [buy(1, stop_price=104, limit_price=105)]}, [(1, 1, 105, "stop_limit")],
        settings={"slippage_bps": 200}),
    Case("at a gap beyond its limit it rests, and fills when the price comes back",
        [QUIET, (108, 109, 105, 107)], {0: [buy(1, stop_price=105, limit_price=106)]}, [(1, 1, 106, "stop_limit")]),
    Case("or in a later bar",
        [QUIET, (108, 109, 107, 108), (107, 108, 105, 106)], {0: [buy(1, stop_price=105, limit_price=106)]},
        [(2, 1, 106, "stop_limit")]),
    Case("or never",
        [QUIET, (108, 109, 107, 108), (107, 108, 106.5, 107)], {0: [buy(1, stop_price=105, limit_price=106)]}, [],
        ["expired END_OF_DATA"]),
    Case("a limit below the trigger waits for the way back",
        [QUIET, (100, 106, 99, 103)], {0: [buy(1, stop_price=105, limit_price=104)]}, [(1, 1, 104, "stop_limit")]),
    Case("before the trigger the limit does nothing",
        [QUIET, DOWN], {0: [buy(1, stop_price=105, limit_price=96)]}, [], ["expired END_OF_DATA"]),
    Case("selling is the mirror: takes",
        [QUIET, DOWN], {0: [sell(1, stop_price=96, limit_price=95)]}, [(1, -1, 96, "stop_limit")]),
    Case("selling is the mirror: rests at a gap",
        [QUIET, (92, 96, 91, 93)], {0: [sell(1, stop_price=96, limit_price=95)]}, [(1, -1, 95, "stop_limit")]),
    Case("a triggered one needs the price through its limit under `through`",
        [QUIET, (108, 109, 106, 107)], {0: [buy(1, stop_price=105, limit_price=106)]}, [], settings=THROUGH),
    Case("post-only is refused at the trigger where it would take",
        [QUIET, UP], {0: [buy(1, stop_price=104, limit_price=105, is_post_only=True)]}, [], ["rejected WOULD_TAKE"]),
    Case("post-only rests where it would not",
        [QUIET, UP], {0: [buy(1, stop_price=105, limit_price=104, is_post_only=True)]}, [(1, 1, 104, "stop_limit")]),
    Case("its trigger lies on the right side",
        [QUIET, UP], {0: [buy(1, stop_price=99, limit_price=98)]}, [], ["rejected INVALID_PRICE"]),
]

SIZES = [
    Case("a limit's margin is that of its price",
        [QUIET, DOWN], {0: [buy(10.5, limit_price=95), buy(10.6, limit_price=95)]}, [(1, 10.5, 95, "limit")],
        ["filled", "rejected INSUFFICIENT_MARGIN"]),
    Case("a stop's margin is that of its trigger",
        [QUIET, UP], {0: [buy(10, stop_price=105), buy(9.5, stop_price=105)]}, [(1, 9.5, 105, "stop")],
        ["rejected INSUFFICIENT_MARGIN", "filled"]),
    Case("resting orders bind nothing: margin is asked for again at the fill",
        [QUIET, DOWN], {0: [buy(6, limit_price=97), buy(6, limit_price=95)]}, [(1, 6, 97, "limit")],
        ["filled", "rejected INSUFFICIENT_MARGIN"]),
    Case("a quantity refused at a gap",
        [QUIET, (115, 116, 114, 115)], {0: [buy(9, stop_price=105)]}, [], ["rejected INSUFFICIENT_MARGIN"]),
    Case("a ratio is resolved at submission and never refused for a gap",
        [QUIET, (110, 111, 109, 110)], {0: [buy(1.0, stop_price=105, **RATIO)]}, [(1, 9.09, 110, "stop")], ["filled"]),
    Case("a ratio at the price of its limit",
        [QUIET, (90, 91, 79, 85)], {0: [buy(1.0, limit_price=80, **RATIO)]}, [(1, 12.5, 80, "limit")]),
    Case("a second ratio gets what is left",
        [QUIET, DOWN], {0: [buy(0.6, limit_price=96, **RATIO), buy(0.6, limit_price=95, **RATIO)]},
        [(1, 6.25, 96, "limit"), (1, 4.21, 95, "limit")]),
    Case("a notional at the price of its limit",
        [QUIET, (90, 91, 79, 85)], {0: [buy(500.0, limit_price=80, **NOTIONAL)]}, [(1, 6.25, 80, "limit")]),
    Case("minimums are judged at the limit price",
        [QUIET, DOWN], {0: [buy(0.103, limit_price=95), buy(0.104, limit_price=95)]}, [],
        ["rejected BELOW_MIN_NOTIONAL", "expired END_OF_DATA"],
        settings={"instrument": {"min_notional": 9.8}, "volumes": {1: 0.0}}),
    Case("leverage is judged at submission",
        [QUIET, DOWN], {0: [buy(1, limit_price=95, leverage=21.0)]}, [], ["rejected LEVERAGE_ABOVE_LIMIT"],
        settings={"max_leverage": 20.0}),
    Case("the tier is that of the limit price",
        [QUIET, (100, 101, 95, 97)], {0: [buy(n, limit_price=95, leverage=100.0) for n in (520, 530)]},
        [(1, 520, 95, "limit")], ["filled", "rejected LEVERAGE_ABOVE_TIER"]),
    Case("reduce-only is cut to what is held",
        [QUIET, UP], {0: [buy(2), sell(5, limit_price=105, is_reduce_only=True)]},
        [(0, 2, 100, "market"), (1, -2, 105, "limit")], ["filled", "filled"]),
    Case("reduce-only with nothing to reduce",
        [QUIET, UP], {0: [sell(1, limit_price=105, is_reduce_only=True)]}, [], ["rejected REDUCE_ONLY"]),
    Case("reduce-only whose position has gone",
        [QUIET, UP], {0: [buy(2), sell(2, limit_price=105, is_reduce_only=True), close()]},
        [(0, 2, 100, "market"), (0, -2, 100, "market")], ["filled", "rejected REDUCE_ONLY", "filled"]),
    Case("plain orders stay when the position goes flat",
        [QUIET, UP], {0: [buy(2), sell(2, limit_price=105), close()]},
        [(0, 2, 100, "market"), (0, -2, 100, "market"), (1, -2, 105, "limit")]),
    Case("spot sells at a limit what it holds",
        [QUIET, UP], {0: [buy(1), sell(1, limit_price=105), sell(1.001, limit_price=105)]},
        [(0, 1, 100, "market"), (1, -1, 105, "limit")], ["filled", "filled", "rejected SPOT_SHORT"], settings=SPOT),
    Case("spot asks again at the fill",
        [QUIET, UP], {0: [buy(1), sell(1, limit_price=104), sell(1, limit_price=105)]},
        [(0, 1, 100, "market"), (1, -1, 104, "limit")], ["filled", "filled", "rejected SPOT_SHORT"], settings=SPOT),
    Case("before a symbol's first bar nothing is known: the order waits",
        [QUIET] * 2 + [DOWN], {0: [buy(1, limit_price=95, i_symbol=1)]}, [(2, 1, 95, "limit")],
        settings={"others": [[None, QUIET, DOWN]]}),
]

ROUNDING = [
    Case("a buy limit is rounded down",
        [QUIET, DOWN], {0: [buy(1, limit_price=95.3)]}, [(1, 1, 95, "limit")], settings=HALF_TICK),
    Case("a sell limit is rounded up",
        [QUIET, UP], {0: [sell(1, limit_price=104.7)]}, [(1, -1, 105, "limit")], settings=HALF_TICK),
    Case("a buy stop is rounded up",
        [QUIET, UP], {0: [buy(1, stop_price=104.7)]}, [(1, 1, 105, "stop")], settings=HALF_TICK),
    Case("a sell stop is rounded down",
        [QUIET, DOWN], {0: [sell(1, stop_price=95.3)]}, [(1, -1, 95, "stop")], settings=HALF_TICK),
    Case("a price that is a tick but for its last place stays",
        [QUIET, DOWN], {0: [buy(1, limit_price=95.5 - 1e-9)]}, [(1, 1, 95.5, "limit")], settings=HALF_TICK),
    Case("ticks survive binary fractions",
        [QUIET, DOWN], {0: [buy(1, limit_price=95.1 + 0.2)]}, [(1, 1, 95.3, "limit")],
        settings={"instrument": {"tick_size": 0.1}}),
    Case("a price that rounds to nothing is none",
        [QUIET, DOWN], {0: [buy(1, limit_price=0.3)]}, [], ["rejected INVALID_PRICE"], settings=HALF_TICK),
    Case("slipped fills are not rounded",
        [QUIET, UP], {0: [buy(1, stop_price=105)]}, [(1, 1, 105.0105, "stop")],
        settings={**HALF_TICK, "slippage_bps": 1}),
    Case("a stop is compared after rounding",
        [QUIET, UP], {0: [buy(1, stop_price=100.1)]}, [(1, 1, 100.5, "stop")], settings=HALF_TICK),
]

TERMS = [
    Case("good for one bar: the next",
        [QUIET, DOWN], {0: [buy(1, limit_price=95, good_for_bars=1)]}, [(1, 1, 95, "limit")], ["filled"]),
    Case("and then it is over",
        [QUIET, QUIET, DOWN], {0: [buy(1, limit_price=95, good_for_bars=1)]}, [], ["expired GOOD_FOR_BARS"]),
    Case("its last bar counts",
        [QUIET, QUIET, DOWN], {0: [buy(1, limit_price=95, good_for_bars=2)]}, [(2, 1, 95, "limit")]),
    Case("stops and stop-limits expire too",
        [QUIET, QUIET, UP],
        {0: [buy(1, stop_price=105, good_for_bars=1), buy(1, stop_price=104, limit_price=105, good_for_bars=1)]}, [],
        ["expired GOOD_FOR_BARS"] * 2),
    Case("a market order that cannot trade expires",
        [QUIET, QUIET, QUIET], {0: [buy(1, good_for_bars=1)]}, [], ["expired GOOD_FOR_BARS"],
        settings={**OPEN, "volumes": {1: 0.0}}),
    Case("a missing bar of the symbol counts",
        [QUIET, QUIET, DOWN], {0: [buy(1, limit_price=95, i_symbol=1, good_for_bars=1)]}, [],
        ["expired GOOD_FOR_BARS"], settings={"others": [[QUIET, None, DOWN]]}),
]
# fmt: on


@pytest.mark.parametrize("case", LIMITS, ids=ids)
def test_limit_orders(case):
    check(case)


@pytest.mark.parametrize("case", STOPS, ids=ids)
def test_stop_orders(case):
    check(case)


@pytest.mark.parametrize("case", STOP_LIMITS, ids=ids)
def test_stop_limit_orders(case):
    check(case)


@pytest.mark.parametrize("case", SIZES, ids=ids)
def test_sizes_and_refusals(case):
    check(case)


@pytest.mark.parametrize("case", ROUNDING, ids=ids)
def test_prices_on_the_tick(case):
    check(case)


@pytest.mark.parametrize("case", TERMS, ids=ids)
def test_terms(case):
    check(case)


def test_makers_and_takers_pay_their_own_fee():
    case = Case("", [QUIET, DOWN], {0: [buy(1, limit_price=95), buy(1, limit_price=100), sell(1, stop_price=96)]}, [
        (0, 1, 100, "limit"), (1, -1, 96, "stop"), (1, 1, 95, "limit")
    ], settings={"fee": 0.001, "maker_fee": 0.0002})  # fmt: skip
    fills = check(case).fills
    assert list(fills["is_maker"]) == [False, False, True]
    assert list(fills["fee"]) == pytest.approx([0.1, 0.096, 0.019])


def test_an_expired_order_is_over_at_the_close_of_its_last_bar():
    order = check(Case("", [QUIET] * 4, {0: [buy(1, limit_price=95, good_for_bars=2)]}, [])).orders[0]
    assert order["i_bar_done"] == 2
