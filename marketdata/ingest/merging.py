"""Rows of several files, and of what is already held, as one series: by time, one row per stamp."""

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from marketdata.arrays import UNKNOWN_COUNT, CandleArrays, FundingArrays, IntArray, TimedRows

FUNDING_ROUND_MS = 1_000


def merge_rows[Rows: TimedRows](parts: Sequence[Rows]) -> Rows:
    """All rows by time; of several rows for one stamp the one of the latest part stands.

    A later candle that only knows less (the same prices and volume, its number of trades unknown) does not replace an
    earlier one. Funding stamps jitter by some ms: they are the same event within a second.
    """
    joined = type(parts[0]).concatenate(parts)
    keys = _keys(joined)
    if bool(np.all(np.diff(keys) > 0)):
        return joined
    order = np.argsort(keys, kind="stable")  # within a stamp the order of the parts remains
    last = np.flatnonzero(np.concatenate((np.diff(keys[order]) > 0, [True])))
    chosen = _prefer_fuller(joined, order, last) if isinstance(joined, CandleArrays) else order[last]
    return joined.take(chosen)


def _prefer_fuller(candles: CandleArrays, order: IntArray, last: IntArray) -> IntArray:
    """The row to keep of each stamp: its last one, or an earlier one that says the same and its number of trades."""
    position = np.arange(len(order))
    is_known = candles.n_trades[order] != UNKNOWN_COUNT
    fuller = np.maximum.accumulate(np.where(is_known, position, -1))[last]
    first = np.concatenate(([0], last[:-1] + 1))  # where each stamp's rows begin
    kept, other = order[last], order[np.maximum(fuller, 0)]
    is_same = fuller >= first
    for column in (candles.open, candles.high, candles.low, candles.close, candles.volume):
        is_same &= column[kept] == column[other]
    return np.where(is_same, other, kept)


def split_months[Rows: TimedRows](rows: Rows) -> Iterator[tuple[dt.date, Rows]]:
    """Rows in time order, cut at the UTC months."""
    months = _keys(rows).astype("datetime64[ms]").astype("datetime64[M]")
    starts = np.concatenate(([0], np.flatnonzero(months[1:] != months[:-1]) + 1, [len(rows)]))
    for first, end in pairwise(starts):
        yield months[first].astype(object), rows.take(slice(int(first), int(end)))


def _keys(rows: TimedRows) -> IntArray:
    """What makes two rows the same: the open time, or the second of a funding event."""
    if isinstance(rows, FundingArrays):
        return (rows.time_ms + FUNDING_ROUND_MS // 2) // FUNDING_ROUND_MS * FUNDING_ROUND_MS
    return rows.stamps
