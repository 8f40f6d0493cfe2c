"""What goes into a run: the request, and the feed it runs on."""

from backtests.engine.request.bars import Bars, Feed, FundingEvents, SymbolFeed, merge_times
from backtests.engine.request.choices import (
    DEFAULT_FEES,
    FillPolicy,
    LimitFill,
    MarginMode,
    PathRule,
    RunMode,
    TradingMarket,
)
from backtests.engine.request.instrument import Instrument, MarginTier, check_tiers
from backtests.engine.request.limits import RUN_LIMITS
from backtests.engine.request.run_request import SYMBOL, ParamValue, RunRequest
from backtests.engine.request.timeframe import TIMEFRAME_MS, timeframe_to_ms

__all__ = [
    "DEFAULT_FEES",
    "RUN_LIMITS",
    "SYMBOL",
    "TIMEFRAME_MS",
    "Bars",
    "Feed",
    "FillPolicy",
    "FundingEvents",
    "Instrument",
    "LimitFill",
    "MarginMode",
    "MarginTier",
    "ParamValue",
    "PathRule",
    "RunMode",
    "RunRequest",
    "SymbolFeed",
    "TradingMarket",
    "check_tiers",
    "merge_times",
    "timeframe_to_ms",
]
