"""Segments that lie elsewhere, with what was read of them kept on this host."""

from collections.abc import Iterator
from pathlib import Path

from marketdata.store.files import SegmentFiles, StoredFile, has_right_bytes
from marketdata.store.host_cache import HostCache


class CachedFiles:
    """Reads through a host's cache. What is kept is checked at every reading; writes go to the origin first."""

    def __init__(self, origin: SegmentFiles, cache: HostCache) -> None:
        self.origin = origin
        self.cache = cache

    def put(self, name: str, data: bytes) -> None:
        self.origin.put(name, data)
        self._keep(name, data)

    def get(self, name: str, *, is_fresh: bool = False) -> bytes:
        if not is_fresh and (kept := self._read_kept(name)) is not None:
            return kept
        data = self.origin.get(name, is_fresh=is_fresh)
        if has_right_bytes(name, data):
            self._keep(name, data)
        return data

    def n_bytes(self, name: str) -> int:
        return self.origin.n_bytes(name)

    def list_files(self) -> Iterator[StoredFile]:
        return self.origin.list_files()

    def delete(self, name: str) -> None:
        self.origin.delete(name)
        self.cache.drop(self._path_of(name))

    def delete_leftovers(self, older_than_s: float, *, is_dry: bool = False) -> list[str]:
        return self.origin.delete_leftovers(older_than_s, is_dry=is_dry)

    def _path_of(self, name: str) -> Path:
        return self.cache.path_of(name, "parquet")

    def _read_kept(self, name: str) -> bytes | None:
        path = self._path_of(name)
        try:
            data = path.read_bytes()
        except OSError:  # not kept, or evicted just now
            return None
        if not has_right_bytes(name, data):
            self.cache.drop(path)
            return None
        self.cache.touch(path)
        return data

    def _keep(self, name: str, data: bytes) -> None:
        self.cache.write(self._path_of(name), lambda path: path.write_bytes(data))
