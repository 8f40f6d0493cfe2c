"""The session of a sealed run: it answers the strategy out of the bars that have come."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.engine.cursor import BarView
from backtests.engine.indicators import Indicator, Indicators, guess_pane
from backtests.engine.portfolio import Account
from backtests.engine.portfolio.follower import TargetPlan
from backtests.engine.request import timeframe_to_ms
from backtests.engine.sealed.account import SealedAccount
from backtests.engine.sealed.bars import OwnBars, Prefix, StepBars
from backtests.engine.sealed.history import RevealedBars, RevealedLargerBars
from backtests.engine.sealed.lines import Call, Lines, SealedIndicator, check_whole
from backtests.engine.sealed.targets import TargetTeller
from backtests.engine.strategy import Session, Strategy, has_targets
from backtests.engine.strategy.bar import COLUMNS
from backtests.engine.strategy.history import FIRST_OPEN_MS
from backtests.engine.strategy.source import FILENAME


class SealedSession(Session):
    """The same to a strategy."""

    account: SealedAccount

    # What the loop calls.
    def bind(self, account: Account, reporter: object = None) -> BarView:
        assert isinstance(account, SealedAccount)
        self._made: list[tuple[Lines, list[SealedIndicator], dict[str, Any]]] = []
        self._steps = [StepBars(account.table, i) for i in range(len(account.request.symbols))]
        self._owns = [
            OwnBars(account.table, i) if has_holes else self._steps[i]
            for i, has_holes in enumerate(account.table.shape.has_holes)
        ]
        self._prefixes: dict[int, Prefix] = {}
        self._periods: dict[str, tuple[int, int]] = {}
        self.targets: TargetTeller | None = None
        self._show_bars(account.first_bar - 1)
        bar = super().bind(account, reporter)
        self.can_trade = self.targets is None
        return bar

    def plan_anew(self, strategy: Strategy) -> TargetPlan | None:
        self.strategy = strategy
        strategy._session = self
        strategy.initialize()
        if not has_targets(type(strategy)) and "targets" not in vars(strategy):
            return None
        self.targets = TargetTeller(self.account, strategy, self._steps, self._draw_if_drawing, self.max_orders)
        return None  # it is asked when there is a bar to ask about

    def reveal(self, i_bar: int) -> None:
        """The bar is in the table: whatever is known of it becomes known."""
        self._show_bars(i_bar)
        for lines, indicators, _ in self._made:
            for indicator, value in zip(indicators, lines.extend(), strict=True):
                indicator.write(i_bar, value)
        if self.targets is not None:
            self.targets.tell(i_bar)

    def on_finish(self) -> None:
        """Draws, and looks whether hindsight changes anything. Raises LookAheadError."""
        strategy = self.strategy
        super().on_finish()
        strategy._session = self  # targets and indicator functions may ask where they are
        try:
            for made in self._made:
                self._finish_call(*made)
            if self.targets is not None:
                self.targets.finish()
        finally:
            vars(strategy).pop("_session", None)
            self.targets, self._made = None, []

    def _show_bars(self, i_bar: int) -> None:
        for bars in {id(bars): bars for bars in (*self._steps, *self._owns)}.values():
            bars.reveal(i_bar)

    # What the strategy's methods ask.
    def find_history(self, symbol: str | None, timeframe: str | None) -> Any:
        account, request = self.account, self.account.request
        key = (self.find_symbol(symbol), None if timeframe == request.timeframe else timeframe)
        if key not in self._closed:
            bars = self._owns[key[0]]
            self._closed[key] = (
                RevealedBars(bars)
                if key[1] is None
                else RevealedLargerBars(bars, key[1], request.timeframe_ms, account.open_ms, account.cursor)
            )
        return self._closed[key]

    def make_indicator(
        self,
        fn: Callable[..., Any],
        columns: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        symbol: str | None,
        name: str | None,
        pane: str | None,
        is_drawn: bool,
    ) -> Indicator | Indicators:
        """One value at each bar. Made in the middle of a run, it has values from there on only."""
        i_symbol = self.find_symbol(symbol)
        self._check_columns(columns, i_symbol)
        prefix = self._prefix_of(i_symbol)
        lines = Lines(Call(fn, columns, kwargs, prefix, self.account.n_bars, _line_of_caller()))
        indicators = []
        for i, line_name in enumerate(lines.names):
            shown = line_name if name is None else name if len(lines.names) == 1 else f"{name} {line_name}"
            indicator = SealedIndicator(shown, self.account.n_bars, self.account.cursor)
            if lines.first_values:
                indicator.write_first(self._align_first(i_symbol, lines.first_values[i]))
            indicators.append(indicator)
        facts = {"i_symbol": i_symbol, "pane": pane, "stem": name or _name_of(fn), "is_drawn": is_drawn}
        self._made.append((lines, indicators, facts))
        return indicators[0] if len(indicators) == 1 else Indicators(indicators)

    def is_period_start(self, period: str) -> bool:
        """Whether this bar's period is another one than that of the bar before it."""
        i_bar, times = self.account.cursor.i_bar, self.account.open_ms
        length_ms, offset_ms = self._periods.get(period) or self._find_period(period)
        if i_bar <= 0:
            return i_bar == 0
        return bool((times[i_bar] - offset_ms) // length_ms != (times[i_bar - 1] - offset_ms) // length_ms)

    def _find_period(self, period: str) -> tuple[int, int]:
        self._periods[period] = timeframe_to_ms(period), FIRST_OPEN_MS.get(period, 0)
        return self._periods[period]

    def _check_columns(self, columns: tuple[Any, ...], i_symbol: int) -> None:
        for column in columns:
            if isinstance(column, str) and column not in (*COLUMNS, "time_ms"):
                known = ", ".join(COLUMNS)
                raise ValueError(
                    f"There is no column {column!r}; there are {known}. Give other texts by their keyword."
                )
            if isinstance(column, Indicator) and self.account.table.shape.has_holes[i_symbol]:
                raise ValueError("An indicator of an indicator needs a symbol that has a bar at every step of the run.")

    def _prefix_of(self, i_symbol: int) -> Prefix:
        if i_symbol not in self._prefixes:
            request = self.account.request
            self._prefixes[i_symbol] = Prefix(
                self._owns[i_symbol], self.account.n_bars, request.timeframe_ms, request.from_ms
            )
        return self._prefixes[i_symbol]

    def _align_first(self, i_symbol: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of the symbol's own warm-up bars, on the timeline."""
        steps, owns = self._steps[i_symbol], self._owns[i_symbol]
        if steps is owns or not len(values):
            return values
        at = np.searchsorted(owns.columns["time_ms"][: owns.n], steps.columns["time_ms"][: steps.n], side="right") - 1
        return np.where(at >= 0, values[at], np.nan)

    def _finish_call(self, lines: Lines, indicators: list[SealedIndicator], facts: dict[str, Any]) -> None:
        call, steps = lines.call, self._steps[facts["i_symbol"]]
        whole = call.compute()
        n = steps.n
        for indicator, (_, values) in zip(indicators, whole, strict=True):
            in_hindsight = self._align_first(facts["i_symbol"], values[: call.prefix.bars.n])
            shown, times = indicator._values[:n], self.account.open_ms[:n]
            check_whole(indicator.name, shown, in_hindsight, times, self.account.first_bar, call.line)
            if facts["is_drawn"]:
                low, high = steps.columns["low"][:n], steps.columns["high"][:n]
                pane = facts["pane"] or guess_pane(facts["stem"], shown, low, high)
                self._draw(indicator.name, pane, indicator._values[:-1])

    def _draw_if_drawing(self, name: str, pane: str, values: NDArray[np.float64]) -> None:
        if self._is_drawing:
            self._draw(name, pane, values)

    @property
    def _closed(self) -> dict[tuple[int, str | None], Any]:
        return self._histories


def _name_of(fn: Callable[..., Any]) -> str:
    return str(getattr(fn, "__name__", type(fn).__name__))


def _line_of_caller() -> int:
    """The line of the strategy's source that asked; 0 where none did."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != FILENAME:
        frame = frame.f_back
    return 0 if frame is None else frame.f_lineno
