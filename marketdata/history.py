"""Candle rows for the API: what a query asks, checked, and the rows that answer it."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.models import User
from marketdata.arrays import CandleArrays
from marketdata.coverage import SeriesCoverage, catalogue
from marketdata.errors import HistoryError
from marketdata.home import candle_store
from marketdata.models import Market, Segment, Series, SeriesKind, SeriesOrigin
from marketdata.segments import ref_of
from marketdata.timeframes import TIMEFRAME_MS

DEFAULT_LIMIT = 500
MAX_LIMIT = 5_000
LAST_MS = 4_102_444_800_000  # 2100
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


@dataclass(frozen=True, slots=True)
class History:
    """Rows of one series. `next_start_ms` is where the next page starts; None on the last."""

    coverage: SeriesCoverage
    candles: CandleArrays
    next_start_ms: int | None

    def rows(self) -> list[dict[str, Any]]:
        candles = self.candles
        names = ("time_ms", "open", "high", "low", "close", "volume")
        columns = (candles.open_ms, candles.open, candles.high, candles.low, candles.close, candles.volume)
        return [dict(zip(names, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True)]


def read_history(query: HistoryQuery, user: User | None = None) -> History:
    """The rows of the exchange's series, else of the synthetic one; of a private symbol, of the user's own series.

    Raises HistoryError: no_such_series.
    """
    series = Series.objects.visible_to(user).filter(
        instrument__market=query.market, instrument__symbol=query.symbol, kind=SeriesKind.TRADE
    )
    asked = catalogue(series.filter(timeframe=query.timeframe))
    if not asked:
        names = ", ".join(dict.fromkeys(coverage.timeframe for coverage in catalogue(series)))
        hint = f"It is held at {names}." if names else "See data/symbols/ for what is held."
        text = f"No {query.market} candles of {query.symbol} at {query.timeframe} are held. {hint}"
        raise HistoryError("timeframe" if names else "symbol", "no_such_series", text)
    coverage = min(asked, key=lambda c: c.origin != SeriesOrigin.EXCHANGE)
    candles = _read_rows(coverage.series_id, query)
    has_more = query.from_ms is not None and len(candles) > query.limit
    kept = candles.take(slice(0, query.limit) if query.from_ms is not None else slice(-query.limit, None))
    return History(coverage, kept, int(candles.open_ms[query.limit]) if has_more else None)


def _read_rows(series_id: int, query: HistoryQuery) -> CandleArrays:
    """At least limit + 1 rows where there are as many, from the side that the query counts from; no more files."""
    segments = Segment.objects.filter(series_id=series_id, is_current=True, first_ms__lt=query.to_ms)
    if query.from_ms is not None:
        segments = segments.filter(last_ms__gte=query.from_ms)
    is_backwards = query.from_ms is None
    store = candle_store()
    parts: list[CandleArrays] = []
    n_rows = 0
    for segment in segments.order_by("-month" if is_backwards else "month").iterator(chunk_size=12):
        part = store.read_candles([ref_of(segment)], query.from_ms or 0, query.to_ms)
        parts.append(part)
        n_rows += len(part)
        if n_rows > query.limit:
            break
    if not parts:
        return CandleArrays.empty()
    return CandleArrays.concatenate(parts[::-1] if is_backwards else parts)


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
