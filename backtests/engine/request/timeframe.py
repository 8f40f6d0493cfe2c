"""Timeframes: candle lengths by name."""

import reprlib

from backtests.engine.errors import RequestError

_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

TIMEFRAME_MS: dict[str, int] = {
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": _HOUR,
    "2h": 2 * _HOUR,
    "4h": 4 * _HOUR,
    "6h": 6 * _HOUR,
    "8h": 8 * _HOUR,
    "12h": 12 * _HOUR,
    "1d": _DAY,
    "3d": 3 * _DAY,
    "1w": 7 * _DAY,
}


def timeframe_to_ms(timeframe: str, *, field: str = "timeframe") -> int:
    try:
        return TIMEFRAME_MS[timeframe]
    except (KeyError, TypeError):
        names = ", ".join(TIMEFRAME_MS)
        raise RequestError(
            field, "unknown_timeframe", f"{reprlib.repr(timeframe)} is not a timeframe. Use one of: {names}."
        ) from None
