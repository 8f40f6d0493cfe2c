"""Which series and files a run reads of an instrument."""

import datetime as dt
from dataclasses import dataclass, field

from django.db.models import QuerySet

from marketdata.coverage import SeriesCoverage, catalogue
from marketdata.errors import DataUnavailable
from marketdata.models import Instrument, Segment, Series, SeriesKind, SeriesOrigin
from marketdata.offers import choose_source
from marketdata.reading import CandleFiles
from marketdata.store import CandleStore, SegmentRef
from marketdata.timeframes import TIMEFRAME_MS, builds, next_open_ms, sources_of


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
    """The series whose candles are the bars, or that they are built from; see choose_source for which one wins."""
    held = catalogue(instrument.series.filter(kind=SeriesKind.TRADE))
    best = choose_source(held, span.timeframe, span.from_ms, span.to_ms, counted_from_ms=span.warmup_from_ms)
    if best is None:
        raise _explain_lack(instrument, held, span)
    return Series.objects.get(pk=best.series_id), best


def choose_fine_series(instrument: Instrument, bars: Series, span: RunSpan) -> Series:
    """The series that the finer candles come from: that of the bars wherever they fit into it, else chosen alike."""
    if builds(bars.timeframe, span.fine_timeframe):
        return bars
    symbol, timeframe = instrument.symbol, span.fine_timeframe
    held = catalogue(instrument.series.filter(kind=SeriesKind.TRADE, origin=bars.origin))
    best = choose_source(held, timeframe, span.from_ms, span.to_ms)
    if best is not None:
        return Series.objects.get(pk=best.series_id)
    nearest = _find_nearest(held, timeframe, span)
    if nearest is None:
        names = ", ".join(coverage.timeframe for coverage in held)
        text = f"No finer candles of {symbol} at {timeframe} are held. {symbol} is held at {names}."
        raise DataUnavailable("intrabar_timeframe", "no_such_series", text)
    text = (
        f"The finer candles of {symbol} at {_say_timeframe(nearest, timeframe)} are held from"
        f" {as_utc(nearest.first_ms)} to {as_utc(nearest.end_ms)} (UTC), which is not the whole span."
    )
    raise DataUnavailable("intrabar_timeframe", "span_not_covered", text)


def find_files(series: Series, timeframe: str, from_ms: int, to_ms: int) -> CandleFiles:
    """What the candles that open in [from_ms, to_ms) are read from.

    Where they are built, the segments before and after are among the files if the first or the last candle may need
    them to be whole: so the files alone say what is held around the span.
    """
    if series.timeframe == timeframe:
        return CandleFiles(find_refs(series, from_ms, to_ms), timeframe, timeframe)
    first_ms, end_ms = next_open_ms(timeframe, from_ms), next_open_ms(timeframe, to_ms)
    refs = list(find_refs(series, first_ms, end_ms))
    current = series.segments.filter(is_current=True)
    if not refs or refs[0].first_ms > first_ms:
        refs = [*_to_refs(current.filter(last_ms__lt=first_ms).order_by("-month")[:1]), *refs]
    if not refs or refs[-1].last_ms + TIMEFRAME_MS[series.timeframe] < end_ms:
        refs += _to_refs(current.filter(first_ms__gte=end_ms).order_by("month")[:1])
    return CandleFiles(tuple(refs), series.timeframe, timeframe)


def find_refs(series: Series, from_ms: int, to_ms: int) -> tuple[SegmentRef, ...]:
    """The current segments of a series that touch [from_ms, to_ms), in time order."""
    return _to_refs(series.segments.filter(is_current=True, last_ms__gte=from_ms, first_ms__lt=to_ms).order_by("month"))


def _to_refs(segments: QuerySet[Segment]) -> tuple[SegmentRef, ...]:
    return tuple(SegmentRef(row.sha256, row.n_rows, row.first_ms, row.last_ms) for row in segments)


def _explain_lack(instrument: Instrument, held: list[SeriesCoverage], span: RunSpan) -> DataUnavailable:
    symbol, nearest = instrument.symbol, _find_nearest(held, span.timeframe, span)
    if nearest is None:
        names = ", ".join(dict.fromkeys(coverage.timeframe for coverage in held))
        hint = f"{symbol} is held at {names}." if names else f"Nothing of {symbol} is held yet."
        text = f"No {span.market} candles of {symbol} at {span.timeframe} are held. {hint}"
        return DataUnavailable("timeframe", "no_such_series", text)
    name = "from" if span.from_ms < nearest.first_ms or span.from_ms >= nearest.end_ms else "to"
    moments = f"from {as_utc(nearest.first_ms)} to {as_utc(nearest.end_ms)} (UTC)"
    text = f"{symbol} {_say_timeframe(nearest, span.timeframe)} is held {moments}."
    return DataUnavailable(name, "span_not_covered", text)


def _find_nearest(held: list[SeriesCoverage], timeframe: str, span: RunSpan) -> SeriesCoverage | None:
    """The exchange's series before another, the one that holds most of the span, the timeframe itself among equals."""
    fitting = [coverage for coverage in held if coverage.timeframe in sources_of(timeframe)]

    def rank(coverage: SeriesCoverage) -> tuple[bool, int, int]:
        overlap = min(coverage.end_ms, span.to_ms) - max(coverage.first_ms, span.from_ms)
        return coverage.origin != SeriesOrigin.SYNTHETIC, overlap, TIMEFRAME_MS[coverage.timeframe]

    return max(fitting, key=rank, default=None)


def _say_timeframe(source: SeriesCoverage, timeframe: str) -> str:
    return timeframe if source.timeframe == timeframe else f"{timeframe}, built from {source.timeframe} candles,"


def as_utc(time_ms: int) -> str:
    return dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M")
