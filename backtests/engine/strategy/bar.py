"""The bar that a strategy sees."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtests.engine.cursor import BarView
from backtests.engine.portfolio import Account

COLUMNS = ("open", "high", "low", "close", "volume")


class Bar(BarView):
    """The bar under the cursor as a strategy sees it: before the first bar every field is NaN (time: 0)."""

    __slots__ = ("_columns", "_is_padded")

    def __init__(
        self, account: Account, i_symbol: int, columns: dict[str, NDArray[Any]], fresh: NDArray[np.bool_] | None
    ) -> None:
        self.symbol = account.request.symbols[i_symbol]
        self._cursor = account.cursor
        self._columns = columns
        # Without warm-up the cursor starts at -1, and must not read the last bar of the span there. In a sealed run
        # that bar is blank then, and a copy would stay so.
        self._is_padded = account.first_bar == 0 and not account.is_sealed
        self._fresh = None if fresh is None else memoryview(fresh if account.is_sealed else np.append(fresh, False))

    def __getattr__(self, name: str) -> Any:
        """A column when it is first read: a strategy reads one or two of them, and a year of minutes takes its time."""
        column = object.__getattribute__(self, "_columns").get(name[1:]) if name.startswith("_") else None
        if column is None:
            raise AttributeError(f"A bar has no {name!r}.", name=name, obj=self)
        if self._is_padded:
            column = np.append(column, column.dtype.type(0 if name == "_time_ms" else np.nan))
        view = memoryview(column)
        setattr(self, name, view)
        return view

    def to_series(self) -> pd.Series:
        """open, high, low, close, volume as a Series named by the bar's open time. Slow: not for every bar."""
        values = {name: getattr(self, name) for name in COLUMNS}
        return pd.Series(values, name=pd.Timestamp(self.time_ms, unit="ms", tz="UTC"), dtype="float64")

    def __repr__(self) -> str:
        time = pd.Timestamp(self.time_ms, unit="ms")
        prices = f"{self.open:g} {self.high:g} {self.low:g} {self.close:g}"
        return f"<{self.symbol} {time:%Y-%m-%d %H:%M} {prices} volume {self.volume:g}>"


class BarsBySymbol(Mapping[str, Bar]):
    """self.bars["ETHUSDT"]: the bar of each symbol of the run."""

    def __init__(self, bars: dict[str, Bar]) -> None:
        self._bars = bars

    def __getitem__(self, symbol: str) -> Bar:
        try:
            return self._bars[symbol]
        except KeyError:
            raise KeyError(f"{symbol!r} is not in this run; its symbols are: {', '.join(self._bars)}.") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._bars)

    def __len__(self) -> int:
        return len(self._bars)


def make_bar(account: Account, i_symbol: int) -> Bar:
    columns, fresh = account.bar_columns(i_symbol)
    return Bar(account, i_symbol, {**columns, "time_ms": account.open_ms}, fresh)
