"""What the store asks of the place where the bytes of segments lie."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A segment's file as a listing shows it; `written_s` is POSIX time by the clock of the place it lies in."""

    name: str
    n_bytes: int
    written_s: float


class SegmentFiles(Protocol):
    """Where the bytes of segments lie. A segment's name is the SHA-256 of its bytes. Every method raises StoreError."""

    def put(self, name: str, data: bytes) -> None:
        """Publish whole or not at all, lasting when it returns. A file that already stands is left alone if its bytes
        are right, and replaced if they are not."""

    def get(self, name: str, *, is_fresh: bool = False) -> bytes:
        """The bytes, which may be damaged: callers check them. `is_fresh` asks the place itself, past any cache.
        Raises SegmentMissing."""

    def n_bytes(self, name: str) -> int:
        """Raises SegmentMissing."""

    def list_files(self) -> Iterator[StoredFile]:
        """Every segment that lies there, in no order."""

    def delete(self, name: str) -> None:
        """A missing file is fine."""

    def delete_leftovers(self, older_than_s: float, *, is_dry: bool = False) -> list[str]:
        """Remove what writers that died left behind, if nobody has written to it for so long. Returns what it was."""


def has_right_bytes(name: str, data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == name


def is_segment_name(text: str) -> bool:
    return len(text) == 64 and not set(text) - set("0123456789abcdef")
