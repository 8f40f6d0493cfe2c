"""The account of a run, and the domain objects that users know: faces over the kernels' state."""

from backtests.engine.kernels.types import EventKind
from backtests.engine.portfolio.account import Account

__all__ = ["Account", "EventKind"]
