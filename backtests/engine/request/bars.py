"""Bars and funding events as read-only arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backtests.engine.errors import DataError
from backtests.engine.request.instrument import Instrument

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """n bars in time order. open_ms: int64 UTC; prices and volume: float64; n_trades: int64, -1 where unknown."""

    open_ms: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    n_trades: IntArray | None = None

    def __post_init__(self) -> None:
        columns = (self.open, self.high, self.low, self.close, self.volume)
        if any(len(column) != len(self.open_ms) for column in columns):
            raise DataError("The columns of the bars differ in length.")
        if len(self.open_ms) > 1 and not bool(np.all(np.diff(self.open_ms) > 0)):
            i = int(np.argmax(np.diff(self.open_ms) <= 0)) + 1
            raise DataError(f"Bar {i} (open time {self.open_ms[i]}) does not come after the bar before it.")
        for name, column in zip(("open", "high", "low", "close", "volume"), columns, strict=True):
            if not bool(np.all(np.isfinite(column))):
                raise DataError(f"Bar {int(np.argmin(np.isfinite(column)))} has a {name} that is not a number.")
        if len(self) and not bool(np.all(self.low > 0)):
            raise DataError(f"Bar {int(np.argmin(self.low > 0))} has a price that is not above zero.")
        if len(self) and not bool(np.all(self.volume >= 0)):
            raise DataError(f"Bar {int(np.argmin(self.volume >= 0))} has a negative volume.")
        is_inside = (self.low <= np.minimum(self.open, self.close)) & (self.high >= np.maximum(self.open, self.close))
        if not bool(np.all(is_inside)):
            raise DataError(f"Bar {int(np.argmin(is_inside))} opens or closes outside its low and high.")

    def __len__(self) -> int:
        return len(self.open_ms)


@dataclass(frozen=True, slots=True, eq=False)
class FundingEvents:
    """Stamps (int64 UTC ms, rounded to the second), rates (ratio per interval), marks (NaN where not given)."""

    time_ms: IntArray
    rate: FloatArray
    mark_price: FloatArray

    def __post_init__(self) -> None:
        if not len(self.time_ms) == len(self.rate) == len(self.mark_price):
            raise DataError("The columns of the funding events differ in length.")
        if not bool(np.all(np.diff(self.time_ms) >= 0)):
            raise DataError(
                f"Funding event {int(np.argmax(np.diff(self.time_ms) < 0)) + 1} comes before its predecessor."
            )
        if not bool(np.all(np.isfinite(self.rate))):
            raise DataError(f"Funding event {int(np.argmin(np.isfinite(self.rate)))} has a rate that is not a number.")
        is_price = np.isnan(self.mark_price) | ((self.mark_price > 0) & np.isfinite(self.mark_price))
        if not bool(np.all(is_price)):
            raise DataError(f"Funding event {int(np.argmin(is_price))} has a mark price that is not above zero.")

    def __len__(self) -> int:
        return len(self.time_ms)

    @classmethod
    def none(cls) -> "FundingEvents":
        return cls(np.empty(0, np.int64), np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class SymbolFeed:
    """Everything the engine reads about one symbol. `bars` holds warm-up and span together."""

    instrument: Instrument
    bars: Bars
    mark_bars: Bars | None = None
    fine_bars: Bars | None = None
    funding: FundingEvents = field(default_factory=FundingEvents.none)


def merge_times(times: Sequence[IntArray]) -> IntArray:
    """The union of increasing times, increasing. np.unique hashes first: 0.8 s for the minutes of a year."""
    first = times[0]
    if all(other is first or np.array_equal(other, first) for other in times[1:]):
        return first
    merged = np.sort(np.concatenate(times), kind="stable")
    return merged[np.concatenate(([True], merged[1:] != merged[:-1]))] if len(merged) else merged


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """The symbols of one run, the primary first, as RunRequest.symbols names them."""

    symbols: tuple[SymbolFeed, ...]

    def __post_init__(self) -> None:
        if not self.symbols:
            raise DataError("A run needs at least one symbol.")
