"""What is held already of a wanted series: the files its rows came from, and the days that have rows."""

import datetime as dt

import numpy as np
from django.db.models import QuerySet

from marketdata.fetch.spans import WantedSeries, days_of, to_ms
from marketdata.home import candle_store
from marketdata.models import Segment, SeriesOrigin
from marketdata.store import SegmentRef
from marketdata.timeframes import DAY_MS, TIMEFRAME_MS


def current_segments(wanted: WantedSeries) -> QuerySet[Segment]:
    """The exchange's own, everybody's: never a user's private series, never a synthetic one."""
    return Segment.objects.filter(
        series__instrument__market=wanted.market,
        series__instrument__symbol=wanted.symbol,
        series__instrument__owner=None,
        series__kind=wanted.kind,
        series__timeframe=wanted.timeframe,
        series__origin=SeriesOrigin.EXCHANGE,
        is_current=True,
    )


def held_sources(wanted: WantedSeries) -> dict[dt.date, dict[str, str]]:
    """By month: name -> sha256 of every file that the rows held came from."""
    rows = current_segments(wanted).values_list("month", "source_sha256s")
    return {month: {str(source["name"]): str(source["sha256"]) for source in sources} for month, sources in rows}


def held_names(wanted: WantedSeries) -> frozenset[str]:
    return frozenset(name for sources in held_sources(wanted).values() for name in sources)


def count_days(wanted: WantedSeries, from_day: dt.date, end_day: dt.date) -> dict[dt.date, int]:
    """Rows held of each day of [from_day, end_day). Raises StoreError where a file is damaged."""
    from_ms, to_ms_ = to_ms(from_day), to_ms(end_day)
    rows = current_segments(wanted).filter(last_ms__gte=from_ms, first_ms__lt=to_ms_).order_by("month")
    refs = [SegmentRef(row.sha256, row.n_rows, row.first_ms, row.last_ms) for row in rows]
    open_ms = candle_store().read_columns(("open_ms",), refs, from_ms, to_ms_)["open_ms"]
    counts = np.bincount((open_ms - from_ms) // DAY_MS, minlength=(end_day - from_day).days)
    return {day: int(counts[i]) for i, day in enumerate(days_of(from_day, end_day))}


def find_short_days(wanted: WantedSeries, from_day: dt.date, end_day: dt.date) -> list[dt.date]:
    """Days of which candles are missing, some or all."""
    n_whole = DAY_MS // TIMEFRAME_MS[wanted.timeframe]
    return [day for day, n_rows in count_days(wanted, from_day, end_day).items() if n_rows < n_whole]


def find_empty_days(wanted: WantedSeries, from_day: dt.date, end_day: dt.date) -> list[dt.date]:
    return [day for day, n_rows in count_days(wanted, from_day, end_day).items() if not n_rows]
