"""Rows into segments and back. Nothing here knows where the bytes lie."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from marketdata.arrays import WHOLE_COLUMNS, CandleArrays, FundingArrays, TimedRows
from marketdata.store.arrow_copies import ArrowCopies, to_numpy
from marketdata.store.errors import SegmentDamaged, SegmentMismatch, StoreError
from marketdata.store.files import SegmentFiles, has_right_bytes
from marketdata.store.host_cache import HostCache
from marketdata.store.local_files import LocalFiles
from marketdata.store.segment_ref import SegmentRef

_BEGIN_MS, _END_MS = -(2**62), 2**62

type _Piece = tuple[SegmentRef, slice]


class CandleSource(Protocol):
    """What a run's feed is read from: a CandleStore, or anything that answers as it does. Raises StoreError."""

    def read_columns(
        self, names: Sequence[str], refs: Sequence[SegmentRef], from_ms: int, to_ms: int
    ) -> dict[str, NDArray[Any]]:
        """Columns of the candles that open in [from_ms, to_ms), in time order."""

    def read_funding(self, refs: Sequence[SegmentRef], from_ms: int, to_ms: int) -> FundingArrays:
        """The funding events stamped in [from_ms, to_ms), in time order."""


class CandleStore:
    """Writes and reads candle files. `root` is the folder of everything mutable (HINDSIGHT_HOME).

    Every method raises StoreError; nothing is read that is not what was published.
    """

    def __init__(self, root: Path, files: SegmentFiles | None = None, cache: HostCache | None = None) -> None:
        self.files: SegmentFiles = files or LocalFiles(root / "candles")
        self.cache = cache or HostCache(root / "cache" / "candles")
        self.copies = ArrowCopies(self.cache)

    def publish(self, rows: TimedRows) -> SegmentRef:
        """Store rows (at least one, in time order) under the hash of their file. The same rows twice are one file."""
        stamps = rows.stamps
        if not len(rows) or not bool(np.all(np.diff(stamps) > 0)):
            raise StoreError("A segment needs rows, each later than the one before.")
        sink = pa.BufferOutputStream()
        table = pa.table({name: pa.array(column) for name, column in rows.columns().items()})
        pq.write_table(table, sink, compression="zstd", use_dictionary=False)
        data = sink.getvalue().to_pybytes()
        ref = SegmentRef(hashlib.sha256(data).hexdigest(), len(rows), int(stamps[0]), int(stamps[-1]))
        self.files.put(ref.sha256, data)
        return ref

    def read_candles(self, refs: Sequence[SegmentRef], from_ms: int = _BEGIN_MS, to_ms: int = _END_MS) -> CandleArrays:
        """The rows that open in [from_ms, to_ms) as read-only arrays; one segment is mapped, several are joined.

        Raises SegmentMissing or SegmentDamaged.
        """
        return CandleArrays.from_columns(self._read(CandleArrays.names(), refs, from_ms, to_ms))

    def read_funding(self, refs: Sequence[SegmentRef], from_ms: int = _BEGIN_MS, to_ms: int = _END_MS) -> FundingArrays:
        return FundingArrays.from_columns(self._read(FundingArrays.names(), refs, from_ms, to_ms))

    def read_columns(
        self, names: Sequence[str], refs: Sequence[SegmentRef], from_ms: int = _BEGIN_MS, to_ms: int = _END_MS
    ) -> dict[str, NDArray[Any]]:
        """Some columns of candles, open_ms first: what counting rows and gaps needs of a long span."""
        return self._read(names, refs, from_ms, to_ms)

    def n_bytes(self, ref: SegmentRef) -> int:
        return self.files.n_bytes(ref.sha256)

    def verify(self, ref: SegmentRef) -> None:
        """Read the file again where it lies; compare its hash, its count of rows, its first and last time, their order.

        Raises SegmentMissing, SegmentDamaged or SegmentMismatch.
        """
        stamps = to_numpy(self._parse(ref, self.files.get(ref.sha256, is_fresh=True)).column(0))
        if not bool(np.all(np.diff(stamps) > 0)):
            raise SegmentMismatch(f"The rows of the candle file {ref.sha256[:12]} are not in time order.")

    def _read(
        self, names: Sequence[str], refs: Sequence[SegmentRef], from_ms: int, to_ms: int
    ) -> dict[str, NDArray[Any]]:
        """Columns by name, the first of them the time."""
        pieces = [
            (ref, self._find_rows(ref, names[0], from_ms, to_ms))
            for ref in refs
            if ref.last_ms >= from_ms and ref.first_ms < to_ms
        ]
        columns = self._view(names, pieces[0]) if len(pieces) == 1 else self._join(names, pieces)
        for column in columns.values():
            column.flags.writeable = False
        return columns

    def _find_rows(self, ref: SegmentRef, time: str, from_ms: int, to_ms: int) -> slice:
        if ref.first_ms >= from_ms and ref.last_ms < to_ms:
            return slice(0, ref.n_rows)
        first, end = np.searchsorted(to_numpy(self._open(ref).column(time)), [from_ms, to_ms])
        return slice(int(first), int(end))

    def _view(self, names: Sequence[str], piece: _Piece) -> dict[str, NDArray[Any]]:
        table = self._open(piece[0])
        return {name: to_numpy(table.column(name))[piece[1]] for name in names}

    def _join(self, names: Sequence[str], pieces: Sequence[_Piece]) -> dict[str, NDArray[Any]]:
        """Copied piece by piece, so that no more than one is mapped beside the arrays: mapped pages count as memory."""
        n_rows = sum(rows.stop - rows.start for _, rows in pieces)
        # One block, not a column each: the system gives it in huge pages, a tenth of the page faults.
        block = np.empty((len(names), n_rows), np.int64)
        joined: dict[str, NDArray[Any]] = {
            name: row if name in WHOLE_COLUMNS else row.view(np.float64) for name, row in zip(names, block, strict=True)
        }
        start = 0
        for piece in pieces:
            end = start + piece[1].stop - piece[1].start
            for name, column in self._view(names, piece).items():
                joined[name][start:end] = column
            start = end
        return joined

    def _open(self, ref: SegmentRef) -> pa.Table:
        """The Arrow copy of a segment, derived (and the Parquet file checked) where it is not at hand."""
        table = self.copies.open(ref.sha256)
        if table is None:
            table = self._parse(ref, self.files.get(ref.sha256))
            self.copies.keep(ref.sha256, table)
            table = self.copies.open(ref.sha256) or table  # a full disk keeps no copy: then from memory
        _check_facts(ref, table)
        return table

    @staticmethod
    def _parse(ref: SegmentRef, data: bytes) -> pa.Table:
        if not has_right_bytes(ref.sha256, data):
            raise SegmentDamaged(f"The candle file {ref.sha256[:12]} is damaged: its bytes do not match its name.")
        try:
            # Not pq.read_table: that loads pyarrow's datasets first, half a second in a fresh process.
            table = pq.ParquetFile(pa.BufferReader(data)).read().combine_chunks()
        except (pa.ArrowException, OSError) as error:
            raise SegmentDamaged(f"The candle file {ref.sha256[:12]} is no Parquet file.") from error
        _check_facts(ref, table)
        return table


def _check_facts(ref: SegmentRef, table: pa.Table) -> None:
    """The rows are those that `ref` speaks of. Raises SegmentMismatch."""
    name = ref.sha256[:12]
    if table.num_rows != ref.n_rows:
        raise SegmentMismatch(f"The candle file {name} holds {table.num_rows} rows, not {ref.n_rows}.")
    stamps = to_numpy(table.column(0))
    if (int(stamps[0]), int(stamps[-1])) != (ref.first_ms, ref.last_ms):
        raise SegmentMismatch(f"The candle file {name} does not begin and end when it should.")
