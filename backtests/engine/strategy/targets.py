"""Targets: the wanted position at every bar, as one array."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.engine.errors import StrategyRunError
from backtests.engine.kernels.types import SizeKind
from backtests.engine.portfolio.follower import TargetPlan
from backtests.engine.strategy.candles import Candles
from backtests.engine.strategy.history import time_index

UNITS = {
    "equity_ratio": SizeKind.TARGET_RATIO,
    "qty": SizeKind.TARGET_QTY,
    "notional": SizeKind.TARGET_NOTIONAL,
}


class Targets:
    """What `targets(self, candles)` returns: values, and how they are meant.

    values: one number per bar of the candles; NaN: no change; negative: short; 0: flat. unit: "equity_ratio" (signed
    notional / equity), "qty" (base quantity) or "notional" (quote currency). stop_loss_ratio, take_profit_ratio:
    distance from the opening fill's price, 0.02 is 2 %. rebalance_band: the drift, in the unit of the values, beyond
    which the position is set right again; without it drift is left alone. Raises StrategyRunError for anything else.
    """

    def __init__(
        self,
        values: Any,
        unit: str = "equity_ratio",
        leverage: float | None = None,
        stop_loss_ratio: float | None = None,
        take_profit_ratio: float | None = None,
        rebalance_band: float | None = None,
    ) -> None:
        self.values = _read_values(values)
        if unit not in UNITS:
            raise StrategyRunError(f"unit={unit!r:.40} is not one of: {', '.join(UNITS)}.")
        self.unit = unit
        self.leverage = _read_number("leverage", leverage, at_least=1.0)
        self.stop_loss_ratio = _read_number("stop_loss_ratio", stop_loss_ratio, below=1.0)
        self.take_profit_ratio = _read_number("take_profit_ratio", take_profit_ratio)
        self.rebalance_band = _read_number("rebalance_band", rebalance_band)
        if self.rebalance_band is not None and unit == "qty":
            raise StrategyRunError('A quantity does not drift: rebalance_band goes with "equity_ratio" or "notional".')

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"<Targets of {len(self)} bars in {self.unit}>"


def make_plan(answer: Any, candles: Candles, *, max_orders: int | None = None, line: int = 0) -> TargetPlan:
    """What a targets function returned, for the kernels. Raises StrategyRunError, with the function's line."""
    try:
        targets = answer if isinstance(answer, Targets) else Targets(answer)
        changes, changed = check_values(targets.values, candles)
    except StrategyRunError as error:
        raise StrategyRunError(str(error), line=line) from None
    return TargetPlan(
        targets.values,
        changes,
        changed,
        UNITS[targets.unit],
        leverage=_or_nan(targets.leverage),
        stop_loss_ratio=_or_nan(targets.stop_loss_ratio),
        take_profit_ratio=_or_nan(targets.take_profit_ratio),
        band=math.inf if targets.rebalance_band is None else targets.rebalance_band,
        max_orders=max_orders,
    )


def check_values(values: NDArray[np.float64], candles: Candles) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """One for each bar, none infinite. Returns the bars where they change, and the values there. Raises
    StrategyRunError.
    """
    if len(values) != len(candles):
        n_warmup = candles.first_bar
        raise StrategyRunError(
            f"targets gave {len(values):,} values for {len(candles):,} bars ({n_warmup:,} of warm-up and "
            f"{len(candles) - n_warmup:,} of the span): one for each bar of the candles."
        )
    changes = candles.find_changes(values)
    changed = values[changes]
    is_infinite = np.isinf(changed)
    if is_infinite.any():
        i_bar = int(changes[np.argmax(is_infinite)])
        time = time_index(candles.time_ms[i_bar : i_bar + 1])[0]
        raise StrategyRunError(f"Target {i_bar} (bar of {time:%Y-%m-%d %H:%M}) is infinite.")
    return changes, changed


def _read_values(values: Any) -> NDArray[np.float64]:
    if values is None:
        raise StrategyRunError("targets returned nothing. Return one number for each bar of the candles.")
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        hint = " Write, for example, np.where(condition, 1.0, 0.0)." if array.dtype.kind == "b" else ""
        raise StrategyRunError(
            f"Targets are an array of numbers, not of {array.dtype} ({type(values).__name__}).{hint}"
        )
    if array.ndim != 1:
        raise StrategyRunError(f"Targets are one number for each bar, not an array of {array.ndim} dimensions.")
    return np.ascontiguousarray(array, np.float64)


def _read_number(name: str, value: Any, at_least: float = 0.0, below: float = math.inf) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool | str) or not isinstance(value, int | float | np.integer | np.floating):
        raise StrategyRunError(f"{name} must be a number, not {value!r:.40}.")
    number = float(value)
    if not at_least <= number < below or not (at_least > 0.0 or number > 0.0):
        low = f"at least {at_least:g}" if at_least > 0.0 else "above 0"
        high = "" if below == math.inf else f" and below {below:g}"
        raise StrategyRunError(f"{name} must be {low}{high}, not {number:g}.")
    return number


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
