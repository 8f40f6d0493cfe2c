"""The way of a price through one finest bar: three legs of length one on a clock from 0 to 3, linear between knots."""

from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.state import BarPrices, Prices, Sim, last_bar, mark_bar
from backtests.engine.kernels.tables import row_of

LEGS = 3
NEVER = 4.0  # a time after the last leg


@kernel
def low_comes_first(bar: BarPrices, steps: int, is_optimistic: bool) -> bool:
    """Whether the low is walked before the high: the extreme that hurts the position, or by `optimistic` the other.

    When flat the nearer extreme comes first; equally near, the low first if the bar closes at or above its open.
    """
    if steps != 0:
        return (steps > 0) != is_optimistic
    to_low = bar.open - bar.low
    to_high = bar.high - bar.open
    if abs(to_low - to_high) > 1e-9 * bar.open:  # on a grid of ticks both are often equal, but for rounding
        return bool(to_low < to_high)
    return bool(bar.close >= bar.open)


@kernel
def choose_ways(sim: Sim, i_fine: int) -> None:
    """Settle each symbol's way through the bar, for the positions held after the orders at its open."""
    is_optimistic = sim.rules.run["is_optimistic"]
    for i_symbol in range(sim.sizes["n_symbols"]):
        position = row_of(sim.positions, i_symbol)
        bar = last_bar(sim, i_symbol, i_fine)
        position["is_low_first"] = low_comes_first(bar, position["steps"], is_optimistic)


@kernel
def knot(bar: BarPrices, is_low_first: bool, i_knot: int) -> float:
    """Open, first extreme, second extreme, close."""
    if i_knot == 0:
        return float(bar.open)
    if i_knot == LEGS:
        return float(bar.close)
    return float(bar.low) if (i_knot == 1) == is_low_first else float(bar.high)


@kernel
def price_on_path(bar: BarPrices, is_low_first: bool, clock: float) -> float:
    """Exactly the knots at whole times."""
    i_leg = min(int(clock), LEGS - 1)
    start = knot(bar, is_low_first, i_leg)
    end = knot(bar, is_low_first, i_leg + 1)
    if clock - i_leg == 1.0:
        return end
    return start + (end - start) * (clock - i_leg)


@kernel
def touch_time(bar: BarPrices, is_low_first: bool, clock: float, level: float, direction: int) -> float:
    """When, from `clock` on, the price first reaches the level from above (direction -1) or below (+1).

    `clock` itself when it is there or beyond already; NEVER when it is not reached. Touching is enough.
    """
    price = price_on_path(bar, is_low_first, clock)
    if (price - level) * direction >= 0.0:
        return clock
    for i_leg in range(int(clock), LEGS):
        start = knot(bar, is_low_first, i_leg)
        end = knot(bar, is_low_first, i_leg + 1)
        if (end - level) * direction >= 0.0:
            return max(clock, i_leg + (level - start) / (end - start))
    return NEVER


@kernel
def passing_time(bar: BarPrices, is_low_first: bool, clock: float, level: float, direction: int) -> float:
    """As touch_time, for a price that must go beyond the level: the time at which it passes."""
    price = price_on_path(bar, is_low_first, clock)
    if (price - level) * direction > 0.0:
        return clock
    for i_leg in range(int(clock), LEGS):
        start = knot(bar, is_low_first, i_leg)
        end = knot(bar, is_low_first, i_leg + 1)
        if (end - level) * direction > 0.0:
            return max(clock, i_leg + (level - start) / (end - start))
    return NEVER


@kernel
def best_on_path(bar: BarPrices, is_low_first: bool, from_clock: float, to_clock: float, direction: int) -> float:
    """The highest (direction +1) or lowest (-1) price between two times."""
    best = price_on_path(bar, is_low_first, from_clock)
    for i_knot in range(int(from_clock) + 1, int(to_clock) + 1):
        price = knot(bar, is_low_first, i_knot)
        if (price - best) * direction > 0.0:
            best = price
    price = price_on_path(bar, is_low_first, to_clock)
    return price if (price - best) * direction > 0.0 else best


@kernel
def find_outside(lows: Prices, highs: Prices, i_from: int, i_to: int, low: float, high: float) -> int:
    """The first bar from i_from on, before i_to, that reaches one of two levels; i_to when none."""
    for i in range(i_from, i_to):
        if lows[i] <= low or highs[i] >= high:
            return i
    return i_to


@kernel
def set_marks_at_open(sim: Sim, i_fine: int) -> None:
    for i_symbol in range(sim.sizes["n_symbols"]):
        row_of(sim.positions, i_symbol)["mark"] = mark_bar(sim, i_symbol, i_fine).open


@kernel
def set_marks_on_path(sim: Sim, i_fine: int, clock: float) -> None:
    for i_symbol in range(sim.sizes["n_symbols"]):
        position = row_of(sim.positions, i_symbol)
        position["mark"] = price_on_path(mark_bar(sim, i_symbol, i_fine), position["is_low_first"], clock)


@kernel
def set_marks_at_close(sim: Sim, i_fine: int) -> None:
    for i_symbol in range(sim.sizes["n_symbols"]):
        row_of(sim.positions, i_symbol)["mark"] = mark_bar(sim, i_symbol, i_fine).close
