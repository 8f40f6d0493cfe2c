"""A user's own series, as an upload leaves it."""

from marketdata.arrays import CandleArrays
from marketdata.home import candle_store
from marketdata.models import FilterSet, Instrument, Series
from marketdata.segments import SeriesKey, Source, store_rows


def hold_private(owner, rows: CandleArrays, symbol="BTCUSDT_MY", market="spot", timeframe="1h") -> Series:
    instrument, is_new = Instrument.objects.get_or_create(
        owner=owner, market=market, symbol=symbol, defaults={"base_asset": "BTC", "quote_asset": "USDT"}
    )
    if is_new:
        sizes = {"tick_size": 0.01, "step_size": 0.001, "min_qty": 0.0, "min_notional": 0.0}
        FilterSet.objects.create(instrument=instrument, valid_from="2020-01-01", source="test", **sizes)
    key = SeriesKey(market, symbol, "trade", timeframe, "uploaded", owner.pk)
    store_rows(candle_store(), key, [(Source("mine.csv", "a" * 64, len(rows)), rows)])
    return Series.objects.get(instrument=instrument, timeframe=timeframe)
