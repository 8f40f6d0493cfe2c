"""Coverage in the form in which pages draw it."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from marketdata.coverage import SeriesCoverage, default_span
from marketdata.models import Segment
from marketdata.timeframes import DAY_MS, HOUR_MS, TIMEFRAME_MS

WIDTH = 1000.0  # of the strip's view box
MIN_GAP_WIDTH = 3.0  # so that one missing minute of a year can be seen
MAX_GAPS_DRAWN = 300


@dataclass(frozen=True, slots=True)
class CoverageStrip:
    """Rectangles on a strip 1000 wide: (x, width) of each gap, x of each month's first day; and it all in words."""

    gaps: tuple[tuple[float, float], ...]
    months: tuple[float, ...]
    label: str


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series of the catalogue, ready to be shown."""

    coverage: SeriesCoverage
    strip: CoverageStrip

    @property
    def first_at(self) -> dt.datetime:
        return to_datetime(self.coverage.first_ms)

    @property
    def end_at(self) -> dt.datetime:
        return to_datetime(self.coverage.end_ms)

    @property
    def span_from(self) -> dt.datetime:
        """The first day of what a download offers first."""
        return to_datetime(default_span(self.coverage)[0])

    @property
    def span_to(self) -> dt.datetime:
        """The day after its last one."""
        return to_datetime(default_span(self.coverage)[1] + DAY_MS - 1)

    @property
    def is_complete(self) -> bool:
        return not (self.coverage.gaps or self.coverage.n_off_grid)


@dataclass(frozen=True, slots=True)
class GapRow:
    from_at: dt.datetime
    to_at: dt.datetime

    @property
    def length(self) -> str:
        """In words that leave out what is nought, as 304 days or 2 h 30 min."""
        passed = self.to_at - self.from_at
        hours, rest = divmod(passed.seconds, 3600)
        minutes, seconds = divmod(rest, 60)
        days = f"{passed.days} day{'' if passed.days == 1 else 's'}" if passed.days else ""
        parts = [f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (seconds, "s")) if n]
        return " ".join([days, *parts]).strip() or "less than 1 s"


def draw_strip(coverage: SeriesCoverage) -> CoverageStrip:
    """The strip from the first candle to the end of the last one; the widest gaps if there are very many."""
    scale = WIDTH / max(coverage.end_ms - coverage.first_ms, 1)
    widest = sorted(coverage.gaps, key=lambda gap: gap[0] - gap[1])[:MAX_GAPS_DRAWN]
    gaps = []
    for from_ms, to_ms in sorted(widest):
        width = max((to_ms - from_ms) * scale, MIN_GAP_WIDTH)
        x = min((from_ms - coverage.first_ms) * scale, WIDTH - width)
        gaps.append((round(x, 2), round(width, 2)))
    first, end = to_datetime(coverage.first_ms), to_datetime(coverage.end_ms)
    months = []
    month = _next_month(first)
    while month < end:
        months.append(round((month.timestamp() * 1000 - coverage.first_ms) * scale, 2))
        month = _next_month(month)
    n_gaps = len(coverage.gaps)
    missing = f"{n_gaps or 'no'} gap{'' if n_gaps == 1 else 's'}"
    label = f"Held from {first:%Y-%m-%d} to {end:%Y-%m-%d}, {missing}"
    return CoverageStrip(tuple(gaps), tuple(months) if len(months) <= 60 else (), label)


def to_datetime(time_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC)


def _next_month(moment: dt.datetime) -> dt.datetime:
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + dt.timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class MonthCell:
    """One month of a series. `n_missing` of its candles are not there; tone: full, holed, none or outside."""

    tone: str
    n_missing: int
    label: str


@dataclass(frozen=True, slots=True)
class YearRow:
    year: int
    months: tuple[MonthCell, ...]


def list_gaps(coverage: SeriesCoverage, most: int) -> list[GapRow]:
    """The latest first."""
    return [GapRow(to_datetime(from_ms), to_datetime(to_ms)) for from_ms, to_ms in coverage.gaps[-most:][::-1]]


def list_jumps(segments: Iterable[Segment]) -> list[dt.datetime]:
    """When a candle jumps away from the one before it, or has a wick far beyond its body."""
    return [to_datetime(stamp) for segment in segments for stamp in segment.quality.get("jumps", ())]


def tabulate_months(coverage: SeriesCoverage, segments: Iterable[Segment]) -> list[YearRow]:
    """Each calendar month from the first candle to the last, with the candles that its gaps lack."""
    held = {segment.month for segment in segments}
    length_ms = TIMEFRAME_MS.get(coverage.timeframe, 8 * HOUR_MS)
    first, last = to_datetime(coverage.first_ms), to_datetime(coverage.end_ms - 1)
    rows = []
    for year in range(first.year, last.year + 1):
        cells = []
        for month in range(1, 13):
            begin = dt.datetime(year, month, 1, tzinfo=dt.UTC)
            end = _next_month(begin)
            if end <= first or begin > last:
                cells.append(MonthCell("outside", 0, ""))
                continue
            from_ms, to_ms = int(begin.timestamp() * 1000), int(end.timestamp() * 1000)
            missing_ms = sum(max(0, min(to, to_ms) - max(start, from_ms)) for start, to in coverage.gaps)
            n_missing = missing_ms // length_ms
            tone = "none" if begin.date() not in held else "holed" if n_missing else "full"
            cells.append(MonthCell(tone, n_missing, f"{begin:%Y-%m}: {n_missing:,} missing" if missing_ms else ""))
        rows.append(YearRow(year, tuple(cells)))
    return rows
