"""Scenario tables: candles and calls in, fills and fates out. One row, one rule of docs/concepts/order-of-events."""

from dataclasses import dataclass, field

import pytest

from backtests.engine.kernels.types import OrderStatus, Reason, SizeKind
from backtests.engine.request import FillPolicy, TradingMarket
from tests.engine.market_stage import QUIET, buy, close, sell, simulate

OPEN = FillPolicy.NEXT_OPEN
RATIO = {"size_kind": SizeKind.EQUITY_RATIO}
NOTIONAL = {"size_kind": SizeKind.NOTIONAL}


@dataclass
class Case:
    name: str
    rows: list
    script: dict
    fills: list  # (bar, signed qty, price)
    settings: dict = field(default_factory=dict)
    fates: list | None = None  # (status, reason) of the orders


F, R, C, E = OrderStatus.FILLED, OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.EXPIRED
UP = [QUIET, (100.0, 112.0, 99.0, 110.0), (111.0, 121.0, 110.0, 120.0)]

CASES = [
    Case("a market order fills at the close of its bar", UP, {1: [buy(1)]}, [(1, 1, 110.0)]),
    Case("under next_open it fills at the next open", UP, {0: [buy(1)]}, [(1, 1, 100.0)], {"fill": OPEN}),
    Case("slippage makes a buy dearer", UP, {0: [buy(1)]}, [(0, 1, 101.0)], {"slippage_bps": 100.0}),
    Case("slippage makes a sell cheaper", UP, {0: [sell(1)]}, [(0, -1, 99.0)], {"slippage_bps": 100.0}),
    Case("quantities are cut to whole steps", UP, {0: [buy(1.23456)]}, [(0, 1.234, 100.0)]),
    Case("a step survives binary fractions", UP, {0: [buy(0.1 + 0.2)]}, [(0, 0.3, 100.0)]),
    Case("a notional is spent at the fill price", UP, {1: [buy(500.0, **NOTIONAL)]}, [(1, 4.545, 110.0)]),
    Case(
        "all-in binds the whole balance, fee included",
        UP,
        {0: [buy(1.0, leverage=10.0, **RATIO)]},
        [(0, 99.601, 100.0)],  # 1000 / (100 / 10 + 100 * 0.0004)
        {"taker_fee": 0.0004},
    ),
    Case(
        "all-in leaves room for the loss of a slipped price",
        UP,
        {0: [buy(1.0, leverage=10.0, **RATIO)]},
        [(0, 90.0, 101.0)],  # 1000 / (101 / 10 + 1) = 90.09, in steps of ten
        {"slippage_bps": 100.0, "instrument": {"step_size": 10.0}},
    ),
    Case("a partial close", UP, {0: [buy(2)], 1: [close(25.0)]}, [(0, 2, 100.0), (1, -0.5, 110.0)]),
    Case(
        "a close is rounded down to steps",
        UP,
        {0: [buy(0.003)], 1: [close(50.0)]},
        [(0, 0.003, 100.0), (1, -0.001, 110.0)],
    ),
    Case(
        "a flip is a close and an opening",
        UP,
        {0: [buy(2)], 1: [sell(5)]},
        [(0, 2, 100.0), (1, -2, 110.0), (1, -3, 110.0)],
    ),
    Case(
        "a flip whose rest lacks margin closes all the same",
        UP,
        {0: [buy(2)], 1: [sell(50)]},
        [(0, 2, 100.0), (1, -2, 110.0)],
        fates=[(F, Reason.NONE), (C, Reason.INSUFFICIENT_MARGIN)],
    ),
    Case(
        "reduce-only is cut to the position",
        UP,
        {0: [buy(2)], 1: [sell(5, is_reduce_only=True)]},
        [(0, 2, 100.0), (1, -2, 110.0)],
    ),
    Case(
        "reduce-only never opens",
        UP,
        {0: [buy(2, is_reduce_only=True)], 1: [close()]},
        [],
        fates=[(R, Reason.REDUCE_ONLY), (R, Reason.NO_POSITION)],
    ),
    Case(
        "no order fills on a bar without trades",
        [*UP, QUIET],
        {1: [buy(1)]},
        [(3, 1, 100.0)],
        {"volumes": {1: 0.0, 2: 0.0}},
    ),
    Case(
        "an order waits over missing bars",
        [*UP[:2], None, UP[2]],
        {1: [buy(1)]},
        [(3, 1, 111.0)],
        {"fill": OPEN, "others": [[QUIET] * 4]},
    ),
    Case(
        "what still waits at the end expires",
        UP,
        {2: [buy(1)]},
        [],
        {"fill": OPEN},
        fates=[(E, Reason.END_OF_DATA)],
    ),
    Case(
        "a cancelled order does not fill",
        UP,
        {0: [buy(1), ("cancel", {"order_id": 0})]},
        [],
        {"fill": OPEN},
        fates=[(C, Reason.BY_STRATEGY)],
    ),
    Case(
        "cancel_all means one symbol or all",
        UP,
        {0: [buy(1), buy(1, i_symbol=1), ("cancel_all", {"i_symbol": 1})]},
        [(1, 1, 100.0)],
        {"fill": OPEN, "others": [UP]},
        fates=[(F, Reason.NONE), (C, Reason.BY_STRATEGY)],
    ),
    Case("too little margin", UP, {0: [buy(10.001)]}, [], fates=[(R, Reason.INSUFFICIENT_MARGIN)]),
    Case(
        "margin is asked for again at the fill",
        UP,
        {1: [buy(9.05)]},
        [],
        {"fill": OPEN},  # 9.05 x 110 fits, 9.05 x 111 does not
        fates=[(R, Reason.INSUFFICIENT_MARGIN)],
    ),
    Case(
        "leverage above the run's limit",
        UP,
        {0: [buy(1, leverage=21.0)]},
        [],
        {"max_leverage": 20.0},
        [(R, Reason.LEVERAGE_ABOVE_LIMIT)],
    ),
    Case(
        "leverage above the tier of what would result",
        [QUIET] * 2,
        {0: [buy(400.0, leverage=100.0), buy(200.0, leverage=100.0)]},
        [(0, 400, 100.0)],
        fates=[(F, Reason.NONE), (R, Reason.LEVERAGE_ABOVE_TIER)],
    ),
    Case(
        "minimum quantity and notional",
        UP,
        {0: [buy(0.0001), buy(0.05), buy(0.2), buy(0.0009)]},
        [(0, 0.2, 100.0)],
        {"instrument": {"step_size": 0.0001, "min_qty": 0.001, "min_notional": 10.0}},
        [(R, Reason.BELOW_MIN_QTY), (R, Reason.BELOW_MIN_NOTIONAL), (F, Reason.NONE), (R, Reason.BELOW_MIN_QTY)],
    ),
    Case(
        "orders that reduce are exempt on futures",
        UP,
        {0: [buy(0.2), close(10.0)]},
        [(0, 0.2, 100.0), (0, -0.02, 100.0)],
        {"instrument": {"min_qty": 0.1, "min_notional": 10.0}},
    ),
    Case(
        "but not on spot",
        UP,
        {0: [buy(0.2), close(10.0)]},
        [(0, 0.2, 100.0)],
        {"market": TradingMarket.SPOT, "instrument": {"min_qty": 0.1}},
        [(F, Reason.NONE), (R, Reason.BELOW_MIN_QTY)],
    ),
    Case(
        "spot sells what it holds and no more",
        UP,
        {0: [sell(1), buy(1)], 1: [sell(1.001), sell(1)]},
        [(0, 1, 100.0), (1, -1, 110.0)],
        {"market": TradingMarket.SPOT},
        [(R, Reason.SPOT_SHORT), (F, Reason.NONE), (R, Reason.SPOT_SHORT), (F, Reason.NONE)],
    ),
    Case(
        "spot has no leverage",
        UP,
        {0: [buy(1, leverage=2.0)]},
        [],
        {"market": TradingMarket.SPOT, "max_leverage": 1.0},
        [(R, Reason.LEVERAGE_ABOVE_LIMIT)],
    ),
    Case("a target is traded to", UP, {0: [("target_ratio", {"ratio": -0.5})]}, [(0, -5, 100.0)]),
    Case(
        "a reached target wants nothing",
        UP,
        {0: [("target_ratio", {"ratio": 0.5}), ("target_ratio", {"ratio": 0.5})]},
        [(0, 5, 100.0)],
        fates=[(F, Reason.NONE), (C, Reason.ALREADY_THERE)],
    ),
    Case(
        "a target may flip",
        UP,
        {0: [buy(5), ("target_ratio", {"ratio": -0.5})]},
        [(0, 5, 100.0), (0, -5, 100.0), (0, -5, 100.0)],
    ),
    Case(
        "a target of everything is shaved by its costs",
        UP,
        {0: [("target_ratio", {"ratio": 1.0})]},
        [(0, 9.9, 100.0)],
        {"taker_fee": 0.01},
    ),
    Case(
        "a target beyond its leverage is refused",
        UP,
        {0: [("target_ratio", {"ratio": 1.5})]},
        [],
        fates=[(R, Reason.INSUFFICIENT_MARGIN)],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fill_rules(case):
    result = simulate(case.rows, case.script, **case.settings)
    fills = [(int(f["i_bar"]), float(f["side"] * f["qty"]), float(f["price"])) for f in result.fills]
    assert len(fills) == len(case.fills), fills
    for fill, expected in zip(fills, case.fills, strict=True):
        assert fill == pytest.approx(expected, rel=1e-12)
    if case.fates is not None:
        assert [(o["status"], o["reason"]) for o in result.orders] == case.fates
