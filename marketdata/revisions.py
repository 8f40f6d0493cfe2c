"""What has become of rows that were pinned: which of them differ from those held now.

A replaced file alone says little: a file is a month, and most of its rows are what they were.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import Count, Max, Sum
from numpy.typing import NDArray

from marketdata.choosing import find_files, find_refs
from marketdata.models import Segment, Series, SeriesKind
from marketdata.reading import CandleFiles, read_timeframe
from marketdata.store import CandleStore, SegmentRef
from marketdata.timeframes import TIMEFRAME_MS, grid_phase_ms, is_on_grid, next_open_ms, opening_phase_ms

ROUND_MS = 1_000  # funding stamps jitter by some ms
FUNDING_COLUMNS = ("rate", "interval_hours", "mark_price")

type Stamps = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pinned:
    """What was read of one series: `columns` of the candles of `timeframe` that open in [from_ms, to_ms).

    They are the rows of these files, or built from them where their own timeframe is a shorter one.
    """

    kind: str
    refs: tuple[SegmentRef, ...]
    from_ms: int
    to_ms: int
    timeframe: str = ""
    columns: tuple[str, ...] = ()  # of candles; a funding event is read whole


def find_series(held: Iterable[Series], read: Iterable[Pinned]) -> dict[tuple[str, str], list[Series]]:
    """Which of the series `held` each file is, or was, a part of, by kind and hash."""
    by_id = {series.pk: series for series in held}
    hashes = {ref.sha256 for pinned in read for ref in pinned.refs}
    found: dict[tuple[str, str], list[Series]] = defaultdict(list)
    rows = Segment.objects.filter(series__in=by_id, sha256__in=hashes).values_list("sha256", "series_id").distinct()
    for sha256, series_id in rows.order_by():
        found[by_id[series_id].kind, sha256].append(by_id[series_id])
    return found


def read_states(series_ids: Iterable[int]) -> dict[int, str]:
    """A word per series that changes whenever one of its files is replaced, added or taken away."""
    current = Segment.objects.filter(series__in=set(series_ids), is_current=True)
    rows = current.order_by().values("series").annotate(n=Count("pk"), newest=Max("pk"), total=Sum("pk"))
    return {row["series"]: f"{row['n']}-{row['newest']}-{row['total']}" for row in rows}


def find_changed_stamps(store: CandleStore, pinned: Pinned, series: Series) -> Stamps:
    """The times (int64 UTC ms, ascending) of candles that came, went, or differ in a column that was read.

    Rows off the grid are left out: they are no bars. A built candle whose rows changed but which came out the same
    has not changed. Raises StoreError for a file that cannot be read.
    """
    current = find_refs(series, pinned.from_ms, pinned.to_ms)
    old = _without(pinned.refs, current)
    new = _without(current, pinned.refs)
    if not old and not new:
        return np.empty(0, np.int64)
    if pinned.kind == SeriesKind.FUNDING:
        return _compare(_read_funding(store, old, pinned), _read_funding(store, new, pinned))
    changed = _compare(_read_candles(store, old, pinned), _read_candles(store, new, pinned))
    changed = changed[is_on_grid(series.timeframe, changed, grid_phase_ms(series.timeframe, changed))]
    return _build_again(store, pinned, series, changed) if pinned.timeframe != series.timeframe else changed


def count_bars(stamps: Iterable[Stamps], timeframe: str) -> int:
    """How many bars of `timeframe` hold at least one of these times."""
    phase_ms = opening_phase_ms(timeframe)
    cells = [(found - phase_ms) // TIMEFRAME_MS[timeframe] for found in stamps]
    return len(np.unique(np.concatenate(cells))) if cells else 0


def _build_again(store: CandleStore, pinned: Pinned, series: Series, changed: Stamps) -> Stamps:
    """Of the candles around rows that changed those that are different, built from the old files and from the new."""
    if not len(changed):
        return changed
    length_ms = TIMEFRAME_MS[pinned.timeframe]
    from_ms = max(next_open_ms(pinned.timeframe, int(changed[0]) + 1) - length_ms, pinned.from_ms)
    to_ms = min(next_open_ms(pinned.timeframe, int(changed[-1]) + 1), pinned.to_ms)
    names = ("open_ms", *pinned.columns)
    old = CandleFiles(pinned.refs, series.timeframe, pinned.timeframe)
    new = find_files(series, pinned.timeframe, pinned.from_ms, pinned.to_ms)
    built = [read_timeframe(store, files, names, from_ms, to_ms).columns for files in (old, new)]
    return _compare(*built)


def _without(refs: Sequence[SegmentRef], others: Sequence[SegmentRef]) -> list[SegmentRef]:
    known = {ref.sha256 for ref in others}
    return [ref for ref in refs if ref.sha256 not in known]


def _read_candles(store: CandleStore, refs: Sequence[SegmentRef], pinned: Pinned) -> Mapping[str, NDArray[Any]]:
    return store.read_columns(("open_ms", *pinned.columns), refs, pinned.from_ms, pinned.to_ms)


def _read_funding(store: CandleStore, refs: Sequence[SegmentRef], pinned: Pinned) -> Mapping[str, NDArray[Any]]:
    events = store.read_funding(refs, pinned.from_ms - ROUND_MS, pinned.to_ms + ROUND_MS)
    stamps = (events.time_ms + ROUND_MS // 2) // ROUND_MS * ROUND_MS
    inside = (stamps >= pinned.from_ms) & (stamps < pinned.to_ms)
    return {"time_ms": stamps[inside]} | {name: getattr(events, name)[inside] for name in FUNDING_COLUMNS}


def _compare(old: Mapping[str, NDArray[Any]], new: Mapping[str, NDArray[Any]]) -> Stamps:
    """The times in the first column of rows that only one side has, or that differ in another column."""
    (key, old_stamps), *columns = old.items()
    common, i_old, i_new = np.intersect1d(old_stamps, new[key], assume_unique=True, return_indices=True)
    differs = np.zeros(len(common), bool)
    for name, column in columns:
        mine, theirs = column[i_old], new[name][i_new]
        differs |= (mine != theirs) & ~(np.isnan(mine) & np.isnan(theirs))
    return np.union1d(np.setxor1d(old_stamps, new[key], assume_unique=True), common[differs])
