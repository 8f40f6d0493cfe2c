"""Every code of the engine, and the stored rows (declared in rows.py). Loads no compiler: web processes read this."""

from enum import IntEnum

from backtests.engine.kernels.rows import COMMAND, EQUITY, FILL, FUNDING, LIQUIDATION, ORDER, TRADE

__all__ = [
    "COMMAND",
    "EQUITY",
    "FILL",
    "FUNDING",
    "LIQUIDATION",
    "ORDER",
    "TRADE",
    "CommandKind",
    "EventKind",
    "ExitReason",
    "OrderKind",
    "OrderStatus",
    "Phase",
    "Reason",
    "SizeKind",
]


class CommandKind(IntEnum):
    SUBMIT = 1
    CANCEL = 2
    MODIFY = 3
    CANCEL_ALL = 4
    CLOSE_POSITION = 5  # size = percentage, 0 < size <= 100
    TARGET = 6  # size = signed; what it counts is in size_kind
    SET_STOP_LOSS = 7  # stop_price = the price
    SET_TAKE_PROFIT = 8  # limit_price = the price
    ATTACH_TAKE_PROFIT = 9  # precedes its SUBMIT: order_id = the parent's, size = share, limit_price = price


class SizeKind(IntEnum):
    QTY = 1
    NOTIONAL = 2
    EQUITY_RATIO = 3
    POSITION_PERCENT = 4  # of the open position, against it
    TARGET_RATIO = 5  # signed notional of the position / margin balance
    TARGET_QTY = 6  # signed quantity of the position
    TARGET_NOTIONAL = 7  # signed notional of the position


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


class Phase(IntEnum):
    """What an order waits for."""

    ENTRY = 0  # attached: for the first fill of its entry
    OPEN = 1  # a market order, or what is left of a triggered one: for the symbol's next open with trades
    NEW_LIMIT = 2  # for that open, too, and goes into the book there
    LIMIT = 3  # rests in the book
    TRIGGER = 4  # a stop, a take-profit, a trailing stop: for its level


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
    ALREADY_THERE = 18  # a target that asks for what is held
    ENTRY_ENDED = 19  # an attached order whose entry ended without a fill
    REPLACED = 20  # a stop or target of a position that got a new one


class EventKind(IntEnum):
    """What a hook hears about; the row is an index into the table named here."""

    ORDER = 1  # orders: filled, rejected, cancelled or expired
    FILL = 2  # fills
    FUNDING = 3  # funding
    TRADE_CLOSED = 4  # trades
    LIQUIDATION = 5  # trades, too: the trade that was liquidated


class ExitReason(IntEnum):
    """What ended a trade."""

    OPEN = 0
    ORDER = 1
    STOP_LOSS = 2
    TAKE_PROFIT = 3
    TRAILING_STOP = 4
    FLIP = 5
    LIQUIDATION = 6
