"""Segments in a folder of this machine."""

import hashlib
from pathlib import Path

from marketdata.store.errors import SegmentMissing
from marketdata.store.publishing import publish_bytes


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
        publish_bytes(path, data)

    def get(self, name: str) -> bytes:
        try:
            return self.path_of(name).read_bytes()
        except FileNotFoundError:
            raise SegmentMissing(f"The candle file {name[:12]} is not in {self.folder}.") from None

    def n_bytes(self, name: str) -> int:
        return self.path_of(name).stat().st_size
