"""Where this site keeps its candles."""

from django.conf import settings

from marketdata.store import CandleStore


def candle_store() -> CandleStore:
    return CandleStore(settings.HOME)
