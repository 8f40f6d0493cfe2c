"""Where this site keeps its candles."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from marketdata.store import CachedFiles, CandleStore, HostCache, LocalFiles, SegmentFiles
from marketdata.store.s3_files import S3Files, S3Options


def candle_store() -> CandleStore:
    """The same one for the whole process, as long as the settings stay."""
    options = settings.CANDLE_S3
    return _open_store(Path(settings.HOME), S3Options(**options) if options else None, settings.CANDLE_CACHE_BYTES)


@lru_cache(maxsize=4)
def _open_store(home: Path, options: S3Options | None, cache_bytes: int) -> CandleStore:
    cache = HostCache(home / "cache" / "candles", cache_bytes)
    files: SegmentFiles = CachedFiles(S3Files(options), cache) if options else LocalFiles(home / "candles")
    return CandleStore(home, files, cache)
