"""Quantities as whole steps, so that a position can be exactly flat."""

import math

import numpy as np

from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.state import Row

MOST_STEPS = 2**53  # above it a float no longer counts every step


@kernel
def to_steps(qty: float, rule: Row) -> int:
    """Whole steps in qty, rounded down; -1 for NaN, negative and absurd quantities."""
    steps: float = qty * rule["step_denominator"] / rule["step_numerator"] + 1e-9
    if not 0.0 <= steps < MOST_STEPS:
        return -1
    return math.floor(steps)


@kernel
def to_qty(steps: int, rule: Row) -> float:
    return float(steps * rule["step_numerator"] / rule["step_denominator"])


@kernel
def round_price(price: float, rule: Row, direction: int) -> float:
    """To the tick, up (+1) or down (-1); a price that is on a tick, but for rounding, stays there."""
    if rule["tick_numerator"] == 0.0:
        return price
    ticks: float = price * rule["tick_denominator"] / rule["tick_numerator"]
    whole = np.floor(ticks + 1e-6) if direction < 0 else np.ceil(ticks - 1e-6)
    return float(whole * rule["tick_numerator"] / rule["tick_denominator"])
