"""What must hold whenever somebody looks: whole days only, none missing, and pinned rows as they were."""

import hashlib
import random

import numpy as np

from marketdata.home import candle_store
from marketdata.models import Segment
from marketdata.segments import ref_of
from marketdata.store import CandleStore, SegmentRef, StoreError
from tests.marketdata.kill_drill.writer import BASE_PRICE, DAY_MS, FIRST_MS, N_A_DAY, N_DAYS, make_day

LOOKED_AT = 10  # of the older snapshots, at every look


class Watch:
    """A reader that never trusts: fresh eyes at every look. `faults` collects what was wrong, in words."""

    def __init__(self, seed: int) -> None:
        self.faults: list[str] = []
        self.n_reads = 0
        self.pins: list[tuple[tuple[SegmentRef, ...], str]] = []
        self._choose = random.Random(seed)

    def look(self) -> None:
        for symbol, refs in self._current().items():
            self._check_days(symbol, refs)
        for refs, digest in self._choose.sample(self.pins, min(LOOKED_AT, len(self.pins))):
            if self._digest(refs) != digest:
                self.faults.append(f"a pinned snapshot has changed: {refs}")

    def pin(self) -> None:
        """Hold on to what every series is now, as a run does."""
        self.pins += [(refs, self._digest(refs)) for refs in self._current().values()]

    def find_pinned(self) -> list[SegmentRef]:
        return [ref for refs, _ in self.pins for ref in refs]

    def look_at_all_pins(self) -> None:
        for refs, digest in self.pins:
            if self._digest(refs) != digest:
                self.faults.append(f"a pinned snapshot has changed: {refs}")

    def _current(self) -> dict[str, tuple[SegmentRef, ...]]:
        found: dict[str, tuple[SegmentRef, ...]] = {}
        segments = Segment.objects.filter(is_current=True).select_related("series__instrument")
        for segment in segments.order_by("series", "month"):
            symbol = segment.series.instrument.symbol
            found[symbol] = (*found.get(symbol, ()), ref_of(segment))
        return found

    def _read(self, refs):
        """None, and a fault, where it cannot be read."""
        self.n_reads += 1
        held = candle_store()
        try:
            return CandleStore(held.cache.folder.parent.parent, held.files).read_candles(refs)
        except (StoreError, OSError) as error:
            self.faults.append(f"a bad read: {error}")
            return None

    def _digest(self, refs) -> str:
        rows = self._read(refs)
        if rows is None:
            return "unread"
        digest = hashlib.sha256()
        for column in rows.columns().values():
            digest.update(np.ascontiguousarray(column))
        return digest.hexdigest()

    def _check_days(self, symbol: str, refs) -> None:
        rows = self._read(refs)
        if rows is None:
            return
        if len(rows) != N_DAYS * N_A_DAY:
            self.faults.append(f"{symbol} has a gap: {len(rows)} rows of {N_DAYS * N_A_DAY}")
            return
        for i_day in range(N_DAYS):
            day = rows.take(slice(i_day * N_A_DAY, (i_day + 1) * N_A_DAY))
            expected = make_day(i_day, round(float(day.open[0])) - BASE_PRICE)
            if int(day.open_ms[0]) != FIRST_MS + i_day * DAY_MS or not day.has_same_rows(expected):
                self.faults.append(f"{symbol} day {i_day} holds rows that no file had")
