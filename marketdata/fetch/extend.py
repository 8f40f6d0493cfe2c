"""What is held, up to the newest files: the exchange's own series, each from where it ends."""

import datetime as dt

from marketdata.fetch.spans import WantedSeries
from marketdata.models import Series, SeriesOrigin
from marketdata.timeframes import TIMEFRAME_MS


def find_extensions(today: dt.date) -> list[WantedSeries]:
    """Every shared exchange series that may go on, from the first day that is not held whole. Synthetic ones do not."""
    shared = Series.objects.filter(origin=SeriesOrigin.EXCHANGE, instrument__owner=None).select_related("instrument")
    found = []
    for series in shared:
        newest = series.segments.filter(is_current=True).order_by("-month").first()
        if newest is None:
            continue
        end_ms = newest.last_ms + TIMEFRAME_MS.get(series.timeframe, 12 * 3_600_000)
        from_day = dt.datetime.fromtimestamp(end_ms / 1000, dt.UTC).date()
        if from_day < today:
            where = (series.instrument.market, series.instrument.symbol, series.kind, series.timeframe)
            found.append(WantedSeries(*where, from_day, today, is_open=True, may_be_empty=True))
    return found
