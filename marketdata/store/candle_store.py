"""Rows into segments and back. Nothing here knows where the bytes lie."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from marketdata.arrays import WHOLE_COLUMNS, CandleArrays, FundingArrays, TimedRows
from marketdata.store.errors import SegmentDamaged, StoreError
from marketdata.store.files import SegmentFiles
from marketdata.store.local_files import LocalFiles
from marketdata.store.publishing import temporary_beside
from marketdata.store.segment_ref import SegmentRef

_BEGIN_MS, _END_MS = -(2**62), 2**62


class CandleSource(Protocol):
    """What a run's feed is read from: a CandleStore, or anything that answers as it does. Raises StoreError."""

    def read_columns(
        self, names: Sequence[str], refs: Sequence[SegmentRef], from_ms: int, to_ms: int
    ) -> dict[str, NDArray[Any]]:
        """Columns of the candles that open in [from_ms, to_ms), in time order."""

    def read_funding(self, refs: Sequence[SegmentRef], from_ms: int, to_ms: int) -> FundingArrays:
        """The funding events stamped in [from_ms, to_ms), in time order."""


class CandleStore:
    """Writes and reads candle files. `root` is the folder of everything mutable (HINDSIGHT_HOME)."""

    def __init__(self, root: Path, files: SegmentFiles | None = None) -> None:
        self.files: SegmentFiles = files or LocalFiles(root / "candles")
        self.cache_folder = root / "cache" / "candles"

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
        """Read the file again and compare hash and row count. Raises SegmentMissing or SegmentDamaged."""
        self._parse(ref, self.files.get(ref.sha256))

    def _read(
        self, names: Sequence[str], refs: Sequence[SegmentRef], from_ms: int, to_ms: int
    ) -> dict[str, NDArray[Any]]:
        """Columns by name, the first of them the time."""
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
        for ref in refs:
            if ref.last_ms < from_ms or ref.first_ms >= to_ms:
                continue
            table = self._map(ref)
            stamps = _to_numpy(table.column(names[0]))
            first, end = 0, len(stamps)
            if ref.first_ms < from_ms or ref.last_ms >= to_ms:
                first, end = np.searchsorted(stamps, [from_ms, to_ms])
            for name in names:
                parts[name].append(_to_numpy(table.column(name))[first:end])
        return {name: _join(columns, is_whole=name in WHOLE_COLUMNS) for name, columns in parts.items()}

    def _map(self, ref: SegmentRef) -> pa.Table:
        """The Arrow copy of a segment, derived (and the Parquet file checked) where it is not at hand."""
        path = self.cache_folder / ref.sha256[:2] / f"{ref.sha256}.arrow"
        try:
            table = _open_arrow(path)
            if table.num_rows == ref.n_rows:
                return table
        except (OSError, pa.ArrowException):
            pass  # not derived yet, or cut short by a crash: derive it
        table = self._parse(ref, self.files.get(ref.sha256))
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path) as temporary:
            with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
            os.replace(temporary, path)
        return _open_arrow(path)

    @staticmethod
    def _parse(ref: SegmentRef, data: bytes) -> pa.Table:
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise SegmentDamaged(f"The candle file {ref.sha256[:12]} is damaged: its bytes do not match its name.")
        table = pq.read_table(pa.BufferReader(data)).combine_chunks()
        if table.num_rows != ref.n_rows:
            raise SegmentDamaged(f"The candle file {ref.sha256[:12]} holds {table.num_rows} rows, not {ref.n_rows}.")
        return table


def _open_arrow(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _to_numpy(column: "pa.ChunkedArray[Any]") -> NDArray[Any]:
    if column.num_chunks == 1:
        return column.chunk(0).to_numpy(zero_copy_only=True)
    return column.to_numpy()


def _join(parts: list[NDArray[Any]], *, is_whole: bool) -> NDArray[Any]:
    if not parts:
        return np.empty(0, np.int64 if is_whole else np.float64)
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    joined.flags.writeable = False
    return joined
