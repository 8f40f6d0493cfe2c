"""Candle files: immutable Parquet segments named by their SHA-256, and a memory-mapped Arrow copy per host.

The Parquet files are the truth; they lie in a folder or in an S3-compatible bucket. The copies under
`<root>/cache/candles` are derived and may be deleted at any time. Nothing here knows which series a segment belongs to:
that is the database's part.
"""

from marketdata.arrays import UNKNOWN_COUNT, CandleArrays, FundingArrays
from marketdata.store.cached_files import CachedFiles
from marketdata.store.candle_store import CandleSource, CandleStore
from marketdata.store.errors import (
    SegmentDamaged,
    SegmentMismatch,
    SegmentMissing,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnreachable,
)
from marketdata.store.files import SegmentFiles, StoredFile
from marketdata.store.host_cache import HostCache
from marketdata.store.local_files import LocalFiles
from marketdata.store.segment_ref import SegmentRef

__all__ = [
    "UNKNOWN_COUNT",
    "CachedFiles",
    "CandleArrays",
    "CandleSource",
    "CandleStore",
    "FundingArrays",
    "HostCache",
    "LocalFiles",
    "SegmentDamaged",
    "SegmentFiles",
    "SegmentMismatch",
    "SegmentMissing",
    "SegmentRef",
    "StoreError",
    "StoreFull",
    "StoreRefused",
    "StoreUnreachable",
    "StoredFile",
]
