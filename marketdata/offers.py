"""Which timeframes can be had of what is held, from which series each, and for which span."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from marketdata.coverage import SeriesCoverage
from marketdata.models import SeriesKind, SeriesOrigin
from marketdata.timeframes import TIMEFRAME_MS, builds, last_close_ms, next_open_ms, opening_phase_ms, sources_of


def offered_timeframes(held: Iterable[SeriesCoverage]) -> list[SeriesCoverage]:
    """Every timeframe of every instrument and origin that trade candles of `held` are of or can be built to.

    Of several series that a timeframe can come from, the one that holds most of time is named, the finest among equals;
    a run chooses anew for its span. See cover_timeframe for what the coverage of a built timeframe says.
    """
    groups: dict[tuple[str, ...], list[SeriesCoverage]] = defaultdict(list)
    for coverage in held:
        if coverage.kind == SeriesKind.TRADE and coverage.timeframe in TIMEFRAME_MS:
            groups[coverage.market, coverage.symbol, coverage.owner, coverage.origin].append(coverage)
    offered = []
    for group in groups.values():
        for timeframe in TIMEFRAME_MS:
            choices = [found for source in group if (found := cover_timeframe(source, timeframe))]
            if choices:
                offered.append(min(choices, key=lambda c: (c.first_ms - c.end_ms, TIMEFRAME_MS[c.source_timeframe])))
    return offered


def cover_timeframe(source: SeriesCoverage, timeframe: str) -> SeriesCoverage | None:
    """What a series holds of a longer timeframe: the whole candles within its span; None where there is none.

    `gaps` are candles of which no row is held, `n_rows` the others; counts of odd rows, bytes and revision stay those
    of the source. A series of the timeframe itself is returned as it is.
    """
    if source.timeframe == timeframe:
        return source
    if not builds(source.timeframe, timeframe):
        return None
    length_ms = TIMEFRAME_MS[timeframe]
    first_ms, end_ms = next_open_ms(timeframe, source.first_ms), last_close_ms(timeframe, source.end_ms)
    if end_ms <= first_ms:
        return None
    whole = ((next_open_ms(timeframe, start), last_close_ms(timeframe, end)) for start, end in source.gaps)
    gaps = tuple((max(start, first_ms), min(end, end_ms)) for start, end in whole if start < min(end, end_ms))
    n_rows = (end_ms - first_ms - sum(end - start for start, end in gaps)) // length_ms
    return replace(
        source,
        timeframe=timeframe,
        built_from=source.timeframe,
        first_ms=first_ms,
        last_ms=end_ms - length_ms,
        end_ms=end_ms,
        gaps=gaps,
        n_rows=n_rows,
    )


def choose_source(
    held: Sequence[SeriesCoverage], timeframe: str, from_ms: int, to_ms: int, *, counted_from_ms: int | None = None
) -> SeriesCoverage | None:
    """The series that candles of [from_ms, to_ms) come from: one that covers the span, the exchange's before another.

    Among those the one with the fewest candles of `timeframe` missing or lacking rows, counted from `counted_from_ms`
    on, where a warm-up begins; among equals the finest. None where none covers the span.
    """
    counted = (from_ms if counted_from_ms is None else counted_from_ms, to_ms)
    fitting = [c for c in held if c.timeframe in sources_of(timeframe) and c.covers(from_ms, to_ms)]
    return min(fitting, key=lambda coverage: rank_source(coverage, timeframe, *counted), default=None)


def rank_source(source: SeriesCoverage, timeframe: str, from_ms: int, to_ms: int) -> tuple[bool, int, int]:
    """The smaller the better: synthetic or not, what it lacks, how fine it is."""
    n_lacking = count_lacking(source, timeframe, from_ms, to_ms)
    return source.origin == SeriesOrigin.SYNTHETIC, n_lacking, TIMEFRAME_MS[source.timeframe]


def count_lacking(source: SeriesCoverage, timeframe: str, from_ms: int, to_ms: int) -> int:
    """Candles that open in [from_ms, to_ms) of which the series lacks rows, or all."""
    length_ms, phase_ms = TIMEFRAME_MS[timeframe], opening_phase_ms(timeframe)
    first, end = ((next_open_ms(timeframe, moment) - phase_ms) // length_ms for moment in (from_ms, to_ms))
    n_lacking, counted_to = 0, first
    holes = ((from_ms, source.first_ms), *source.gaps, (source.end_ms, next_open_ms(timeframe, to_ms)))
    for hole_from_ms, hole_to_ms in holes:
        if hole_from_ms < hole_to_ms:
            cell = max((hole_from_ms - phase_ms) // length_ms, counted_to)
            end_cell = min(-(-(hole_to_ms - phase_ms) // length_ms), end)
            n_lacking += max(end_cell - cell, 0)
            counted_to = max(counted_to, end_cell)
    return n_lacking
