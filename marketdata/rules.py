"""What an exchange says about an instrument on a day: filters and margin tiers. Facts with a date, never constants."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class TierRow:
    """One leverage bracket, notional in quote currency; maintenance margin = notional x rate - cumulative."""

    floor: float
    cap: float
    maintenance_rate: float
    max_leverage: float
    cumulative: float

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        return cls(**{f.name: float(raw[f.name]) for f in fields(cls)})


@dataclass(frozen=True, slots=True)
class InstrumentRules:
    """The rules of one symbol for one run. `tiers` is empty on spot; the dates are ISO days.

    The sources are empty in runs of before they were kept.
    """

    market: str
    symbol: str
    tick_size: float
    step_size: float
    min_qty: float
    min_notional: float
    liquidation_fee_rate: float
    rules_as_of: str
    tiers: tuple[TierRow, ...] = ()
    tiers_as_of: str = ""
    rules_source: str = ""
    tiers_source: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "tiers": [asdict(tier) for tier in self.tiers]}

    def describe(self) -> dict[str, Any]:
        """All but the tiers themselves: what a summary says."""
        facts = asdict(self)
        n_tiers = len(facts.pop("tiers"))
        return {**facts, "n_tiers": n_tiers}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        return cls(**{**raw, "tiers": tuple(TierRow.from_json(tier) for tier in raw["tiers"])})


@dataclass(frozen=True, slots=True)
class FeePreset:
    """Maker and taker fee as ratios, as the exchange published them from a day on."""

    market: str
    name: str
    label: str
    maker_fee: float
    taker_fee: float
    as_of: str
    source: str


def find_tier_problem(tiers: tuple[TierRow, ...]) -> str:
    """Why these rows cannot be margin tiers, as one sentence; empty when they can.

    They start at 0, leave no hole, never get milder, and each cumulative amount follows from the one before:
    cumulative[n] = floor[n] x (rate[n] - rate[n-1]) + cumulative[n-1].
    """
    below: TierRow | None = None
    for number, tier in enumerate(tiers, start=1):
        floor = below.cap if below else 0.0
        if tier.floor != floor or not tier.cap > tier.floor:
            return f"Tier {number} must start at {floor:g} and end above it."
        if not 0 < tier.maintenance_rate < 1 or not tier.max_leverage >= 1:
            return f"Tier {number} needs a maintenance rate between 0 and 1 and a maximum leverage of at least 1."
        if below and (tier.maintenance_rate < below.maintenance_rate or tier.max_leverage > below.max_leverage):
            return f"Tier {number} is milder than the tier below it."
        expected = below.cumulative + floor * (tier.maintenance_rate - below.maintenance_rate) if below else 0.0
        if abs(tier.cumulative - expected) > 0.06:
            return f"Tier {number} has the cumulative amount {tier.cumulative:g}; its rates say {expected:g}."
        below = tier
    return ""
