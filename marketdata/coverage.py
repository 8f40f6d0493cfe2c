"""What is held: one SeriesCoverage per series, for the pages, the run form, the API and list_candles."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch, QuerySet

from marketdata.models import Segment, Series, SeriesKind, SeriesOrigin
from marketdata.timeframes import DAY_MS, TIMEFRAME_MS

DEFAULT_SPAN_MS = 31 * DAY_MS

type Gaps = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class SeriesCoverage:
    """One series with at least one row. Times are int64 UTC ms; `end_ms` is where the last candle closes.

    Gaps are half-open stretches between the first and the last row in which candles are missing. `revision` changes
    exactly when a row of the series does.
    """

    series_id: int
    market: str
    symbol: str
    kind: str
    timeframe: str
    origin: str
    name: str
    owner_id: int | None  # whose private series this is
    owner: str  # their e-mail address, or empty
    n_rows: int
    first_ms: int
    last_ms: int
    end_ms: int
    gaps: Gaps
    n_no_trade: int
    n_off_grid: int
    n_duplicates: int
    n_jumps: int
    n_bytes: int
    n_segments: int
    revision: str
    built_from: str = ""  # the timeframe of the held rows, where these candles are built of them

    @property
    def source_timeframe(self) -> str:
        return self.built_from or self.timeframe

    @property
    def is_synthetic(self) -> bool:
        return self.origin == SeriesOrigin.SYNTHETIC

    @property
    def is_private(self) -> bool:
        return self.owner_id is not None

    @property
    def n_missing(self) -> int:
        """Candles that the gaps lack; 0 for funding, whose interval varies."""
        length_ms = TIMEFRAME_MS.get(self.timeframe)
        return sum((to_ms - from_ms) // length_ms for from_ms, to_ms in self.gaps) if length_ms else 0

    def covers(self, from_ms: int, to_ms: int) -> bool:
        return self.first_ms <= from_ms and to_ms <= self.end_ms


def catalogue(series: QuerySet[Series] | None = None) -> list[SeriesCoverage]:
    """Those of `series` that hold rows, by market, symbol, kind and length of the timeframe. Without: everyone's."""
    chosen = Series.objects.shared() if series is None else series
    current = Prefetch(
        "segments", Segment.objects.filter(is_current=True).order_by("month"), to_attr="current_segments"
    )
    rows = chosen.select_related("instrument__owner").prefetch_related(current)
    found = [cover_series(row, row.current_segments) for row in rows if row.current_segments]
    order = {SeriesKind.TRADE: 0, SeriesKind.MARK: 1, SeriesKind.FUNDING: 2}
    return sorted(
        found,
        key=lambda c: (c.market, c.symbol, order[SeriesKind(c.kind)], TIMEFRAME_MS.get(c.timeframe, 0), c.origin),
    )


def cover_series(series: Series, segments: Iterable[Segment]) -> SeriesCoverage:
    """The coverage of one series from its current segments (at least one), by month."""
    held = list(segments)
    reports = [segment.quality for segment in held]
    sources = {source["sha256"]: source for segment in held for source in segment.source_sha256s}
    return SeriesCoverage(
        series_id=series.pk,
        market=series.instrument.market,
        symbol=series.instrument.symbol,
        kind=series.kind,
        timeframe=series.timeframe,
        origin=series.origin,
        name=str(series),
        owner_id=series.instrument.owner_id,
        owner=series.instrument.owner.email if series.instrument.owner else "",
        n_rows=sum(segment.n_rows for segment in held),
        first_ms=held[0].first_ms,
        last_ms=held[-1].last_ms,
        end_ms=_end_of(held[-1], series.timeframe),
        gaps=join_gaps(held, series.timeframe),
        n_no_trade=_sum(reports, "n_no_trade"),
        n_off_grid=_sum(reports, "n_off_grid"),
        n_duplicates=sum(source.get("n_duplicates", 0) for source in sources.values()),
        n_jumps=sum(len(report.get("jumps", ())) for report in reports),
        n_bytes=sum(segment.n_bytes for segment in held),
        n_segments=len(held),
        revision=hashlib.sha256("\n".join(segment.sha256 for segment in held).encode()).hexdigest(),
    )


def join_gaps(segments: list[Segment], timeframe: str) -> Gaps:
    """The gaps inside the segments and those between one segment's end and the next one's begin, as one list."""
    gaps: list[tuple[int, int]] = []
    end_ms: int | None = None
    for segment in segments:
        begin_ms = segment.quality.get("begin_ms", segment.first_ms)
        if end_ms is not None and begin_ms > end_ms:
            gaps.append((end_ms, begin_ms))
        gaps.extend((from_ms, to_ms) for from_ms, to_ms in segment.quality.get("gaps", ()))
        end_ms = _end_of(segment, timeframe)
    return tuple(gaps)


def default_span(coverage: SeriesCoverage) -> tuple[int, int]:
    """The last 31 days that are held, or all of it: what a form offers first. Half-open, UTC ms."""
    return max(coverage.first_ms, coverage.end_ms - DEFAULT_SPAN_MS), coverage.end_ms


def _end_of(segment: Segment, timeframe: str) -> int:
    return int(segment.quality.get("end_ms", segment.last_ms + TIMEFRAME_MS.get(timeframe, 0)))


def _sum(reports: list[dict[str, Any]], name: str) -> int:
    return sum(int(report.get(name, 0)) for report in reports)
