"""Which series and files a run reads of an instrument."""

import datetime as dt
from dataclasses import dataclass, field

from marketdata.coverage import SeriesCoverage, catalogue
from marketdata.errors import DataUnavailable
from marketdata.models import Instrument, Series, SeriesKind, SeriesOrigin
from marketdata.store import CandleStore, SegmentRef


@dataclass(frozen=True, slots=True)
class RunSpan:
    """What is asked of every symbol: [from_ms, to_ms), and from where warm-up bars are wanted."""

    market: str
    timeframe: str
    fine_timeframe: str  # empty: the bars themselves
    warmup_from_ms: int
    from_ms: int
    to_ms: int
    store: CandleStore = field(repr=False)

    @property
    def finest(self) -> str:
        """The timeframe of the bars that the path inside a bar is walked in."""
        return self.fine_timeframe or self.timeframe


def choose_series(instrument: Instrument, span: RunSpan) -> tuple[Series, SeriesCoverage]:
    """The series of the asked timeframe that covers the span, the exchange's before a synthetic one."""
    coverages = catalogue(instrument.series.filter(kind=SeriesKind.TRADE))
    asked = [coverage for coverage in coverages if coverage.timeframe == span.timeframe]
    asked.sort(key=lambda coverage: coverage.origin != SeriesOrigin.EXCHANGE)
    if not asked:
        held = ", ".join(dict.fromkeys(coverage.timeframe for coverage in coverages))
        hint = f"{instrument.symbol} is held at {held}." if held else f"Nothing of {instrument.symbol} is held yet."
        text = f"No {span.market} candles of {instrument.symbol} at {span.timeframe} are held. {hint}"
        raise DataUnavailable("timeframe", "no_such_series", text)
    for coverage in asked:
        if coverage.covers(span.from_ms, span.to_ms):
            return Series.objects.get(pk=coverage.series_id), coverage
    best = asked[0]
    name = "from" if span.from_ms < best.first_ms or span.from_ms >= best.end_ms else "to"
    raise DataUnavailable(
        name,
        "span_not_covered",
        f"{instrument.symbol} {span.timeframe} is held from {as_utc(best.first_ms)} to {as_utc(best.end_ms)} (UTC).",
    )


def find_refs(series: Series, from_ms: int, to_ms: int) -> tuple[SegmentRef, ...]:
    """The current segments of a series that touch [from_ms, to_ms), in time order."""
    held = series.segments.filter(is_current=True, last_ms__gte=from_ms, first_ms__lt=to_ms).order_by("month")
    return tuple(SegmentRef(row.sha256, row.n_rows, row.first_ms, row.last_ms) for row in held)


def as_utc(time_ms: int) -> str:
    return dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M")
