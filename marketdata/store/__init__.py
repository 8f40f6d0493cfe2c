"""Candle files: immutable Parquet segments named by their SHA-256, and a memory-mapped Arrow copy per host.

The Parquet files are the truth; they lie in a folder or in an S3-compatible bucket. The copies under
`<root>/cache/candles` are derived and may be deleted at any time. Nothing here knows which series a segment belongs to:
that is the database's part.
"""

from marketdata.arrays import UNKNOWN_COUNT, CandleArrays, FundingArrays
from marketdata.store.candle_store import CandleSource, CandleStore
from marketdata.store.errors import SegmentDamaged, SegmentMissing, StoreError
from marketdata.store.files import SegmentFiles
from marketdata.store.local_files import LocalFiles
from marketdata.store.segment_ref import SegmentRef

__all__ = [
    "UNKNOWN_COUNT",
    "CandleArrays",
    "CandleSource",
    "CandleStore",
    "FundingArrays",
    "LocalFiles",
    "SegmentDamaged",
    "SegmentFiles",
    "SegmentMissing",
    "SegmentRef",
    "StoreError",
]
