"""The exceptions of a backtest, and the codes that pages, API and command show for them."""

from typing import Any


class BacktestError(Exception):
    """Base of every error that a user can act on. `code` is stable; the message may be reworded."""

    code = "backtest_error"


class RequestError(BacktestError):
    """A run request that makes no sense: which field, a stable code, and what to do about it."""

    code = "invalid_request"

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.message = message


class DataError(BacktestError):
    """Candles, mark prices, funding or instrument rules that cannot be used."""

    code = "data_error"


class StrategySourceError(BacktestError):
    """A source that cannot become a strategy: line and column count from 1; 0 when unknown."""

    code = "strategy_source"

    def __init__(self, message: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class StrategyRunError(BacktestError):
    """The strategy raised while it ran. line: of the method that is to blame, where the traceback does not show it."""

    code = "strategy_error"

    def __init__(self, message: str, *, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class LookAheadError(StrategyRunError):
    """A sealed run gave an indicator another value, or a target, than the whole span gives."""

    code = "looks_ahead"

    def __init__(self, message: str, *, line: int = 0, bar_time_ms: int | None = None) -> None:
        super().__init__(message, line=line)
        self.bar_time_ms = bar_time_ms


class OrderError(BacktestError):
    """A call that can never be an order: two sizes, a NaN, an unknown symbol. (A refused order is not an error.)"""

    code = "order_error"


class MarginError(BacktestError):
    code = "margin_error"


class LeverageError(MarginError):
    code = "leverage_error"


class LiquidationError(MarginError):
    code = "liquidation_error"


class ResourceLimitError(BacktestError):
    """A limit was reached: which one, what it allows, what was used."""

    code = "resource_limit"

    def __init__(self, limit: str, allowed: Any, used: Any, message: str) -> None:
        super().__init__(message)
        self.limit = limit
        self.allowed = allowed
        self.used = used


class IntegrityError(BacktestError):
    """The child's own ledger and the replay of its orders disagree."""

    code = "integrity"
