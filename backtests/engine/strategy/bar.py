"""The bar that a strategy sees."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from backtests.engine.cursor import BarView
from backtests.engine.portfolio import Account

COLUMNS = ("open", "high", "low", "close", "volume")


class Bar(BarView):
    """The bar under the cursor as a strategy sees it: before the first bar every field is NaN (time: 0)."""

    __slots__ = ()

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
    """The symbol's bar. Its columns carry one NaN more: the cursor's -1 must not read the last bar of the span."""
    columns, fresh = account.bar_columns(i_symbol)
    return Bar(
        account.request.symbols[i_symbol],
        account.cursor,
        np.append(account.open_ms, 0),
        {name: np.append(columns[name], np.nan) for name in COLUMNS},
        None if fresh is None else np.append(fresh, False),
    )
