"""What a strategy is written with, and what drives it."""

from backtests.engine.indicators import Indicator, crossed_above, crossed_below
from backtests.engine.strategy.bar import Bar
from backtests.engine.strategy.candles import Candles
from backtests.engine.strategy.order import Order
from backtests.engine.strategy.param import Param
from backtests.engine.strategy.session import Session
from backtests.engine.strategy.source import (
    describe_error,
    has_targets,
    load_class,
    load_strategy,
    make_strategy,
    register_hindsight,
)
from backtests.engine.strategy.strategy import Strategy
from backtests.engine.strategy.targets import Targets, make_plan

__all__ = [
    "Bar",
    "Candles",
    "Indicator",
    "Order",
    "Param",
    "Session",
    "Strategy",
    "Targets",
    "crossed_above",
    "crossed_below",
    "describe_error",
    "has_targets",
    "load_class",
    "load_strategy",
    "make_plan",
    "make_strategy",
    "register_hindsight",
]
