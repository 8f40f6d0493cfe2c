"""What the rest of the site asks of market data: which files, rules and warnings a run has, and what is held."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from accounts.models import User
from marketdata.coverage import SeriesCoverage, catalogue, cover_series, default_span
from marketdata.defaults import load_fee_presets
from marketdata.errors import DataUnavailable
from marketdata.home import candle_store
from marketdata.imports import ImportOutcome, import_paths
from marketdata.instruments import choose_rules, load_instruments
from marketdata.models import Instrument, Market, Series, SeriesKind, SeriesOrigin
from marketdata.run_data import RunData, RunWarning, SymbolData, compute_data_revision
from marketdata.store import CandleStore, SegmentRef, StoreError
from marketdata.timeframes import HOUR_MS, TIMEFRAME_MS, find_gaps, grid_phase_ms, is_filled, is_on_grid

__all__ = [
    "DataUnavailable",
    "ImportOutcome",
    "SeriesCoverage",
    "candle_store",
    "catalogue",
    "default_span",
    "import_paths",
    "load_fee_presets",
    "load_instruments",
    "resolve_run_data",
]

type Times = NDArray[np.int64]

FUNDING_SLACK_MS = 8 * HOUR_MS  # the longest usual interval: a span may begin and end between two stamps


@dataclass(frozen=True, slots=True)
class _Span:
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


def resolve_run_data(
    market: str,
    symbols: Sequence[str],
    timeframe: str,
    from_ms: int,
    to_ms: int,
    warmup_bars: int = 0,
    *,
    funding: bool = True,
    intrabar_timeframe: str | None = None,
    data_revision: str = "",
    user: User | None = None,
) -> RunData:
    """Pin the files, rules and warnings of a run over [from_ms, to_ms) UTC.

    A series of exactly `timeframe` is used; the exchange's own before a synthetic one. With `intrabar_timeframe`, the
    finer candles of the span too, of the same origin. Missing funding, marks that cover a part only, gaps and short
    warm-up are warnings. `user` may use private symbols of their own, nobody else's.

    Raises DataUnavailable: symbols/unknown_symbol, symbols/no_margin_tiers, symbols/no_filters, symbols/data_damaged,
    timeframe|intrabar_timeframe/no_such_series, from|to|intrabar_timeframe/span_not_covered,
    from/no_candles, data_revision/data_revised (a revision is given, and the files held now are not the ones it names).
    """
    for name, given in (("timeframe", timeframe), ("intrabar_timeframe", intrabar_timeframe or timeframe)):
        if given not in TIMEFRAME_MS:
            raise DataUnavailable(name, "no_such_series", f"{given!r} is not a timeframe.")
    warmup_from_ms = from_ms - warmup_bars * TIMEFRAME_MS[timeframe]
    span = _Span(str(market), timeframe, intrabar_timeframe or "", warmup_from_ms, from_ms, to_ms, candle_store())
    found: list[SymbolData] = []
    warnings: list[RunWarning] = []
    is_synthetic = False
    for symbol in symbols:
        instrument = _find_instrument(span.market, symbol, user)
        series, coverage = _choose_series(instrument, span)
        found.append(_resolve_symbol(instrument, series, span, funding, warnings))
        if coverage.is_synthetic:
            is_synthetic = True
            text = f"The candles of {symbol} are synthetic: made up for trying the site, never traded."
            warnings.append(RunWarning("synthetic", text))
    revision = compute_data_revision(found)
    if data_revision and data_revision != revision:
        raise DataUnavailable(
            "data_revision", "data_revised", "The candles of this span have been revised since; run again without it."
        )
    return RunData(tuple(found), revision, tuple(warnings), is_synthetic)


def _find_instrument(market: str, symbol: str, user: User | None) -> Instrument:
    instrument = Instrument.objects.visible_to(user).filter(market=market, symbol=symbol).first()
    if instrument is None:
        names = Series.objects.visible_to(user).filter(instrument__market=market, kind=SeriesKind.TRADE)
        held = sorted(set(names.values_list("instrument__symbol", flat=True)))
        hint = f"Held are: {', '.join(held)}." if held else "Nothing is held yet: import candles first."
        raise DataUnavailable("symbols", "unknown_symbol", f"No {market} candles of {symbol} are held. {hint}")
    return instrument


def _choose_series(instrument: Instrument, span: _Span) -> tuple[Series, SeriesCoverage]:
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
        f"{instrument.symbol} {span.timeframe} is held from {_moment(best.first_ms)} to {_moment(best.end_ms)} (UTC).",
    )


def _resolve_symbol(
    instrument: Instrument, series: Series, span: _Span, funding: bool, warnings: list[RunWarning]
) -> SymbolData:
    symbol = instrument.symbol
    day = dt.datetime.fromtimestamp(span.from_ms / 1000, dt.UTC).date()
    rules = choose_rules(instrument, day)
    if instrument.market == Market.USDM and not rules.tiers:
        text = f"No margin tiers of {symbol} are known, so no futures run is possible. Staff can add them in the admin."
        raise DataUnavailable("symbols", "no_margin_tiers", text)
    if rules.rules_as_of > day.isoformat():
        text = f"The earliest order filters known of {symbol} are of {rules.rules_as_of}, after the start of the run."
        warnings.append(RunWarning("filters_after_span", text))
    if rules.tiers_as_of > day.isoformat():
        text = f"The earliest margin tiers known of {symbol} are of {rules.tiers_as_of}, after the start of the run."
        warnings.append(RunWarning("tiers_after_span", text))
    refs = find_refs(series, span.warmup_from_ms, span.to_ms)
    try:
        bars, gaps = _count_rows(symbol, refs, span, warnings)
        fine_refs, finest = _find_fine(instrument, series, bars, span, warnings)
        mark_refs, mark_timeframe = _find_mark(instrument, series, finest, span, warnings)
    except StoreError as error:
        raise DataUnavailable("symbols", "data_damaged", f"The candles of {symbol} cannot be read: {error}") from error
    is_funded = funding and instrument.market == Market.USDM
    return SymbolData(
        rules=rules,
        series_name=str(series),
        timeframe=span.timeframe,
        candles=refs,
        fine=fine_refs,
        fine_timeframe=span.fine_timeframe,
        mark=mark_refs,
        mark_timeframe=mark_timeframe,
        funding=_find_funding(instrument, series, span, warnings) if is_funded else (),
        n_rows_in_span=len(bars),
        gaps=gaps,
    )


def find_refs(series: Series, from_ms: int, to_ms: int) -> tuple[SegmentRef, ...]:
    """The current segments of a series that touch [from_ms, to_ms), in time order."""
    held = series.segments.filter(is_current=True, last_ms__gte=from_ms, first_ms__lt=to_ms).order_by("month")
    return tuple(SegmentRef(row.sha256, row.n_rows, row.first_ms, row.last_ms) for row in held)


def _count_rows(
    symbol: str, refs: tuple[SegmentRef, ...], span: _Span, warnings: list[RunWarning]
) -> tuple[Times, tuple[tuple[int, int], ...]]:
    """Open times of the span's bars and the gaps between them; appends what a reader must know."""
    columns = span.store.read_columns(("open_ms", "volume"), refs, span.warmup_from_ms, span.to_ms)
    open_ms, volume = columns["open_ms"], columns["volume"]
    phase_ms = grid_phase_ms(span.timeframe, open_ms)
    fits = is_on_grid(span.timeframe, open_ms, phase_ms)
    in_span = open_ms >= span.from_ms
    bars = open_ms[fits & in_span]
    if not len(bars):
        text = f"There is no candle of {symbol} between {_moment(span.from_ms)} and {_moment(span.to_ms)} (UTC)."
        raise DataUnavailable("from", "no_candles", text)
    gaps = find_gaps(span.timeframe, bars, span.from_ms, span.to_ms, phase_ms)
    n_missing = sum(end - start for start, end in gaps) // TIMEFRAME_MS[span.timeframe]
    n_off_grid = int(np.count_nonzero(~fits & in_span))
    n_idle = int(np.count_nonzero(volume[fits & in_span] == 0))
    n_warmup_missing = (span.from_ms - span.warmup_from_ms) // TIMEFRAME_MS[span.timeframe] - int(
        np.count_nonzero(fits & ~in_span)
    )
    for n, code, text in (
        (n_missing, "gaps", f"{n_missing} candles of {symbol} are missing, in {len(gaps)} stretches of the span."),
        (n_off_grid, "off_grid", f"{n_off_grid} candles of {symbol} open off the {span.timeframe} grid: left out."),
        (n_idle, "no_trade_bars", f"{n_idle} bars of {symbol} are without trades: no order fills on them."),
        (n_warmup_missing, "short_warmup", f"{symbol} lacks {n_warmup_missing} of the warm-up bars asked for."),
    ):
        if n > 0:
            warnings.append(RunWarning(code, text))
    return bars, gaps


def _find_fine(
    instrument: Instrument, series: Series, bars: Times, span: _Span, warnings: list[RunWarning]
) -> tuple[tuple[SegmentRef, ...], Times]:
    """The finer candles of the span and their open times; without any asked for, none and the bars themselves."""
    if not span.fine_timeframe:
        return (), bars
    symbol, timeframe = instrument.symbol, span.fine_timeframe
    held = catalogue(instrument.series.filter(kind=SeriesKind.TRADE, origin=series.origin))
    fine = next((coverage for coverage in held if coverage.timeframe == timeframe), None)
    if fine is None:
        names = ", ".join(coverage.timeframe for coverage in held)
        text = f"No finer candles of {symbol} at {timeframe} are held. {symbol} is held at {names}."
        raise DataUnavailable("intrabar_timeframe", "no_such_series", text)
    if not fine.covers(span.from_ms, span.to_ms):
        text = (
            f"The finer candles of {symbol} at {timeframe} are held from {_moment(fine.first_ms)} "
            f"to {_moment(fine.end_ms)} (UTC), which is not the whole span."
        )
        raise DataUnavailable("intrabar_timeframe", "span_not_covered", text)
    refs = find_refs(Series.objects.get(pk=fine.series_id), span.from_ms, span.to_ms)
    open_ms = span.store.read_columns(("open_ms",), refs, span.from_ms, span.to_ms)["open_ms"]
    open_ms = open_ms[is_on_grid(timeframe, open_ms, grid_phase_ms(timeframe, open_ms))]
    is_whole = is_filled(bars, TIMEFRAME_MS[span.timeframe], open_ms, TIMEFRAME_MS[timeframe])
    if n := int(np.count_nonzero(~is_whole)):
        text = (
            f"{n:,} bars of {symbol} lack some of their {timeframe} candles: their path is walked in those that are"
            " there, or in the bar itself where there are none."
        )
        warnings.append(RunWarning("finer_gaps", text))
    return refs, open_ms


def _find_mark(
    instrument: Instrument, series: Series, finest: Times, span: _Span, warnings: list[RunWarning]
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


def _find_funding(
    instrument: Instrument, series: Series, span: _Span, warnings: list[RunWarning]
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
            f"Funding rates of {instrument.symbol} are held only from {_moment(coverage.first_ms)}"
            f" to {_moment(coverage.last_ms)} (UTC), with {len(holes)} holes in the span."
        )
        warnings.append(RunWarning("funding_partly_held", text))
    return refs


def _moment(time_ms: int) -> str:
    return dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M")
