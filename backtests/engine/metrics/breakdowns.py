"""Returns by calendar month."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from backtests.engine.metrics.rows import EquityCurve


@dataclass(frozen=True, slots=True)
class MonthReturn:
    """Return within one UTC month; partial when the span covers only a part of it."""

    year: int
    month: int
    value: float
    is_partial: bool


def monthly_returns(curve: EquityCurve) -> tuple[MonthReturn, ...]:
    """E at the end of each UTC month of the span / E at its start - 1; the months compound to the total return.

    Stops at the first month that begins with nothing left.
    """
    edges = _month_starts(curve.from_ms, curve.end_ms)
    inner = [edge for edge in edges if curve.from_ms < edge < curve.end_ms]
    moments = np.array([curve.from_ms, *inner, curve.end_ms], dtype=np.int64)
    equity = curve.at(moments)
    equity[0] = curve.initial
    found = []
    for i in range(len(moments) - 1):
        if equity[i] <= 0:
            break
        start = datetime.fromtimestamp(int(moments[i]) / 1000, UTC)
        is_whole = int(moments[i]) in edges and int(moments[i + 1]) in edges
        found.append(MonthReturn(start.year, start.month, float(equity[i + 1] / equity[i] - 1.0), not is_whole))
    return tuple(found)


def _month_starts(from_ms: int, to_ms: int) -> list[int]:
    """The first midnights of all months that touch [from_ms, to_ms], and of the month after."""
    first = datetime.fromtimestamp(from_ms / 1000, UTC)
    starts: list[int] = []
    year, month = first.year, first.month
    while not starts or starts[-1] <= to_ms:
        starts.append(round(datetime(year, month, 1, tzinfo=UTC).timestamp() * 1000))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return starts
