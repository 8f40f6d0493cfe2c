"""How everything outside the store names a candle file."""

from dataclasses import dataclass
from typing import Self


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
