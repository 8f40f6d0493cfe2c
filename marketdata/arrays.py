"""Candles and funding events as columns of numbers, the form in which they travel from file to engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

type IntArray = NDArray[np.int64]
type FloatArray = NDArray[np.float64]

UNKNOWN_COUNT = -1
WHOLE_COLUMNS = frozenset({"open_ms", "time_ms", "n_trades"})  # int64; every other column is float64


class TimedRows:
    """Equally long columns, the first of them the time: candles or funding events."""

    __slots__ = ()

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(f.name for f in fields(cls))  # type: ignore[arg-type]

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> Self:
        return cls(**{name: columns[name] for name in cls.names()})

    def columns(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in self.names()}

    @property
    def stamps(self) -> IntArray:
        """The time column: int64 UTC ms."""
        return getattr(self, self.names()[0])  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return len(self.stamps)

    def take(self, rows: "slice | IntArray | NDArray[np.bool_]") -> Self:
        return self.from_columns({name: column[rows] for name, column in self.columns().items()})

    @classmethod
    def concatenate(cls, parts: "Sequence[Self]") -> Self:
        """All rows of `parts` in the order given; a single part is returned as it is, without a copy."""
        if len(parts) == 1:
            return parts[0]
        return cls.from_columns({name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.names()})

    @classmethod
    def empty(cls) -> Self:
        return cls.from_columns(
            {name: np.empty(0, np.int64 if name in WHOLE_COLUMNS else np.float64) for name in cls.names()}
        )

    def has_same_rows(self, other: Self) -> bool:
        return len(self) == len(other) and all(
            np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f")
            for mine, theirs in zip(self.columns().values(), other.columns().values(), strict=True)
        )


@dataclass(frozen=True, slots=True, eq=False)
class CandleArrays(TimedRows):
    """n candles in time order. n_trades is -1 and quote and taker volumes are NaN where the source does not say."""

    open_ms: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    quote_volume: FloatArray
    n_trades: IntArray
    taker_buy_volume: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class FundingArrays(TimedRows):
    """n funding events. Stamps as published (they jitter by some ms); mark_price is NaN where it is not given."""

    time_ms: IntArray
    rate: FloatArray
    interval_hours: FloatArray
    mark_price: FloatArray
