"""What the exchange says about a symbol: filters, margin tiers, liquidation fee. Dated, never constants in code."""

import math
from dataclasses import dataclass

from backtests.engine.errors import DataError


@dataclass(frozen=True, slots=True)
class MarginTier:
    """One leverage bracket, in quote currency; maintenance margin = notional x maintenance_rate - cumulative."""

    floor: float
    cap: float
    maintenance_rate: float
    max_leverage: float
    cumulative: float


@dataclass(frozen=True, slots=True)
class Instrument:
    """The rules of one symbol as the engine needs them. `tiers` is empty on spot."""

    symbol: str
    tick_size: float = 0.0  # 0: prices are not rounded
    step_size: float = 1e-8
    min_qty: float = 0.0
    min_notional: float = 0.0
    liquidation_fee_rate: float = 0.0
    tiers: tuple[MarginTier, ...] = ()
    rules_as_of: str = ""  # ISO dates, shown with the result
    tiers_as_of: str = ""

    def __post_init__(self) -> None:
        sizes = (self.tick_size, self.step_size, self.min_qty, self.min_notional)
        if not all(0 <= size < math.inf for size in sizes) or not self.step_size > 0:
            raise DataError(f"{self.symbol}: tick, step and minimum sizes must not be negative, and the step not zero.")
        if not 0 <= self.liquidation_fee_rate < 1:
            raise DataError(f"{self.symbol}: the liquidation fee is a ratio of at least 0 and below 1.")
        check_tiers(self.tiers, self.symbol)


def check_tiers(tiers: tuple[MarginTier, ...], symbol: str = "") -> None:
    """Raise DataError unless the tiers start at 0, leave no hole, and never fall in rate or rise in leverage."""
    expected_floor = 0.0
    for i, tier in enumerate(tiers):
        where = f"{symbol} margin tier {i + 1}".strip()
        if tier.floor != expected_floor:
            raise DataError(
                f"{where} starts at {tier.floor:g}; it must start at {expected_floor:g}, where the last one ends."
            )
        if not tier.cap > tier.floor:
            raise DataError(f"{where} ends at {tier.cap:g}, not above its start {tier.floor:g}.")
        if not math.isfinite(tier.cumulative):
            raise DataError(f"{where} needs a cumulative amount that is a number.")
        if not 0 < tier.maintenance_rate < 1 or not tier.max_leverage >= 1:
            raise DataError(f"{where} needs a maintenance rate between 0 and 1 and a maximum leverage of at least 1.")
        if i and (
            tier.maintenance_rate < tiers[i - 1].maintenance_rate or tier.max_leverage > tiers[i - 1].max_leverage
        ):
            raise DataError(f"{where} is milder than the tier below it.")
        expected_floor = tier.cap
