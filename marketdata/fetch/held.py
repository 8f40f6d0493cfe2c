"""What is held already of a wanted series: the files its rows came from, and the days that have rows."""

import datetime as dt
from pathlib import Path

import numpy as np
from django.db.models import QuerySet

from marketdata.fetch.spans import DAY, WantedSeries, days_of, to_ms
from marketdata.home import candle_store
from marketdata.ingest.binance_files import parse_candles
from marketdata.ingest.errors import IngestError
from marketdata.ingest.file_names import sniff_path
from marketdata.ingest.packing import read_source
from marketdata.models import Segment, SeriesOrigin
from marketdata.segments import SeriesKey, find_known, ref_of
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


def held_files(wanted: WantedSeries) -> frozenset[str]:
    """The SHA-256 of every file whose rows are held; not of those whose candle file has been lost."""
    return frozenset(find_known(candle_store(), SeriesKey(wanted.market, wanted.symbol, wanted.kind, wanted.timeframe)))


def held_names(wanted: WantedSeries) -> frozenset[str]:
    """The names of the files that the rows held came from."""
    found = current_segments(wanted).values_list("source_sha256s", flat=True)
    return frozenset(str(source["name"]) for sources in found for source in sources)


def count_days(wanted: WantedSeries, from_day: dt.date, end_day: dt.date) -> dict[dt.date, int]:
    """Rows held of each day of [from_day, end_day). Raises StoreError where a file is damaged."""
    from_ms, until_ms = to_ms(from_day), to_ms(end_day)
    rows = current_segments(wanted).filter(last_ms__gte=from_ms, first_ms__lt=until_ms).order_by("month")
    refs = [ref_of(row) for row in rows]
    open_ms = candle_store().read_columns(("open_ms",), refs, from_ms, until_ms)["open_ms"]
    counts = np.bincount((open_ms - from_ms) // DAY_MS, minlength=(end_day - from_day).days)
    return {day: int(counts[i]) for i, day in enumerate(days_of(from_day, end_day))}


def find_short_days(wanted: WantedSeries, from_day: dt.date, end_day: dt.date) -> list[dt.date]:
    """Days of which candles are missing, some or all."""
    n_whole = DAY_MS // TIMEFRAME_MS[wanted.timeframe]
    return [day for day, n_rows in count_days(wanted, from_day, end_day).items() if n_rows < n_whole]


def find_short_days_of_file(path: Path, root: Path, wanted: WantedSeries) -> set[dt.date]:
    """The days of a monthly file below `root` of which candles are missing; none where the file cannot be read."""
    try:
        facts = sniff_path(path.relative_to(root))
        stamps = parse_candles(read_source(path), facts).stamps
    except IngestError:
        return set()
    from_ms, until_ms = facts.from_ms, facts.to_ms
    counts = np.bincount((stamps - from_ms) // DAY_MS, minlength=(until_ms - from_ms) // DAY_MS)
    first = dt.datetime.fromtimestamp(from_ms / 1000, dt.UTC).date()
    n_whole = DAY_MS // TIMEFRAME_MS[wanted.timeframe]
    return {first + i * DAY for i in np.flatnonzero(counts < n_whole).tolist()}


def find_empty_days(wanted: WantedSeries, from_day: dt.date, end_day: dt.date) -> list[dt.date]:
    return [day for day, n_rows in count_days(wanted, from_day, end_day).items() if not n_rows]
