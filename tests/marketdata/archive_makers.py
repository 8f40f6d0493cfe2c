"""Files of the exchange's archive, small, in its own layout."""

import datetime as dt

import numpy as np

from marketdata.fetch.spans import WantedSeries, days_of, parse_period, to_ms
from tests.marketdata.candle_makers import make_candles, to_csv, to_zip
from tests.marketdata.loopback_archive import LoopbackArchive

PER_DAY = {"1h": 24, "1d": 1, "8h": 3}


def series(symbol="BTCUSDT", market="usdm", kind="trade", timeframe="1h") -> WantedSeries:
    day = dt.date(2025, 1, 1)
    return WantedSeries(market, symbol, kind, timeframe, day, day)


def serve(archive: LoopbackArchive, *periods: str, without: tuple[str, ...] = (), price=100.0, **where) -> list[str]:
    """Serve the files of some months and days, whole but for the days in `without`. Returns their keys."""
    wanted = series(**where)
    keys = []
    for period in periods:
        key = wanted.folder(is_monthly=len(period) == 7).key(period)
        name = key.rpartition("/")[2].replace(".zip", ".csv")
        archive.add(key, to_zip(_rows(wanted, period, without, price), name))
        keys.append(key)
    return keys


def _rows(wanted: WantedSeries, period: str, without: tuple[str, ...], price: float) -> str:
    first, end = parse_period(period)
    if wanted.kind == "funding":
        times = range(to_ms(first), to_ms(end), 8 * 3_600_000)
        return "".join(f"{time},8,0.0001\n" for time in times)
    n = len(days_of(first, end)) * PER_DAY[wanted.timeframe]
    candles = make_candles(n, wanted.timeframe, first_ms=to_ms(first), price=price)
    left_out = {to_ms(dt.date.fromisoformat(day)) for day in without}
    return to_csv(candles.take(~np.isin(candles.open_ms // 86_400_000 * 86_400_000, list(left_out))))
