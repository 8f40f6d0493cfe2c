"""What a futures run reads beside its bars: mark prices and funding rates."""

import numpy as np
from numpy.typing import NDArray

from marketdata.choosing import RunSpan, as_utc, find_refs
from marketdata.coverage import cover_series
from marketdata.models import Instrument, Market, Series, SeriesKind
from marketdata.run_data import RunWarning
from marketdata.store import SegmentRef
from marketdata.timeframes import HOUR_MS, TIMEFRAME_MS, is_filled

type Times = NDArray[np.int64]

FUNDING_SLACK_MS = 8 * HOUR_MS  # the longest usual interval: a span may begin and end between two stamps


def find_mark(
    instrument: Instrument, series: Series, finest: Times, span: RunSpan, warnings: list[RunWarning]
) -> tuple[tuple[SegmentRef, ...], str]:
    """The mark price candles that fill most of the run's finest bars, the shorter ones among equals.

    Longer ones than the finest bars cannot say what happened inside them: they only price funding payments.
    """
    if instrument.market != Market.USDM:
        return (), ""
    length_ms, n_best, best = TIMEFRAME_MS[span.finest], -1, None
    held = sorted(instrument.series.filter(kind=SeriesKind.MARK, origin=series.origin), key=_length_of)
    for mark in held:
        if _length_of(mark) > length_ms or not (refs := find_refs(mark, span.from_ms, span.to_ms)):
            continue
        open_ms = span.store.read_columns(("open_ms",), refs, span.from_ms, span.to_ms)["open_ms"]
        n_filled = int(np.count_nonzero(is_filled(finest, length_ms, open_ms, _length_of(mark))))
        if n_filled > n_best:
            n_best, best = n_filled, mark
    if best is None:
        best = next((mark for mark in held if find_refs(mark, span.from_ms, span.to_ms)), None)
        n_best = len(finest)  # there is nothing to say of bars that it does not go with
    if best is None:
        return (), ""
    if n_best < len(finest):
        text = (
            f"Mark prices of {instrument.symbol} are held for {n_best:,} of {len(finest):,} bars only:"
            " the trade bars stand in for the others."
        )
        warnings.append(RunWarning("mark_partly_held", text))
    return find_refs(best, span.from_ms, span.to_ms), best.timeframe


def _length_of(series: Series) -> int:
    return TIMEFRAME_MS[series.timeframe]


def find_funding(
    instrument: Instrument, series: Series, span: RunSpan, warnings: list[RunWarning]
) -> tuple[SegmentRef, ...]:
    held = instrument.series.filter(kind=SeriesKind.FUNDING, origin=series.origin).first()
    refs = find_refs(held, span.from_ms, span.to_ms) if held else ()
    if held is None or not refs:
        text = f"No funding rates of {instrument.symbol} are held for the span: the run pays and receives none."
        warnings.append(RunWarning("funding_not_held", text))
        return ()
    coverage = cover_series(held, held.segments.filter(is_current=True).order_by("month"))
    holes = [gap for gap in coverage.gaps if gap[0] < span.to_ms and gap[1] > span.from_ms]
    starts_late = coverage.first_ms > span.from_ms + FUNDING_SLACK_MS
    ends_early = coverage.last_ms + FUNDING_SLACK_MS < span.to_ms
    if starts_late or ends_early or holes:
        text = (
            f"Funding rates of {instrument.symbol} are held only from {as_utc(coverage.first_ms)}"
            f" to {as_utc(coverage.last_ms)} (UTC), with {len(holes)} holes in the span."
        )
        warnings.append(RunWarning("funding_partly_held", text))
    return refs
