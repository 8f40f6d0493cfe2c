"""The floor under every callback engine: a bare Python loop that fills one bar object and calls an empty method."""

from backtests.engine.request import Bars


class BareBar:
    __slots__ = ("close", "high", "low", "open", "time_ms", "volume")
    time_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class BareStrategy:
    def on_data(self, data: BareBar) -> None:
        pass


def call_empty(bars: Bars) -> None:
    """Fill one reused object from plain lists and call an empty method, for every bar."""
    bar, on_data = BareBar(), BareStrategy().on_data
    columns = (bars.open_ms, bars.open, bars.high, bars.low, bars.close, bars.volume)
    for values in zip(*(column.tolist() for column in columns), strict=True):
        bar.time_ms, bar.open, bar.high, bar.low, bar.close, bar.volume = values
        on_data(bar)
