"""Candle rows for the API: what a query asks, checked, and the rows that answer it."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from accounts.models import User
from marketdata.aggregation import BuiltCandles, hold_candles
from marketdata.choosing import find_files
from marketdata.coverage import SeriesCoverage, catalogue
from marketdata.errors import HistoryError
from marketdata.home import candle_store
from marketdata.models import Market, Series, SeriesKind
from marketdata.offers import rank_source
from marketdata.reading import read_timeframe
from marketdata.timeframes import TIMEFRAME_MS, grid_phase_ms, is_on_grid, sources_of

DEFAULT_LIMIT = 500
MAX_LIMIT = 5_000
LAST_MS = 4_102_444_800_000  # 2100
COLUMNS = ("open_ms", "open", "high", "low", "close", "volume")
GAP_FACTOR = 8  # how much further to read where gaps left too few candles
NAMES = ("market", "symbol", "timeframe", "start_date", "end_date", "limit")


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Candles that open in [from_ms, to_ms): the first `limit` of them, or without a start the last."""

    market: str
    symbol: str
    timeframe: str
    from_ms: int | None
    to_ms: int
    limit: int

    @classmethod
    def parse(cls, raw: Mapping[str, str]) -> "HistoryQuery":
        """Raises HistoryError for the first field that makes no sense."""
        for name in raw:
            if name not in NAMES:
                raise HistoryError(name[:40], "unknown_field", f"There is no parameter {name[:40]!r}.")
        for name in ("market", "symbol", "timeframe"):
            if not raw.get(name):
                raise HistoryError(name, "missing", f"Say the {name}.")
        if not re.fullmatch(r"[\w-]{1,40}", raw["symbol"].strip()):
            raise HistoryError("symbol", "unknown_symbol", f"{raw['symbol'][:40]!r} is not a symbol, such as BTCUSDT.")
        if raw["market"] not in Market.values:
            raise HistoryError("market", "unknown_choice", f"The market is one of {', '.join(Market.values)}.")
        if raw["timeframe"] not in TIMEFRAME_MS:
            raise HistoryError("timeframe", "unknown_timeframe", f"Use one of {', '.join(TIMEFRAME_MS)}.")
        from_ms = _parse_moment("start_date", raw["start_date"]) if raw.get("start_date") else None
        to_ms = _parse_moment("end_date", raw["end_date"]) if raw.get("end_date") else LAST_MS
        if from_ms is not None and to_ms <= from_ms:
            raise HistoryError("end_date", "empty_span", "The end must come after the start.")
        limit = _parse_limit(raw.get("limit") or str(DEFAULT_LIMIT))
        return cls(raw["market"], raw["symbol"].strip().upper(), raw["timeframe"], from_ms, to_ms, limit)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Candles, and the series that they are read or built from. `next_start_ms` is where the next page starts; None on
    the last."""

    coverage: SeriesCoverage
    timeframe: str
    candles: BuiltCandles
    next_start_ms: int | None

    def rows(self) -> list[dict[str, Any]]:
        """`complete`: on the grid, and built of as many rows as go into a candle; always so of the exchange's own."""
        columns = [self.candles.columns[name].tolist() for name in COLUMNS]
        n_whole = TIMEFRAME_MS[self.timeframe] // TIMEFRAME_MS[self.coverage.timeframe]
        columns.append((self.candles.n_rows == n_whole).tolist())
        names = ("time_ms", *COLUMNS[1:], "complete")
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def read_history(query: HistoryQuery, user: User | None = None) -> History:
    """The candles asked for, built where they are not held, from the series that a run over them would choose.

    The exchange's before synthetic ones; of a private symbol, of the user's own series. Candles that are not wholly
    held are left out; those that lack rows inside are not `complete`. Raises HistoryError: no_such_series.
    """
    held = Series.objects.visible_to(user).filter(
        instrument__market=query.market, instrument__symbol=query.symbol, kind=SeriesKind.TRADE
    )
    coverage = _choose(catalogue(held.filter(timeframe__in=sources_of(query.timeframe))), query)
    if coverage is None:
        names = ", ".join(dict.fromkeys(other.timeframe for other in catalogue(held)))
        hint = f"It is held at {names}." if names else "See data/symbols/ for what is held."
        text = f"No {query.market} candles of {query.symbol} at {query.timeframe} are held. {hint}"
        raise HistoryError("timeframe" if names else "symbol", "no_such_series", text)
    candles = _read_candles(coverage, query)
    has_more = query.from_ms is not None and len(candles) > query.limit
    next_start_ms = int(candles.columns["open_ms"][query.limit]) if has_more else None
    kept = candles.take(slice(0, query.limit) if query.from_ms is not None else slice(-query.limit, None))
    return History(coverage, query.timeframe, kept, next_start_ms)


def _choose(held: list[SeriesCoverage], query: HistoryQuery) -> SeriesCoverage | None:
    """As choose_source does, over as many candles as may be answered; none need cover them all."""
    length_ms = query.limit * TIMEFRAME_MS[query.timeframe]
    if query.from_ms is not None:
        span = query.from_ms, min(query.to_ms, query.from_ms + length_ms)
    else:
        ends = [coverage.end_ms for coverage in held if not coverage.is_synthetic] or [c.end_ms for c in held]
        end_ms = min(query.to_ms, max(ends, default=0))
        span = end_ms - length_ms, end_ms
    return min(held, key=lambda coverage: rank_source(coverage, query.timeframe, *span), default=None)


def _read_candles(coverage: SeriesCoverage, query: HistoryQuery) -> BuiltCandles:
    """More than `limit` candles where there are as many, from the side that the query counts from; no more files."""
    series, length_ms = Series.objects.get(pk=coverage.series_id), TIMEFRAME_MS[query.timeframe]
    first_ms = max(query.from_ms or 0, coverage.first_ms)
    end_ms = min(query.to_ms, coverage.end_ms)
    n_wanted = query.limit + 1
    while True:
        if query.from_ms is not None:
            window = first_ms, min(first_ms + n_wanted * length_ms, end_ms)
        else:
            window = max(end_ms - n_wanted * length_ms, first_ms), end_ms
        candles = _read_window(series, query.timeframe, *window)
        if len(candles) > query.limit or window == (first_ms, end_ms) or first_ms >= end_ms:
            return candles
        n_wanted *= GAP_FACTOR


def _read_window(series: Series, timeframe: str, from_ms: int, to_ms: int) -> BuiltCandles:
    """Held rows that open beside the grid are shown, as no whole candles; in built ones they are not."""
    store, files = candle_store(), find_files(series, timeframe, from_ms, to_ms)
    if files.is_built:
        return read_timeframe(store, files, COLUMNS, from_ms, to_ms)
    columns = store.read_columns(COLUMNS, files.refs, from_ms, to_ms)
    open_ms = columns["open_ms"]
    fits = is_on_grid(timeframe, open_ms, grid_phase_ms(timeframe, open_ms))
    return replace(hold_candles(columns), n_rows=fits.astype(np.int64))


def _parse_moment(name: str, text: str) -> int:
    try:
        if re.fullmatch(r"[0-9]{9,}", text.strip()):
            time_ms = int(text)
        else:
            moment = dt.datetime.fromisoformat(text.strip())
            time_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        text = f"{text[:40]!r} is no date, ISO time or ms since 1970. Write 2025-01-31 or 2025-01-31T08:00."
        raise HistoryError(name, "not_a_time", text) from None
    if not 0 <= time_ms <= LAST_MS:
        raise HistoryError(name, "out_of_range", f"{text[:40]!r} lies outside 1970 to 2100.")
    return time_ms


def _parse_limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_LIMIT:
        raise HistoryError("limit", "out_of_range", f"The limit is a whole number from 1 to {MAX_LIMIT}.")
    return int(text)
