"""What the store asks of the place where the bytes of segments lie."""

from typing import Protocol


class SegmentFiles(Protocol):
    """Where the bytes of segments lie."""

    def put(self, name: str, data: bytes) -> None: ...

    def get(self, name: str) -> bytes:
        """Raises SegmentMissing."""

    def n_bytes(self, name: str) -> int: ...
