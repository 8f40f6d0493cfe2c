"""The parent's side of a sealed run: it lays out the market, and shows the child one bar of it at a time."""

from typing import Any

import numpy as np

from backtests.engine.frames import Table, TableShape, blank_table, lay_table
from backtests.engine.kernels.state import Market, Plane
from backtests.engine.portfolio.market import COLUMNS, bar_columns, build_market
from backtests.engine.request import Feed, RunRequest


class Dealer:
    """Copies bars from the true market into the table. The child's order is: warm-up at once, then bar by bar.

    Raises DataError and RequestError as the engine does.
    """

    def __init__(self, request: RunRequest, feed: Feed) -> None:
        market = build_market(request, feed)
        n_steps, n_fine = len(market.step_ms), len(market.fine_ms)
        own = [bar_columns(symbol.bars, market.step_ms) for symbol in feed.symbols]
        self.shape = TableShape(
            n_steps=n_steps,
            n_fine=n_fine,
            n_funding=len(market.funding),
            first_bar=int(np.searchsorted(market.step_ms, request.from_ms)),
            has_fine=request.intrabar_timeframe is not None,
            has_marks=market.mark is not market.last,
            has_holes=tuple(fresh is not None for _, fresh in own),
        )
        columns = market.last
        if self.shape.has_fine:
            columns = Plane(*(np.stack([held[name] for held, _ in own]) for name in COLUMNS))
        fresh = np.stack([np.ones(n_steps, np.bool_) if held is None else held for _, held in own])
        marks = market.mark.close[:, market.first_fine[1:] - 1] if self.shape.has_fine else market.mark.close
        self._true = Table(self.shape, market, columns, fresh, marks)
        self._funding_fine = market.funding["i_fine"]
        self._shown: Table
        self._pairs: list[tuple[memoryview, memoryview]] = []
        self.n_shown = 0

    @property
    def n_bars(self) -> int:
        return self.shape.n_steps

    @property
    def i_bar(self) -> int:
        """The bar that was shown last."""
        return self.n_shown - 1

    @property
    def is_over(self) -> bool:
        return self.n_shown == self.n_bars

    def open(self, memory: Any, offset: int = 0) -> None:
        """Lay the table out in this memory, blank but for the warm-up."""
        self._shown = lay_table(self.shape, memory, offset)
        blank_table(self._shown)
        self._copy(0, self.shape.first_bar)
        self.n_shown = self.shape.first_bar
        if not self.shape.has_fine:
            self._pairs = _pair_columns(self._shown, self._true)

    def show(self) -> None:
        """The next bar: every number that is known at its close."""
        i_bar = self.n_shown
        if not self._pairs:
            self._copy(i_bar, i_bar + 1)
        else:
            for shown, true in self._pairs:  # single numbers: a fifth of the time of arrays of one
                shown[i_bar] = true[i_bar]
            self._shown.market.first_fine[i_bar + 1] = i_bar + 1
            if len(self._funding_fine):
                self._show_funding(i_bar, i_bar + 1)
        self.n_shown = i_bar + 1

    def _copy(self, i_from: int, i_to: int) -> None:
        shown, true = self._shown, self._true
        first, last = int(true.market.first_fine[i_from]), int(true.market.first_fine[i_to])
        shown.market.step_ms[i_from:i_to] = true.market.step_ms[i_from:i_to]
        shown.market.first_fine[i_from + 1 : i_to + 1] = true.market.first_fine[i_from + 1 : i_to + 1]
        shown.market.fine_ms[first:last] = true.market.fine_ms[first:last]
        shown.fresh[:, i_from:i_to] = true.fresh[:, i_from:i_to]
        for ours, theirs in zip(_fine_columns(shown), _fine_columns(true), strict=True):
            ours[:, first:last] = theirs[:, first:last]
        if self.shape.has_fine:
            for ours, theirs in zip((*shown.columns, shown.marks), (*true.columns, true.marks), strict=True):
                ours[:, i_from:i_to] = theirs[:, i_from:i_to]
        self._show_funding(first, last)

    def _show_funding(self, first_fine: int, last_fine: int) -> None:
        """The stamps that are charged in these finest bars."""
        first, last = np.searchsorted(self._funding_fine, (first_fine, last_fine))
        self._shown.market.funding[first:last] = self._true.market.funding[first:last]


def _fine_columns(table: Table) -> tuple[Any, ...]:
    market: Market = table.market
    return (*market.last, *market.mark) if table.shape.has_marks else tuple(market.last)


def _pair_columns(shown: Table, true: Table) -> list[tuple[memoryview, memoryview]]:
    """(ours, theirs) of every column that has one number a step."""
    pairs = [(shown.market.step_ms, true.market.step_ms)]
    for ours, theirs in zip((*_fine_columns(shown), shown.fresh), (*_fine_columns(true), true.fresh), strict=True):
        pairs += zip(ours, theirs, strict=True)
    return [(memoryview(ours), memoryview(theirs)) for ours, theirs in pairs]
