"""Rows of a series as a file of their own."""

import datetime as dt
import io
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from marketdata.arrays import TimedRows
from marketdata.choosing import find_refs
from marketdata.home import candle_store
from marketdata.models import Series, SeriesKind
from marketdata.store import StoreError

MAX_ROWS = 600_000  # a year of minutes
FORMATS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


class DownloadRefused(Exception):
    """One sentence."""


@dataclass(frozen=True, slots=True)
class RowFile:
    name: str
    content_type: str
    data: bytes


def write_rows(series: Series, first: str, end: str, file_format: str) -> RowFile:
    """The rows from `first` to before `end` (days or ISO times, UTC). Raises DownloadRefused."""
    if file_format not in FORMATS:
        raise DownloadRefused(f"The format is one of {', '.join(FORMATS)}.")
    from_ms, to_ms = _read_time(first), _read_time(end)
    if from_ms >= to_ms:
        raise DownloadRefused("The end of the span must come after its start.")
    refs = find_refs(series, from_ms, to_ms)
    # Two of the files may stick out of the span; a month more is no harm.
    if sum(ref.n_rows for ref in refs[1:-1]) > MAX_ROWS:
        raise DownloadRefused(f"That is more than {MAX_ROWS:,} rows. Choose a shorter span.")
    store = candle_store()
    try:
        rows: TimedRows = (
            store.read_funding(refs, from_ms, to_ms)
            if series.kind == SeriesKind.FUNDING
            else store.read_candles(refs, from_ms, to_ms)
        )
    except StoreError as error:
        raise DownloadRefused(f"The rows cannot be read: {error}") from error
    if not len(rows):
        raise DownloadRefused("No row is held of that span.")
    table = pa.table({name: pa.array(column) for name, column in rows.columns().items()})
    sink = io.BytesIO()
    if file_format == "csv":
        pa_csv.write_csv(table, sink)
    else:
        pq.write_table(table, sink, compression="zstd")
    what = series.timeframe or "funding"
    kind = "-mark" if series.kind == SeriesKind.MARK else ""
    name = f"{series.instrument.symbol}{kind}-{what}-{_day(from_ms)}-to-{_day(to_ms)}.{file_format}"
    return RowFile(name, FORMATS[file_format], sink.getvalue())


def _read_time(text: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise DownloadRefused(f"{text[:40]!r} is no day. Write 2025-01-31.") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)


def _day(time_ms: int) -> str:
    return dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC).strftime("%Y%m%d")
