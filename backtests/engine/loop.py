"""OPEN THIS FIRST: a run, bar by bar."""

from typing import Protocol

from backtests.engine.cursor import BarView
from backtests.engine.portfolio import Account, EventKind
from backtests.engine.request import Feed, RunRequest
from backtests.engine.result import EngineResult


class Reporter(Protocol):
    """Where a run tells how far it is."""

    def progress(self, i_bar: int, n_bars: int, equity: float) -> None:
        """Called several times a second at most, and once at the end; i_bar counts bars done within the span."""
        ...


class BoundStrategy(Protocol):
    """A strategy as the loop sees it: made by strategy.py around the user's object, or by hand in a test."""

    is_listening: bool  # whether any hook is overridden; read after bind

    def bind(self, account: Account, reporter: Reporter) -> BarView:
        """Called once before the first bar (the cursor stands on the bar before it): keep the account, run
        `initialize`, and return the bar view that `on_data` is to be called with."""
        ...

    def on_data(self, data: BarView) -> None:
        """Called at the close of each bar. Fetched once after bind, so it may be the user's own bound method."""
        ...

    def on_event(self, kind: EventKind, i_row: int) -> None:
        """One call per event of the bar, in order, before on_data; again after it for what it did itself."""
        ...

    def on_finish(self) -> None:
        """Called once after the last bar, or after ruin. Orders made here raise OrderError."""
        ...


def run(strategy: BoundStrategy, request: RunRequest, feed: Feed, reporter: Reporter | None = None) -> EngineResult:
    """Drive the strategy over the span and return what it did."""
    raise NotImplementedError
