"""The memory-mapped Arrow copy of a segment: what reads are fast from.

A copy carries a checksum of its own columns, checked when a process opens it for the first time: the Parquet file is
checked by its name, and its copy must not be trusted more.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from marketdata.store.host_cache import HostCache

_CHECKSUM, _NAME = b"crc32", b"segment"
_MAX_REMEMBERED = 100_000


class CopyDamaged(Exception):
    """A copy that must not be used."""


class ArrowCopies:
    """Copies in a host's cache."""

    def __init__(self, cache: HostCache) -> None:
        self.cache = cache
        self._checked: set[tuple[int, ...]] = set()

    def path_of(self, name: str) -> Path:
        return self.cache.path_of(name, "arrow")

    def open(self, name: str) -> pa.Table | None:
        """The mapped copy; None where there is none, or none that may be used."""
        path = self.path_of(name)
        try:
            facts = path.stat()
            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_file(source).read_all()
            self._check(name, table, (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns))
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException, CopyDamaged):
            self.cache.drop(path)
            return None
        self.cache.touch(path)
        return table

    def keep(self, name: str, table: pa.Table) -> None:
        """Write a copy for the next reader, if the disk lets us."""
        marked = table.replace_schema_metadata({_CHECKSUM: _checksum(table), _NAME: name.encode()})

        def write(path: Path) -> None:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, marked.schema) as writer:
                writer.write_table(marked)

        self.cache.write(self.path_of(name), write)

    def _check(self, name: str, table: pa.Table, identity: tuple[int, ...]) -> None:
        """Raises CopyDamaged. The sum takes a millisecond a month of minutes, so it is not made at every reading."""
        marks = table.schema.metadata or {}
        if marks.get(_NAME) != name.encode():
            raise CopyDamaged
        if identity in self._checked:
            return
        if marks.get(_CHECKSUM) != _checksum(table):
            raise CopyDamaged
        if len(self._checked) >= _MAX_REMEMBERED:
            self._checked.clear()
        self._checked.add(identity)


def to_numpy(column: "pa.ChunkedArray[Any]") -> NDArray[Any]:
    """An int64 or float64 column without nulls, without a copy where it is one piece, as in every segment."""
    if column.num_chunks != 1 or column.null_count:
        return column.to_numpy()
    # Not chunk.to_numpy: that loads pandas, a quarter of a second in a fresh process.
    chunk: Any = column.chunk(0)
    dtype = np.int64 if chunk.type == pa.int64() else np.float64
    return np.frombuffer(chunk.buffers()[1], dtype, len(chunk), chunk.offset * 8)


def _checksum(table: pa.Table) -> bytes:
    value = 0
    for column in table.columns:
        value = zlib.crc32(np.ascontiguousarray(to_numpy(column)), value)
    return str(value).encode()
