"""The engine: backtests under the exchange's own rules, usable alone, without Django.

Names are resolved when first asked for (PEP 562): a web process that only reads results loads no compiler.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_WHERE = {
    "backtests.engine.errors": (
        "BacktestError",
        "DataError",
        "IntegrityError",
        "LeverageError",
        "LiquidationError",
        "LookAheadError",
        "MarginError",
        "OrderError",
        "RequestError",
        "ResourceLimitError",
        "StrategyRunError",
        "StrategySourceError",
    ),
    "backtests.engine.request": (
        "Bars",
        "Feed",
        "FillPolicy",
        "FundingEvents",
        "Instrument",
        "LimitFill",
        "MarginMode",
        "MarginTier",
        "PathRule",
        "RunMode",
        "RunRequest",
        "SymbolFeed",
        "TradingMarket",
    ),
    "backtests.engine.result": ("CommandLog", "EngineResult"),
    "backtests.engine.loop": ("BoundStrategy", "Reporter", "run"),
    "backtests.engine.replay": ("replay",),
    "backtests.engine.strategy": (
        "Candles",
        "Param",
        "Session",
        "Strategy",
        "Targets",
        "load_strategy",
        "make_strategy",
    ),
    "backtests.engine.sweep": ("sweep",),
    "backtests.engine.targets": ("follow_targets", "run_targets"),
    "backtests.engine.portfolio.account": ("Account",),
    "backtests.engine.portfolio.domain": (
        "ActionType",
        "Portfolio",
        "Position",
        "PositionType",
        "Symbol",
        "Trade",
        "TradingMode",
    ),
    "backtests.engine.portfolio.formulas": ("funding_payment", "liquidation_price", "maintenance_margin"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}
# The names that the request and the result of a backtest go by elsewhere.
_ALIASES = {"BacktestConfig": "RunRequest", "BacktestResults": "EngineResult"}

__all__ = [*_MODULE_OF, *_ALIASES]


def __getattr__(name: str) -> Any:
    wanted = _ALIASES.get(name, name)
    if wanted not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[wanted]), wanted)


def __dir__() -> list[str]:
    return sorted(__all__)


class _Engine(ModuleType):
    """Importing the modules `replay` and `sweep` would hide the functions of these names, which users mean."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in ("replay", "sweep") and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Engine
