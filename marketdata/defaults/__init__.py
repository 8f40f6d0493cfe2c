"""Rules of the main instruments, typed in with their day and source. `load_instruments` turns them into rows."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketdata.rules import FeePreset, TierRow

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class DefaultInstrument:
    market: str
    symbol: str
    base_asset: str
    quote_asset: str


@dataclass(frozen=True, slots=True)
class DefaultFilterSet:
    """Order filters and liquidation fee of one instrument from a day on."""

    market: str
    symbol: str
    valid_from: str
    source: str
    tick_size: float
    step_size: float
    min_qty: float
    min_notional: float
    liquidation_fee_rate: float


@dataclass(frozen=True, slots=True)
class DefaultTierSet:
    """Margin tiers of one instrument from a day on."""

    market: str
    symbol: str
    valid_from: str
    source: str
    tiers: tuple[TierRow, ...]


def load_default_instruments() -> list[DefaultInstrument]:
    return [DefaultInstrument(**row) for row in _load("instruments.json")]


def load_default_filter_sets() -> list[DefaultFilterSet]:
    return [DefaultFilterSet(**row) for row in _load("filters.json")]


def load_default_tier_sets() -> list[DefaultTierSet]:
    """Each tier is written as [floor, cap, maintenance rate, maximum leverage, cumulative]."""
    return [
        DefaultTierSet(**{**row, "tiers": tuple(TierRow(*map(float, tier)) for tier in row["tiers"])})
        for row in _load("margin_tiers.json")
    ]


def load_fee_presets() -> list[FeePreset]:
    return [FeePreset(**row) for row in _load("fee_presets.json")]


def _load(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((_FOLDER / name).read_text(encoding="utf-8"))
    return rows
