"""The table of orders says of each what it was, what it waited for, how it ended and why."""

from types import SimpleNamespace

import numpy as np
import pytest

from backtests.engine.kernels.types import EQUITY, ORDER, OrderKind, OrderStatus, Reason, SizeKind
from backtests.presentation.numbers import NBSP
from backtests.presentation.orders import choose_orders, count_reasons, list_fates, order_rows
from tests.metrics.result_rows import HOUR_MS, START_MS

NAN = float("nan")
USUAL = {
    "parent_id": -1, "side": 1, "kind": OrderKind.MARKET, "size_kind": SizeKind.QTY, "size": 0.5, "qty": 0.5,
    "limit_price": NAN, "stop_price": NAN, "trailing_ratio": NAN, "share": NAN, "leverage": 3.0,
    "status": OrderStatus.FILLED, "average_price": NAN, "i_bar": 7, "i_bar_done": 8, "i_tag": -1,
}  # fmt: skip


def order_of(**values):
    row = np.zeros(1, ORDER)
    for name, value in {**USUAL, **values}.items():
        row[name] = value
    return row


def shown(**values):
    equity = np.zeros(10, EQUITY)
    equity["time_ms"] = START_MS + HOUR_MS * np.arange(1, 11)
    report = SimpleNamespace(
        request=SimpleNamespace(symbols=("BTCUSDT",)), tables={"equity": equity}, first_bar=5, tags=("up",)
    )
    [row] = order_rows(order_of(**values), report)
    return row


def test_a_market_order_waits_for_no_price():
    row = shown(order_id=11, average_price=100.0, filled_qty=0.5, i_tag=0)
    assert (row.number, row.kind, row.notes, row.limit_price, row.trigger) == (12, "Market", (), "", "")
    assert (row.status, row.reason, row.average_price, row.tag, row.leverage) == ("Filled", "", "100.00", "up", "3x")
    assert row.ended == "2025-01-01 04:00"  # the close of bar 8, the fourth of the span


@pytest.mark.parametrize(
    ("values", "kind", "limit", "trigger"),
    [
        ({"kind": OrderKind.LIMIT, "limit_price": 99.5}, "Limit", "99.5", ""),
        ({"kind": OrderKind.STOP, "stop_price": 101.0}, "Stop", "", "101.00"),
        ({"kind": OrderKind.STOP_LIMIT, "limit_price": 102.0, "stop_price": 101.0}, "Stop limit", "102.00", "101.00"),
        ({"kind": OrderKind.TRAILING_STOP, "stop_price": 98.0}, "Trailing stop", "", "98"),
    ],
)
def test_limit_and_trigger_stand_in_columns_of_their_own(values, kind, limit, trigger):
    row = shown(**values)
    assert (row.kind, row.limit_price, row.trigger) == (kind, limit, trigger)


def test_an_attached_order_names_its_entry_and_its_share():
    target = shown(kind=OrderKind.TAKE_PROFIT, parent_id=11, share=0.5, is_reduce_only=True)
    assert (target.notes, target.size, target.leverage) == (("attached to #12",), f"50.00{NBSP}% of its entry", "–")
    stop = shown(kind=OrderKind.STOP_LOSS, parent_id=11, is_reduce_only=True)
    assert (stop.kind, stop.size) == ("Stop loss", "all of its entry")


def test_what_else_was_asked_for_is_said():
    notes = shown(is_reduce_only=True, is_post_only=True, trailing_ratio=0.02, good_for_bars=3).notes
    assert notes == ("reduce-only", f"trails by 2.00{NBSP}%", "post-only", "good for 3 bars")


@pytest.mark.parametrize("kind", list(SizeKind))
def test_every_kind_of_size_has_words(kind):
    assert shown(size_kind=kind, size=0.5).size


def test_an_order_that_never_ended_has_no_time_of_its_end():
    assert shown(i_bar_done=-1).ended == "–"


def test_fates_and_reasons_are_counted():
    rows = np.concatenate(
        [
            order_of(),
            order_of(),
            order_of(status=OrderStatus.CANCELLED, reason=Reason.POSITION_CLOSED),
            order_of(status=OrderStatus.CANCELLED, reason=Reason.POSITION_CLOSED),
            order_of(status=OrderStatus.EXPIRED, reason=Reason.END_OF_DATA),
        ]
    )
    assert [(fate.name, fate.n) for fate in list_fates(rows)] == [("filled", 2), ("cancelled", 2), ("expired", 1)]
    reasons = [(row.status, row.reason, row.n) for row in count_reasons(rows)]
    assert reasons[0] == ("Cancelled", "The position it belonged to is closed", 2)
    assert reasons[1][::2] == ("Expired", 1)
    assert len(choose_orders(rows, "cancelled")) == 2
    assert len(choose_orders(rows, "nonsense")) == 5
    assert count_reasons(np.zeros(0, ORDER)) == []
