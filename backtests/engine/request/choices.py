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


class RunMode(StrEnum):
    """What of the span is in the memory of the strategy's process."""

    DRAFT = "draft"  # all of it
    SEALED = "sealed"  # the bars that have come


class LimitFill(StrEnum):
    TOUCH = "touch"
    THROUGH = "through"


DEFAULT_FEES = {TradingMarket.SPOT: (0.001, 0.001), TradingMarket.USDM: (0.0002, 0.0004)}  # maker, taker
