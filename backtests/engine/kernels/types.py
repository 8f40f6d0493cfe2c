"""Every stored row and every code of the engine, declared once.

Money is in quote currency, quantities in base units, times int64 UTC ms. NaN means "not given". Kernels count
quantities as int64 steps; the rows below hold the float quantity = steps x step_size.
"""

from enum import IntEnum

import numpy as np


class CommandKind(IntEnum):
    SUBMIT = 1
    CANCEL = 2
    MODIFY = 3
    CANCEL_ALL = 4
    CLOSE_POSITION = 5  # size = percentage, 0 < size <= 100
    TARGET = 6  # size = signed notional / margin balance
    SET_STOP_LOSS = 7
    SET_TAKE_PROFIT = 8
    ATTACH_TAKE_PROFIT = 9  # follows its SUBMIT: order_id = the parent's, size = share, limit_price = price


class SizeKind(IntEnum):
    QTY = 1
    NOTIONAL = 2
    EQUITY_RATIO = 3


class OrderKind(IntEnum):
    MARKET = 1
    LIMIT = 2
    STOP = 3
    STOP_LIMIT = 4
    TRAILING_STOP = 5
    STOP_LOSS = 6  # attached to an entry
    TAKE_PROFIT = 7  # attached to an entry
    LIQUIDATION = 8  # the exchange's own


class OrderStatus(IntEnum):
    PENDING = 1  # waits for its bar, trigger or price
    PARTLY_FILLED = 2
    FILLED = 3
    CANCELLED = 4
    REJECTED = 5
    EXPIRED = 6


class Reason(IntEnum):
    """Why an order was rejected, expired or cancelled."""

    NONE = 0
    INSUFFICIENT_MARGIN = 1
    BELOW_MIN_NOTIONAL = 2
    BELOW_MIN_QTY = 3
    LEVERAGE_ABOVE_LIMIT = 4
    LEVERAGE_ABOVE_TIER = 5
    SPOT_SHORT = 6
    REDUCE_ONLY = 7
    NO_POSITION = 8
    INVALID_QTY = 9
    INVALID_PRICE = 10
    WOULD_TAKE = 11
    END_OF_DATA = 12
    LIQUIDATED = 13
    RUINED = 14
    BY_STRATEGY = 15  # the strategy cancelled it
    POSITION_CLOSED = 16  # an attached order whose position is gone
    GOOD_FOR_BARS = 17


class ExitReason(IntEnum):
    """What ended a trade."""

    OPEN = 0
    ORDER = 1
    STOP_LOSS = 2
    TAKE_PROFIT = 3
    TRAILING_STOP = 4
    FLIP = 5
    LIQUIDATION = 6


COMMAND = np.dtype(
    [
        ("i_bar", "i8"),
        ("seq", "i8"),  # order of the calls within the run, from 0
        ("kind", "i1"),
        ("i_symbol", "i4"),  # -1: all symbols
        ("order_id", "i8"),  # the id that a SUBMIT creates, or the one that CANCEL and MODIFY mean
        ("side", "i1"),  # +1 buy, -1 sell
        ("size_kind", "i1"),
        ("size", "f8"),
        ("limit_price", "f8"),
        ("stop_price", "f8"),
        ("stop_loss", "f8"),
        ("take_profit", "f8"),
        ("trailing_ratio", "f8"),
        ("leverage", "f8"),
        ("is_reduce_only", "?"),
        ("is_post_only", "?"),
        ("good_for_bars", "i4"),  # 0: until cancelled
        ("i_tag", "i4"),  # index into the log's tags; -1 none
    ]
)

ORDER = np.dtype(
    [
        ("order_id", "i8"),
        ("parent_id", "i8"),  # the entry that an attached order belongs to; -1 none
        ("i_bar", "i8"),  # submitted at the close of this bar
        ("time_ms", "i8"),
        ("i_symbol", "i4"),
        ("side", "i1"),
        ("kind", "i1"),
        ("size_kind", "i1"),
        ("size", "f8"),
        ("qty", "f8"),  # resolved; NaN until then
        ("limit_price", "f8"),
        ("stop_price", "f8"),
        ("leverage", "f8"),
        ("is_reduce_only", "?"),
        ("is_post_only", "?"),
        ("status", "i1"),
        ("reason", "i1"),
        ("filled_qty", "f8"),
        ("average_price", "f8"),
        ("i_bar_done", "i8"),  # -1 while it waits
        ("i_tag", "i4"),
    ]
)

FILL = np.dtype(
    [
        ("fill_id", "i8"),
        ("order_id", "i8"),
        ("trade_id", "i8"),
        ("i_bar", "i8"),
        ("time_ms", "i8"),  # open of the bar for fills at the open or on the path, its close for fills at the close
        ("i_symbol", "i4"),
        ("side", "i1"),
        ("kind", "i1"),  # OrderKind
        ("qty", "f8"),
        ("price", "f8"),
        ("fee", "f8"),
        ("is_maker", "?"),
        ("slippage", "f8"),  # cash lost to it, >= 0
        ("realised_pnl", "f8"),  # gross
        ("leverage", "f8"),
        ("initial_margin", "f8"),  # brought (+) or released (-)
        ("position_qty", "f8"),  # after
        ("entry_price", "f8"),  # after; NaN when flat
        ("wallet_balance", "f8"),  # after
    ]
)

TRADE = np.dtype(
    [
        ("trade_id", "i8"),
        ("i_symbol", "i4"),
        ("side", "i1"),
        ("i_bar_entry", "i8"),
        ("i_bar_exit", "i8"),  # -1 while open
        ("entry_ms", "i8"),
        ("exit_ms", "i8"),  # -1 while open
        ("qty", "f8"),  # total opened
        ("entry_price", "f8"),  # qty-weighted over all entries
        ("exit_price", "f8"),  # qty-weighted over all exits; NaN while nothing is closed
        ("leverage", "f8"),  # at the opening fill
        ("initial_margin", "f8"),  # brought in all
        ("gross_pnl", "f8"),  # realised, before fees and funding; without the liquidation loss
        ("fees", "f8"),
        ("funding", "f8"),  # signed cash, positive = received
        ("liquidation_loss", "f8"),  # >= 0
        ("pnl", "f8"),  # gross_pnl - fees + funding - liquidation_loss
        ("mae", "f8"),  # worst unrealised PnL, <= 0
        ("mfe", "f8"),  # best unrealised PnL, >= 0
        ("n_fills", "i4"),
        ("exit_reason", "i1"),
        ("i_tag", "i4"),  # of the entry
    ]
)

EQUITY = np.dtype(
    [
        ("time_ms", "i8"),  # the close of the bar = its open + timeframe
        ("wallet_balance", "f8"),
        ("unrealised_pnl", "f8"),
        ("margin_balance", "f8"),
        ("position_qty", "f8"),  # of the primary symbol, signed
        ("exposure", "f8"),  # signed notional of all positions / margin balance
        ("margin_ratio", "f8"),
    ]
)

FUNDING = np.dtype(
    [
        ("time_ms", "i8"),
        ("i_bar", "i8"),
        ("i_symbol", "i4"),
        ("trade_id", "i8"),
        ("position_qty", "f8"),
        ("mark_price", "f8"),
        ("rate", "f8"),
        ("payment", "f8"),  # positive = received
    ]
)

LIQUIDATION = np.dtype(
    [
        ("i_bar", "i8"),
        ("time_ms", "i8"),
        ("i_symbol", "i4"),
        ("trade_id", "i8"),
        ("position_qty", "f8"),
        ("entry_price", "f8"),
        ("liquidation_price", "f8"),
        ("price", "f8"),  # at which it closed
        ("isolated_wallet", "f8"),
        ("maintenance_margin", "f8"),
        ("i_tier", "i4"),
        ("fee", "f8"),
        ("loss", "f8"),  # wallet change, >= 0
        ("covered", "f8"),  # loss beyond the wallet, borne by the insurance fund
        ("mark_low", "f8"),  # the bar that did it
        ("mark_high", "f8"),
    ]
)
