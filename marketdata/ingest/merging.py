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
    if isinstance(joined, CandleArrays):
        order = _put_fuller_last(joined, keys, order)
    is_last = np.concatenate((np.diff(keys[order]) > 0, [True]))
    return joined.take(order[is_last])


def _put_fuller_last(joined: CandleArrays, keys: IntArray, order: IntArray) -> IntArray:
    """Swap a poorer row with the fuller one of the same stamp, prices and volume right before it."""
    swapped = order.copy()
    before, after = order[:-1], order[1:]
    is_poorer = (keys[before] == keys[after]) & (joined.n_trades[before] != UNKNOWN_COUNT)
    is_poorer &= joined.n_trades[after] == UNKNOWN_COUNT
    for column in (joined.open, joined.high, joined.low, joined.close, joined.volume):
        is_poorer &= column[before] == column[after]
    for i in np.flatnonzero(is_poorer):
        swapped[i], swapped[i + 1] = swapped[i + 1], swapped[i]
    return swapped


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
