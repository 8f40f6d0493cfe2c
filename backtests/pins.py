"""Which candle files stored runs have pinned: they stay as long as a run names them, whatever the catalogue does."""

from collections.abc import Iterator
from typing import Any

from backtests.models import BacktestRun
from marketdata.store import SegmentRef

_FIELDS = frozenset(SegmentRef.__dataclass_fields__)


def find_pinned() -> Iterator[SegmentRef]:
    """Every file that any run names, some of them more than once."""
    for raw in BacktestRun.objects.values_list("run_data", flat=True).iterator(chunk_size=200):
        yield from _find_refs(raw)


def _find_refs(raw: Any) -> Iterator[SegmentRef]:
    """Wherever they stand in it: a kind of file that is added to RunData later is pinned without a change here."""
    if isinstance(raw, dict):
        if raw.keys() >= _FIELDS:
            yield SegmentRef.from_json(raw)
        else:
            for value in raw.values():
                yield from _find_refs(value)
    elif isinstance(raw, list):
        for value in raw:
            yield from _find_refs(value)
