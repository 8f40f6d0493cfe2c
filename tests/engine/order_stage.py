"""Scenario tables of orders: candles and calls in, fills and fates out, computed by hand from the rules.

One row is one rule of docs/concepts/order-of-events.md. Each is run by calls and once more from its command log.
"""

from dataclasses import dataclass, field

import pytest

from backtests.engine.kernels.types import ExitReason, OrderKind, OrderStatus, Reason
from backtests.engine.replay import replay
from backtests.engine.request import Feed, Instrument, LimitFill, RunRequest, SymbolFeed, TradingMarket
from tests.engine.market_stage import TIERS, bars_of, stamps_of
from tests.engine.scenarios import MINUTE, NAMES, START, play

DOWN = (100.0, 101.0, 94.0, 97.0)  # when flat: first up to 101, then down to 94, then 97
UP = (100.0, 106.0, 99.0, 103.0)  # when flat: first down to 99, then up to 106, then 103
THROUGH = {"limit_fill": LimitFill.THROUGH}


@dataclass
class Case:
    """`rows` are bars (open, high, low, close); `script` holds the calls made at the close of each bar."""

    name: str
    rows: list
    script: dict
    fills: list  # (bar, signed quantity, price, kind of the order)
    fates: list | None = None  # of the orders by id: "filled", "rejected INVALID_PRICE"; ... for any
    exits: list | None = None  # why each trade ended
    ambiguous: int | None = None  # bars
    settings: dict = field(default_factory=dict)


def run_case(case):
    """The result of a row; a replay of its command log must give the same to the bit."""
    request, feed = make_market(case.rows, **case.settings)
    result, log = play(case.script, request, feed)
    assert replay(request, feed, log).result_hash() == result.result_hash(), "the replay differs"
    return result


def make_market(
    rows, *, volumes=None, mark=None, fine=None, stamps=None, others=(), instrument=None, fee=0.0, maker_fee=0.0, **more
):
    """(request, feed): 1,000 in the wallet, no costs, isolated, 1x unless an order says more."""
    rules = {"tiers": TIERS, "step_size": 0.001, **(instrument or {})}
    if more.get("market") is TradingMarket.SPOT:
        rules["tiers"], more = (), {"max_leverage": 1.0, **more}
    bars, symbols = bars_of(rows, volumes), []
    funding = {"funding": stamps_of(stamps)} if stamps else {}
    symbols = [SymbolFeed(Instrument(NAMES[0], **rules), bars, mark and bars_of(mark), fine, **funding)]
    symbols += [SymbolFeed(Instrument(NAMES[i + 1], **rules), bars_of(other)) for i, other in enumerate(others)]
    settings = {
        "market": TradingMarket.USDM,
        "symbols": NAMES[: len(symbols)],
        "timeframe": "1m",
        "from_ms": START,
        "to_ms": START + MINUTE * len(rows),
        "initial_balance": 1000.0,
        "taker_fee": fee,
        "maker_fee": maker_fee,
        **more,
    }
    return RunRequest(**settings), Feed(tuple(symbols))


def check(case):
    result = run_case(case)
    kinds = [OrderKind(int(kind)).name.lower() for kind in result.fills["kind"]]
    fills = [(int(f["i_bar"]), round(float(f["side"] * f["qty"]), 9), float(f["price"])) for f in result.fills]
    got = [(*fill, kind) for fill, kind in zip(fills, kinds, strict=True)]
    wanted = [(*fill[:2], pytest.approx(fill[2], rel=1e-12), fill[3]) for fill in case.fills]
    assert got == wanted
    if case.fates is not None:
        fates = fates_of(result)
        assert len(fates) == len(case.fates), fates
        assert [
            fate if wanted is not ... else ... for fate, wanted in zip(fates, case.fates, strict=True)
        ] == case.fates
    if case.exits is not None:
        assert [ExitReason(int(reason)).name.lower() for reason in result.trades["exit_reason"]] == case.exits
    if case.ambiguous is not None:
        assert result.counters["ambiguous_bars"] == case.ambiguous
    return result


def fates_of(result):
    return [_fate(order) for order in result.orders]


def _fate(order):
    reason = Reason(int(order["reason"]))
    return OrderStatus(int(order["status"])).name.lower() + (f" {reason.name}" if reason else "")


def modify(order_id, **fields):
    return "modify", {"order_id": order_id, **fields}


def cancel(order_id):
    return "cancel", {"order_id": order_id}


def stop_at(price):
    return "set_stop_loss", {"price": price}


def target_at(price):
    return "set_take_profit", {"price": price}


def ids(case):
    return case.name
