"""Candle files: immutable Parquet segments named by their SHA-256, and a memory-mapped Arrow copy per host.

The Parquet files under `<root>/candles` are the truth. The copies under `<root>/cache/candles` are derived and may be
deleted at any time. Nothing here knows which series a segment belongs to: that is the database's part.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from marketdata.arrays import UNKNOWN_COUNT, WHOLE_COLUMNS, CandleArrays, FundingArrays, TimedRows

__all__ = [
    "UNKNOWN_COUNT",
    "CandleArrays",
    "CandleStore",
    "FundingArrays",
    "LocalFiles",
    "SegmentDamaged",
    "SegmentFiles",
    "SegmentMissing",
    "SegmentRef",
    "StoreError",
]

_BEGIN_MS, _END_MS = -(2**62), 2**62


class StoreError(Exception):
    """A segment cannot be read or written."""


class SegmentMissing(StoreError):
    """The file of a segment is not there."""


class SegmentDamaged(StoreError):
    """The bytes of a segment are not the ones it is named after."""


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """Points to one immutable segment; first and last are the open times of its outer rows."""

    sha256: str
    n_rows: int
    first_ms: int
    last_ms: int

    def to_json(self) -> dict[str, str | int]:
        return {"sha256": self.sha256, "n_rows": self.n_rows, "first_ms": self.first_ms, "last_ms": self.last_ms}

    @classmethod
    def from_json(cls, raw: dict[str, str | int]) -> Self:
        return cls(str(raw["sha256"]), int(raw["n_rows"]), int(raw["first_ms"]), int(raw["last_ms"]))


class SegmentFiles(Protocol):
    """Where the bytes of segments lie."""

    def put(self, name: str, data: bytes) -> None: ...

    def get(self, name: str) -> bytes:
        """Raises SegmentMissing."""

    def n_bytes(self, name: str) -> int: ...


class LocalFiles:
    """Segments in a folder of this machine, in 256 subfolders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.parquet"

    def put(self, name: str, data: bytes) -> None:
        """Publish whole or not at all; an equal file that already stands is left alone, a damaged one replaced."""
        path = self.path_of(name)
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == name:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_beside(path) as temporary:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _link(temporary, path)
        _sync_folder(path.parent)

    def get(self, name: str) -> bytes:
        try:
            return self.path_of(name).read_bytes()
        except FileNotFoundError:
            raise SegmentMissing(f"The candle file {name[:12]} is not in {self.folder}.") from None

    def n_bytes(self, name: str) -> int:
        return self.path_of(name).stat().st_size


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
        with _temporary_beside(path) as temporary:
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


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """A name in the same folder that is gone afterwards, whatever happens (a full disk above all)."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:  # another writer was first, or the old file is damaged: these bytes are right
        os.replace(temporary, path)
    except OSError:  # a file system without hard links
        os.replace(temporary, path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
