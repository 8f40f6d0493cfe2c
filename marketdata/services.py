"""What the rest of the site asks of market data: which files, rules and warnings a run has, and what is held."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accounts.models import User
from marketdata.choosing import RunSpan, as_utc, choose_fine_series, choose_series, find_files
from marketdata.contract_files import find_funding, find_mark
from marketdata.coverage import SeriesCoverage, catalogue, default_span
from marketdata.defaults import load_fee_presets
from marketdata.errors import DataUnavailable
from marketdata.home import candle_store
from marketdata.imports import ImportOutcome, import_paths
from marketdata.instruments import choose_rules, load_instruments
from marketdata.models import Instrument, Market, Series, SeriesKind
from marketdata.offers import offered_timeframes
from marketdata.reading import CandleFiles, read_timeframe
from marketdata.run_data import RunData, RunWarning, SymbolData, compute_data_revision
from marketdata.store import StoreError
from marketdata.timeframes import TIMEFRAME_MS, find_gaps, grid_phase_ms, is_filled

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
    "offered_timeframes",
    "resolve_run_data",
]

type Times = NDArray[np.int64]


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

    The bars are candles of `timeframe`, or built from shorter ones: of the series that cover the span, the exchange's
    before a synthetic one, the finest that lacks no more than any other (docs/concepts/timeframes.md). With
    `intrabar_timeframe`, the finer candles of the span too, of the same series where they fit. Missing funding, marks
    that cover a part only, gaps, bars that lack candles and short warm-up are warnings. `user` may use private symbols
    of their own, nobody else's.

    Raises DataUnavailable: symbols/unknown_symbol, symbols/no_margin_tiers, symbols/no_filters, symbols/data_damaged,
    timeframe|intrabar_timeframe/no_such_series, from|to|intrabar_timeframe/span_not_covered,
    from/no_candles, data_revision/data_revised (a revision is given, and the files held now are not the ones it names).
    """
    for name, given in (("timeframe", timeframe), ("intrabar_timeframe", intrabar_timeframe or timeframe)):
        if given not in TIMEFRAME_MS:
            raise DataUnavailable(name, "no_such_series", f"{given!r} is not a timeframe.")
    warmup_from_ms = from_ms - warmup_bars * TIMEFRAME_MS[timeframe]
    span = RunSpan(str(market), timeframe, intrabar_timeframe or "", warmup_from_ms, from_ms, to_ms, candle_store())
    found: list[SymbolData] = []
    warnings: list[RunWarning] = []
    is_synthetic = False
    for symbol in symbols:
        instrument = _find_instrument(span.market, symbol, user)
        series, coverage = choose_series(instrument, span)
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


def _resolve_symbol(
    instrument: Instrument, series: Series, span: RunSpan, funding: bool, warnings: list[RunWarning]
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
    files = find_files(series, span.timeframe, span.warmup_from_ms, span.to_ms)
    try:
        bars, gaps = _count_bars(symbol, files, span, warnings)
        fine, finest = _find_fine(instrument, series, bars, span, warnings)
        mark_refs, mark_timeframe = find_mark(instrument, series, finest, span, warnings)
    except StoreError as error:
        raise DataUnavailable("symbols", "data_damaged", f"The candles of {symbol} cannot be read: {error}") from error
    is_funded = funding and instrument.market == Market.USDM
    return SymbolData(
        rules=rules,
        series_name=str(series),
        timeframe=span.timeframe,
        candles=files.refs,
        fine=fine.refs,
        fine_timeframe=span.fine_timeframe,
        mark=mark_refs,
        mark_timeframe=mark_timeframe,
        funding=find_funding(instrument, series, span, warnings) if is_funded else (),
        n_rows_in_span=len(bars),
        gaps=gaps,
        source_timeframe=files.source_timeframe,
        fine_source_timeframe=fine.source_timeframe,
    )


def _count_bars(
    symbol: str, files: CandleFiles, span: RunSpan, warnings: list[RunWarning]
) -> tuple[Times, tuple[tuple[int, int], ...]]:
    """Open times of the span's bars and the gaps between them; appends what a reader must know."""
    timeframe, length_ms = span.timeframe, TIMEFRAME_MS[span.timeframe]
    off_grid: list[Times] = []
    built = read_timeframe(span.store, files, ("open_ms", "volume"), span.warmup_from_ms, span.to_ms, off_grid)
    open_ms = built.columns["open_ms"]
    in_span = open_ms >= span.from_ms
    bars = open_ms[in_span]
    if not len(bars):
        text = f"There is no candle of {symbol} between {as_utc(span.from_ms)} and {as_utc(span.to_ms)} (UTC)."
        raise DataUnavailable("from", "no_candles", text)
    whole = files.clip(span.from_ms, span.to_ms)
    gaps = find_gaps(timeframe, bars, *whole, grid_phase_ms(timeframe, open_ms))
    n_missing = sum(end - start for start, end in gaps) // length_ms
    n_cut = files.count_cut(span.from_ms, span.to_ms)
    n_off_grid = sum(int(np.count_nonzero(stamps >= whole[0])) for stamps in off_grid)
    n_idle = int(np.count_nonzero(built.columns["volume"][in_span] == 0))
    n_part_idle = int(np.count_nonzero(built.n_idle[in_span])) - n_idle
    n_incomplete = int(np.count_nonzero(built.n_rows[in_span] < files.n_per_candle))
    n_warmup_missing = (span.from_ms - span.warmup_from_ms) // length_ms - int(np.count_nonzero(~in_span))
    source = files.source_timeframe
    lacks = f"{n_incomplete} {timeframe} bars of {symbol} lack some of their {source} candles"
    for n, code, text in (
        (n_missing, "gaps", f"{n_missing} candles of {symbol} are missing, in {len(gaps)} stretches of the span."),
        (n_cut, "cut_bars", f"{symbol} is held for a part of {n_cut} {timeframe} bars of the span: they are left out."),
        (n_incomplete, "incomplete_bars", f"{lacks}: they are built from the others."),
        (n_off_grid, "off_grid", f"{n_off_grid} candles of {symbol} open off the {source} grid: left out."),
        (n_idle, "no_trade_bars", f"{n_idle} bars of {symbol} are without trades: no order fills on them."),
        (n_part_idle, "part_idle_bars", f"{n_part_idle} bars of {symbol} hold {source} candles without trades."),
        (n_warmup_missing, "short_warmup", f"{symbol} lacks {n_warmup_missing} of the warm-up bars asked for."),
    ):
        if n > 0:
            warnings.append(RunWarning(code, text))
    return bars, gaps


def _find_fine(
    instrument: Instrument, series: Series, bars: Times, span: RunSpan, warnings: list[RunWarning]
) -> tuple[CandleFiles, Times]:
    """The finer candles of the span and their open times; without any asked for, none and the bars themselves."""
    symbol, timeframe = instrument.symbol, span.fine_timeframe
    if not timeframe:
        return CandleFiles((), "", ""), bars
    files = find_files(choose_fine_series(instrument, series, span), timeframe, span.from_ms, span.to_ms)
    open_ms = read_timeframe(span.store, files, ("open_ms",), span.from_ms, span.to_ms).columns["open_ms"]
    is_whole = is_filled(bars, TIMEFRAME_MS[span.timeframe], open_ms, TIMEFRAME_MS[timeframe])
    if n := int(np.count_nonzero(~is_whole)):
        text = (
            f"{n:,} bars of {symbol} lack some of their {timeframe} candles: their path is walked in those that are"
            " there, or in the bar itself where there are none."
        )
        warnings.append(RunWarning("finer_gaps", text))
    return files, open_ms
