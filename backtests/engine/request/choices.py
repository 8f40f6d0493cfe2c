"""The words that a request may use for market, margin and fills."""

from enum import StrEnum


class TradingMarket(StrEnum):
    SPOT = "spot"
    USDM = "usdm"


class FillPolicy(StrEnum):
    CLOSE = "close"
    NEXT_OPEN = "next_open"


class MarginMode(StrEnum):
    ISOLATED = "isolated"
    CROSS = "cross"


class PathRule(StrEnum):
    PESSIMISTIC = "pessimistic"
    OPTIMISTIC = "optimistic"


class LimitFill(StrEnum):
    TOUCH = "touch"
    THROUGH = "through"


DEFAULT_FEES = {TradingMarket.SPOT: (0.001, 0.001), TradingMarket.USDM: (0.0002, 0.0004)}  # maker, taker
