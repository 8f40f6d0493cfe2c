"""Where a run stands, and the bar it stands on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Cursor:
    """The step whose close it is. One object per run, shared by everything that reveals data bar by bar."""

    __slots__ = ("i_bar",)

    def __init__(self, i_bar: int = 0) -> None:
        self.i_bar = i_bar


class BarView:
    """One symbol's bar under the cursor. The same object at every bar; its fields are plain floats, read lazily.

    Where the symbol has no bar at this step, prices are its last close (NaN before its first bar), volume is 0 and
    `is_fresh` is False.
    """

    __slots__ = ("_close", "_cursor", "_fresh", "_high", "_low", "_open", "_time_ms", "_volume", "symbol")

    def __init__(
        self,
        symbol: str,
        cursor: Cursor,
        open_ms: NDArray[np.int64],
        columns: dict[str, NDArray[np.float64]],
        fresh: NDArray[np.bool_] | None,
    ) -> None:
        self.symbol = symbol
        self._cursor = cursor
        # A memoryview hands out Python floats, in a third of the time of a numpy scalar, and copies nothing.
        self._time_ms = memoryview(open_ms)
        self._open = memoryview(columns["open"])
        self._high = memoryview(columns["high"])
        self._low = memoryview(columns["low"])
        self._close = memoryview(columns["close"])
        self._volume = memoryview(columns["volume"])
        self._fresh = None if fresh is None else memoryview(fresh)

    @property
    def time_ms(self) -> int:
        return self._time_ms[self._cursor.i_bar]

    @property
    def open(self) -> float:
        return self._open[self._cursor.i_bar]

    @property
    def high(self) -> float:
        return self._high[self._cursor.i_bar]

    @property
    def low(self) -> float:
        return self._low[self._cursor.i_bar]

    @property
    def close(self) -> float:
        return self._close[self._cursor.i_bar]

    @property
    def volume(self) -> float:
        return self._volume[self._cursor.i_bar]

    @property
    def is_fresh(self) -> bool:
        return True if self._fresh is None else bool(self._fresh[self._cursor.i_bar])

    def __getitem__(self, name: str) -> Any:
        if name not in ("open", "high", "low", "close", "volume", "time_ms", "is_fresh"):
            raise KeyError(f"A bar has no {name!r}; it has open, high, low, close, volume, time_ms.")
        return getattr(self, name)
