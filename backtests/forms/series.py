"""Which series a run starts from, held or built, and what of it is held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.models import User
from backtests.engine.request import TIMEFRAME_MS
from backtests.presentation.numbers import format_day, iso_time
from marketdata.models import Market, Series, SeriesKind
from marketdata.services import SeriesCoverage, catalogue, default_span, offered_timeframes

DAY_MS = 86_400_000
PREFERRED_TIMEFRAME_MS = TIMEFRAME_MS["5m"]


@dataclass(frozen=True, slots=True)
class CoverageStrip:
    """What is held of a series and what is chosen of it, in thousandths of the width."""

    held: tuple[float, float]
    gaps: tuple[tuple[float, float], ...]
    chosen: tuple[float, float] | None
    label: str


def tradable_series(user: User) -> list[SeriesCoverage]:
    """Every timeframe that a run of the user can have, as held or built; the exchange's last, so that it wins."""
    offered = offered_timeframes(catalogue(Series.objects.visible_to(user).filter(kind=SeriesKind.TRADE)))
    return sorted(offered, key=lambda series: not series.is_synthetic)


def choose_series(held: Sequence[SeriesCoverage], given: Mapping[str, Any]) -> SeriesCoverage | None:
    """The series nearest to what is given: market first, then symbol, then timeframe; else the best to start with.

    Best: of the exchange (a private series only where it is named), reaching furthest, futures, near 5m.
    """
    best: SeriesCoverage | None = None
    wanted_ms = TIMEFRAME_MS.get(given.get("timeframe") or "", PREFERRED_TIMEFRAME_MS)

    def rank(series: SeriesCoverage) -> tuple[bool, bool, bool, bool, int, bool, float]:
        length_ms = TIMEFRAME_MS[series.timeframe]
        distance = max(length_ms, wanted_ms) / min(length_ms, wanted_ms)
        return (
            series.market == given.get("market"),
            series.symbol == (given.get("symbol") or "BTCUSDT"),
            not series.is_private,
            not series.is_synthetic,
            series.end_ms // DAY_MS if not given.get("timeframe") else 0,
            series.market == Market.USDM,
            -distance,
        )

    for series in held:
        if best is None or rank(series) > rank(best):
            best = series
    return best


def span_days(series: SeriesCoverage) -> tuple[str, str]:
    """The default span, cut to whole UTC days where it holds one."""
    from_ms, to_ms = default_span(series)
    first, last = -(-from_ms // DAY_MS) * DAY_MS, to_ms // DAY_MS * DAY_MS
    return (format_day(first), format_day(last)) if first < last else (iso_time(from_ms), iso_time(to_ms))


def cover(series: SeriesCoverage, chosen: tuple[int, int] | None) -> CoverageStrip:
    """The strip of a series with the chosen half-open span in it."""
    left = min(series.first_ms, chosen[0]) if chosen else series.first_ms
    right = max(series.end_ms, chosen[1]) if chosen else series.end_ms

    def place(from_ms: int, to_ms: int) -> tuple[float, float]:
        width = max(right - left, 1)
        return round((from_ms - left) * 1000 / width, 2), max(round((to_ms - from_ms) * 1000 / width, 2), 1.0)

    n_missing = series.n_missing
    gaps = f"{len(series.gaps)} gaps, {n_missing:,} candles missing" if series.gaps else "no gaps"
    built = f", {series.timeframe} bars built from {series.built_from} candles" if series.built_from else ""
    label = f"Held {format_day(series.first_ms)} to {format_day(series.end_ms)} UTC, {gaps}{built}"
    return CoverageStrip(
        place(series.first_ms, series.end_ms),
        tuple(place(*gap) for gap in series.gaps[:200]),
        place(*chosen) if chosen else None,
        label,
    )
