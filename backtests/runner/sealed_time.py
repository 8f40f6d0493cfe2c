"""How long a sealed run will take, about: known before it is queued, from its bars and from a look at its source.

The figures were measured on one core of a virtual machine in 2026 (docs/decisions/0012); nobody runs the strategy to
find out. What a strategy does itself at each bar is not in them: a draft shows that.
"""

import ast
from dataclasses import dataclass

from accounts.quotas import Limits
from backtests.engine.errors import RequestError
from backtests.engine.request import RunMode, RunRequest, timeframe_to_ms
from backtests.engine.sealed.listed import DIRECT, LISTED, STEPPED

TURN_US = 25.0  # a bar's way there and back, the kernels, and a small strategy
SYMBOL_US = 6.0  # for each one more
FINE_US = 0.5  # for each finer bar
STEPPED_US = 2.0  # an indicator that goes on from where it stood
CALLED_US = 250.0  # a function that is called again at every bar
CALLED_ROW_US = 0.01  # and for each bar that it is called over
DIRECT_US = 12.0
DIRECT_ROW_US = 0.004
TARGETS_US = 150.0  # targets(), which is called again, too
TARGETS_ROW_US = 0.02


@dataclass(frozen=True, slots=True)
class Work:
    """What a source asks for at each bar: calls of `indicator` by their kind, and whether it has `targets`."""

    n_stepped: int = 0
    n_direct: int = 0
    n_called: int = 0
    has_targets: bool = False


def estimate_sealed_s(
    source: str, n_bars: int, *, warmup_bars: int = 0, n_symbols: int = 1, n_fine_per_bar: int = 0
) -> float:
    """Seconds, about, for so many bars of the span."""
    work = look_at(source)
    rows = warmup_bars + n_bars / 2  # of a prefix, on average
    us = TURN_US + SYMBOL_US * (n_symbols - 1) + FINE_US * n_fine_per_bar * n_symbols
    us += STEPPED_US * work.n_stepped
    us += (DIRECT_US + DIRECT_ROW_US * rows) * work.n_direct
    us += (CALLED_US + CALLED_ROW_US * rows) * work.n_called
    us += (TARGETS_US + TARGETS_ROW_US * rows) * work.has_targets
    return n_bars * us / 1e6


def check_sealed_time(request: RunRequest, source: str, limits: Limits) -> None:
    """Raise RequestError for a sealed run that would not come to its end within the time that it may take."""
    if request.mode is not RunMode.SEALED:
        return
    finer = request.intrabar_timeframe
    seconds = estimate_sealed_s(
        source,
        request.n_bars,
        warmup_bars=request.warmup_bars,
        n_symbols=len(request.symbols),
        n_fine_per_bar=request.timeframe_ms // timeframe_to_ms(finer) if finer else 0,
    )
    allowed = limits.run_wall_clock_s
    if seconds <= allowed:
        return
    raise RequestError(
        "mode",
        "sealed_takes_too_long",
        f"Sealed, these {request.n_bars:,} bars would take about {seconds:,.0f} s; a run may take {allowed:,} s. "
        "Run it as a draft, shorten the span, choose longer bars" + _say_work(look_at(source)) + ".",
    )


def look_at(source: str) -> Work:
    """Counts calls by their names; a source that does not parse asks for nothing."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Work()
    names = [
        _name_of(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "indicator"
        and node.args
    ]
    return Work(
        n_stepped=sum(name in STEPPED for name in names),
        n_direct=sum(name in DIRECT for name in names),
        n_called=sum(name not in LISTED for name in names),
        has_targets=any(isinstance(node, ast.FunctionDef) and node.name == "targets" for node in ast.walk(tree)),
    )


def _name_of(node: ast.expr) -> str:
    return node.attr.lower() if isinstance(node, ast.Attribute) else ""


def _say_work(work: Work) -> str:
    if work.has_targets:
        return ", or write on_data instead of targets, which is asked again at every bar"
    if work.n_called:
        return f", or use indicators that go on bar by bar ({', '.join(sorted(STEPPED))})"
    return ""
