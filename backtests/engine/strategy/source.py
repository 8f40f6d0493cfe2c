"""From source text to a strategy object, and from an exception back to the line that caused it."""

import builtins
import inspect
import linecache
import sys
import traceback
from collections.abc import Mapping
from types import ModuleType, TracebackType
from typing import Any

import pandas_ta

from backtests.engine.errors import (
    BacktestError,
    LookAheadError,
    RequestError,
    ResourceLimitError,
    StrategyRunError,
    StrategySourceError,
)
from backtests.engine.frames import ErrorFrame
from backtests.engine.indicators import Indicator, crossed_above, crossed_below
from backtests.engine.strategy.candles import Candles
from backtests.engine.strategy.order import Order
from backtests.engine.strategy.param import Param, find_params, resolve_params
from backtests.engine.strategy.strategy import Strategy
from backtests.engine.strategy.targets import Targets

FILENAME = "strategy.py"
MODULE = "strategy_source"
METHODS = {
    "initialize": ("self",),
    "on_data": ("self", "data"),
    "targets": ("self", "candles"),
    "on_order": ("self", "order"),
    "on_fill": ("self", "fill"),
    "on_trade_closed": ("self", "trade"),
    "on_liquidation": ("self", "trade"),
    "on_funding": ("self", "payment"),
    "on_finish": ("self",),
}
LIMIT_CODES = {
    "max_orders": "order_limit",
    "max_log_bytes": "log_limit",
    "max_plot_points": "plot_limit",
    "plots": "plot_limit",
}
PUBLIC_NAMES: dict[str, Any] = {
    "Strategy": Strategy,
    "Param": Param,
    "Targets": Targets,
    "crossed_above": crossed_above,
    "crossed_below": crossed_below,
    "ta": pandas_ta,
}


def register_hindsight() -> ModuleType:
    """Make `import hindsight` work: the names that a source finds without importing, and the types for annotations."""
    module = ModuleType("hindsight", "What strategies are written with.")
    vars(module).update(PUBLIC_NAMES, Candles=Candles, Indicator=Indicator, Order=Order)
    sys.modules["hindsight"] = module
    return module


def load_strategy(source: str, params: Mapping[str, Any] | None = None) -> Strategy:
    """Compile the source, find its one strategy class, and make an object of it with its parameters in place.

    Raises StrategySourceError for a source that cannot become a strategy, RequestError for parameters that do not
    fit it, and whatever the module's own top-level code raises.
    """
    return make_strategy(load_class(source), params)


def load_class(source: str) -> type[Strategy]:
    """The source's one strategy class. Raises as load_strategy does."""
    register_hindsight()
    return _find_class(_execute(source))


def make_strategy[S: Strategy](
    strategy_class: type[S], params: Mapping[str, Any] | None = None, declared: Mapping[str, Param] | None = None
) -> S:
    """An object of the class with its parameters in place; those not given have their defaults.

    declared: find_params of the class, where many objects of it are made. Raises RequestError for parameters that do
    not fit the class.
    """
    values = resolve_params(find_params(strategy_class) if declared is None else declared, params or {})
    strategy = strategy_class.__new__(strategy_class)
    vars(strategy).update(values, _params=values)
    strategy.__init__()  # type: ignore[misc]
    return strategy


def _execute(source: str) -> ModuleType:
    # The traceback of the strategy then shows its lines, though there is no such file.
    linecache.cache[FILENAME] = (len(source), None, source.splitlines(keepends=True), FILENAME)
    try:
        code = compile(source, FILENAME, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise StrategySourceError(
            f"{type(error).__name__}: {error.msg}", line=error.lineno or 0, column=error.offset or 0
        ) from None
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise StrategySourceError(f"The source cannot be compiled: {error}") from None
    module = ModuleType(MODULE)
    # Some libraries look a function's module up by name (pickle, dataclasses, numba).
    sys.modules[MODULE] = module
    vars(module).update(PUBLIC_NAMES, __builtins__=builtins, __file__=FILENAME)
    exec(code, vars(module))  # noqa: S102  (what this process is for; the jail around it is the boundary)
    return module


def _find_class(module: ModuleType) -> type[Strategy]:
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == MODULE
    ]
    classes = list(dict.fromkeys(classes))
    leaves = [c for c in classes if not any(other is not c and issubclass(other, c) for other in classes)]
    if not leaves:
        raise StrategySourceError("There is no strategy: write one class that inherits Strategy.")
    if len(leaves) > 1:
        names = ", ".join(c.__name__ for c in leaves)
        raise StrategySourceError(f"There are several strategies ({names}): keep one class that inherits Strategy.")
    _check_methods(leaves[0])
    _check_way(leaves[0])
    return leaves[0]


def _check_methods(found: type[Strategy]) -> None:
    for name, arguments in METHODS.items():
        method = getattr(found, name)
        if method is getattr(Strategy, name):
            continue
        line = getattr(getattr(method, "__code__", None), "co_firstlineno", 0)
        if not callable(method):
            raise StrategySourceError(f"{found.__name__}.{name} must be a method.", line=line)
        try:
            inspect.signature(method).bind(*arguments)
        except TypeError:
            raise StrategySourceError(
                f"{name} takes other arguments than it gets: write `def {name}({', '.join(arguments)}):`.", line=line
            ) from None


def has_targets(strategy_class: type[Strategy]) -> bool:
    """Whether it answers once with an array, instead of at every bar."""
    return strategy_class.targets is not Strategy.targets


def _check_way(found: type[Strategy]) -> None:
    """It is called at every bar, or it answers once with an array: one of the two."""
    has = {name for name in METHODS if getattr(found, name) is not getattr(Strategy, name)}
    needed = () if "targets" in has else ("initialize", "on_data")
    for name in needed:
        if name not in has:
            raise StrategySourceError(
                f"{found.__name__} has no {name}: write `def {name}({', '.join(METHODS[name])}):`."
            )
    unheard = [name for name in METHODS if name in has - {"initialize", "targets", "on_finish"}]
    if "targets" in has and unheard:
        line = getattr(getattr(getattr(found, unheard[0]), "__code__", None), "co_firstlineno", 0)
        raise StrategySourceError(
            f"{found.__name__} has targets, so {unheard[0]} is never called: keep one of the two.", line=line
        )


def describe_error(error: BaseException, source: str, bar_time_ms: int | None) -> ErrorFrame:
    """What a user needs to act: code, message, line, source line, bar time, and the strategy's own frames."""
    if isinstance(error, StrategySourceError):
        return ErrorFrame(error.code, str(error), error.line, _line_of(source, error.line), bar_time_ms, "")
    frames = [frame for frame in _extract(error.__traceback__) if frame.filename == FILENAME]
    line = (frames[-1].lineno or 0) if frames else getattr(error, "line", 0)
    if isinstance(error, LookAheadError):  # it says itself where
        line, bar_time_ms = error.line, error.bar_time_ms
    return ErrorFrame(
        code=_code_of(error, is_users=bool(frames)),
        message=_message_of(error),
        line=line,
        source_line=_line_of(source, line),
        bar_time_ms=bar_time_ms,
        traceback="".join(traceback.format_list(frames)),
    )


def _extract(trace: TracebackType | None) -> traceback.StackSummary:
    # From the inside out, and never without end: a recursion leaves a thousand frames.
    return traceback.extract_tb(trace, limit=-50)


def _code_of(error: BaseException, *, is_users: bool) -> str:
    if isinstance(error, MemoryError):
        return "memory_limit"
    if isinstance(error, ResourceLimitError) and error.limit in LIMIT_CODES:
        return LIMIT_CODES[error.limit]
    if isinstance(error, RequestError) and not is_users:
        return "strategy_source"
    if isinstance(error, LookAheadError):
        return error.code
    return "strategy_error" if is_users or isinstance(error, BacktestError) else "internal"


def _message_of(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "The strategy needs more memory than a run may use."
    if isinstance(error, SystemExit):
        return "The strategy called exit(). To end early, stop making orders."
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # the user's own exception class may raise here
        text = ""
    message = text if isinstance(error, StrategyRunError) else f"{name}: {text}" if text else name
    cause = error.__cause__
    return f"{message} (caused by {type(cause).__name__})" if cause is not None else message


def _line_of(source: str, line: int) -> str:
    lines = source.splitlines()
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""
