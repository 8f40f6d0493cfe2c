"""Session: one strategy object in one run. Everything that its methods stand on, out of its own reach."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtests.engine.cursor import BarView
from backtests.engine.errors import OrderError, ResourceLimitError
from backtests.engine.frames import Reporter, SilentReporter
from backtests.engine.indicators import Indicator, Indicators, compute_lines, guess_pane
from backtests.engine.portfolio import Account, EventKind
from backtests.engine.portfolio.follower import TargetPlan
from backtests.engine.request import Bars
from backtests.engine.strategy.bar import COLUMNS, Bar, BarsBySymbol, make_bar
from backtests.engine.strategy.candles import Candles
from backtests.engine.strategy.happenings import ClosedTrade, Fill, FundingPayment
from backtests.engine.strategy.history import ClosedBars, floor_to_timeframe, larger_bars, own_bars, time_index
from backtests.engine.strategy.order import Order
from backtests.engine.strategy.position import OpenPortfolio, OpenPosition
from backtests.engine.strategy.strategy import Strategy
from backtests.engine.strategy.targets import make_plan

HOOKS = ("on_order", "on_fill", "on_trade_closed", "on_liquidation", "on_funding")
MAX_LINES_PER_BAR = 20
MAX_PLOTS = 20
MAX_DRAWN_INDICATORS = 24


class Session:
    """Drives a strategy for engine.loop.run, and answers what the strategy asks.

    Its account, bars and hooks are fetched once: a strategy that deletes or replaces its own attributes breaks
    nothing but itself.
    """

    def __init__(
        self,
        strategy: Strategy,
        reporter: Reporter | None = None,
        *,
        max_orders: int | None = None,
        is_drawing: bool = True,
    ) -> None:
        """is_drawing: False tells the reporter of no indicators, as in a sweep."""
        self.strategy = strategy
        self._is_drawing = is_drawing
        self.reporter: Reporter = reporter or SilentReporter()
        self.max_orders = max_orders
        # The user's own bound method, so that the loop calls it with nothing in between.
        self.on_data: Callable[[Any], None] = strategy.on_data
        self._hooks: dict[str, Callable[[Any], None]] = {
            name: getattr(strategy, name) for name in HOOKS if _is_overridden(strategy, name)
        }
        self.is_listening = bool(self._hooks)
        self.plan: TargetPlan | None = None
        self.can_trade = False
        self.account: Account
        self._histories: dict[tuple[int, str | None], ClosedBars] = {}
        self._inputs: dict[tuple[int, str], pd.Series] = {}
        self._indexes: dict[int, pd.DatetimeIndex] = {}
        self._period_starts: dict[str, memoryview] = {}
        self._plot_names: set[str] = set()
        self._candles: Candles | None = None
        self._n_drawn = 0
        self._line_bar = -2
        self._n_lines = 0

    # What the loop calls.
    def bind(self, account: Account, reporter: object = None) -> BarView:
        """Hand the strategy its run and let it initialize. Returns the bar that on_data is to be called with."""
        self.account = account
        symbols = account.request.symbols
        self.symbols = symbols
        self._i_of = {symbol: i for i, symbol in enumerate(symbols)}
        self.bars = BarsBySymbol({symbol: make_bar(account, i) for i, symbol in enumerate(symbols)})
        self.bar: Bar = self.bars[symbols[0]]
        self.positions = {symbol: OpenPosition(account, i, symbol) for i, symbol in enumerate(symbols)}
        self.portfolio = OpenPortfolio(account, self.positions)
        self.plan = self.plan_anew(self.strategy)
        self.can_trade = self.plan is None
        self.reporter.progress(0, account.n_bars - account.first_bar, account.margin_balance)
        return self.bar

    def plan_anew(self, strategy: Strategy) -> TargetPlan | None:
        """Let a strategy initialize, and ask its targets, if it has them. A sweep asks one after the other so."""
        self.strategy = strategy
        strategy._session = self
        strategy.initialize()
        if not _is_overridden(strategy, "targets"):
            return None
        if self._candles is None:
            account = self.account
            self._candles = Candles(
                account.feed, account.open_ms, account.first_bar, draw=self._draw if self._is_drawing else None
            )
        answer = strategy.targets(self._candles)
        line = getattr(getattr(strategy.targets, "__code__", None), "co_firstlineno", 0)
        return make_plan(answer, self._candles, max_orders=self.max_orders, line=line)

    def take_plan(self) -> TargetPlan:
        """The plan of a strategy with targets; from here on it is the caller's alone."""
        plan, self.plan = self.plan, None
        assert plan is not None
        return plan

    def on_event(self, kind: EventKind, i_row: int) -> None:
        account = self.account
        if kind == EventKind.ORDER:
            self._call("on_order", lambda: Order(self, i_row))
        elif kind == EventKind.FILL:
            self._call("on_fill", lambda: Fill(self, account.fills[i_row]))
        elif kind == EventKind.FUNDING:
            self._call("on_funding", lambda: FundingPayment(self, account.funding[i_row]))
        elif kind == EventKind.TRADE_CLOSED:
            self._call("on_trade_closed", lambda: ClosedTrade(self, account.trades[i_row]))
        else:
            self._call("on_liquidation", lambda: ClosedTrade(self, account.trades[i_row]))

    def on_finish(self) -> None:
        self.can_trade = False
        self.strategy.on_finish()
        # Session, strategy and candles hold each other: the 100 MB of a year should not wait for the garbage collector.
        vars(self.strategy).pop("_session", None)
        self._candles = None

    def _call(self, name: str, make: Callable[[], Any]) -> None:
        hook = self._hooks.get(name)
        if hook is not None:
            hook(make())

    # What the strategy's methods ask.
    def find_symbol(self, symbol: str | None) -> int:
        """Its index. Raises OrderError for a symbol that is not in the run."""
        if symbol is None:
            return 0
        try:
            return self._i_of[symbol]
        except (KeyError, TypeError):
            names = ", ".join(self.symbols)
            raise OrderError(f"{symbol!r} is not in this run; its symbols are: {names}.") from None

    def check_can_trade(self) -> Account:
        """The account, when orders are possible now. Raises OrderError or ResourceLimitError when not."""
        if not self.can_trade:
            raise OrderError("Orders are possible in on_data and in hooks, not in initialize or on_finish.")
        n_orders = self.account.n_commands
        if self.max_orders is not None and n_orders >= self.max_orders:
            message = f"A run may make at most {self.max_orders:,} orders; this is {n_orders + 1:,}."
            raise ResourceLimitError("max_orders", self.max_orders, n_orders + 1, message)
        return self.account

    def find_history(self, symbol: str | None, timeframe: str | None) -> ClosedBars:
        request = self.account.request
        key = (self.find_symbol(symbol), None if timeframe == request.timeframe else timeframe)
        found = self._histories.get(key)
        if found is None:
            bars = self._feed_bars(key[0])
            timeline, cursor = self.account.open_ms, self.account.cursor
            found = self._histories[key] = (
                own_bars(bars, timeline, cursor)
                if key[1] is None
                else larger_bars(bars, key[1], request.timeframe_ms, timeline, cursor)
            )
        return found

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
        """Compute over warm-up and span; one Indicator, or several where the function gives several lines."""
        i_symbol = self.find_symbol(symbol)
        bars = self._feed_bars(i_symbol)
        inputs = [self._find_input(i_symbol, column) for column in columns]
        lines = compute_lines(fn, inputs, kwargs, len(bars))
        made = []
        for line_name, values in lines:
            shown = line_name if name is None else name if len(lines) == 1 else f"{name} {line_name}"
            aligned = self._align(bars, values)
            made.append(Indicator(shown, aligned, self.account.cursor))
            if is_drawn:
                self._draw(shown, pane or guess_pane(_stem(fn, name), values, bars.low, bars.high), aligned)
        return made[0] if len(made) == 1 else Indicators(made)

    def _draw(self, name: str, pane: str, values: NDArray[np.float64]) -> None:
        if self._n_drawn < MAX_DRAWN_INDICATORS:
            self._n_drawn += 1
            self.reporter.indicator(name, pane, values)

    def is_period_start(self, period: str) -> bool:
        flags = self._period_starts.get(period)
        if flags is None:
            starts = floor_to_timeframe(self.account.open_ms, period)
            changes = np.append(starts[1:] != starts[:-1], False)  # the cursor's -1 is no bar
            is_start = np.append(True, changes) if len(starts) else np.zeros(1, np.bool_)
            flags = self._period_starts[period] = memoryview(is_start)
        return bool(flags[self.account.cursor.i_bar])

    def log(self, text: str, level: str) -> None:
        i_bar = self.account.cursor.i_bar
        if i_bar != self._line_bar:
            self._line_bar, self._n_lines = i_bar, 0
        self._n_lines += 1
        if self._n_lines <= MAX_LINES_PER_BAR:
            self.reporter.log(level, i_bar, text)
        elif self._n_lines == MAX_LINES_PER_BAR + 1:
            self.reporter.log(
                "warning", i_bar, f"More than {MAX_LINES_PER_BAR} lines at this bar; the rest is left out."
            )

    def plot(self, name: str, value: Any, pane: str | None) -> None:
        if name not in self._plot_names:
            if len(self._plot_names) >= MAX_PLOTS:
                raise ResourceLimitError(
                    "plots", MAX_PLOTS, MAX_PLOTS + 1, f"A run may draw at most {MAX_PLOTS} series."
                )
            self._plot_names.add(name)
        number = float(value)
        if not math.isnan(number):
            self.reporter.plot(name, pane or name, self.account.cursor.i_bar, number)

    def _feed_bars(self, i_symbol: int) -> Bars:
        return self.account.feed.symbols[i_symbol].bars

    def _find_input(self, i_symbol: int, column: Any) -> Any:
        """A column's name or an indicator becomes the whole column; anything else goes to the function as it is."""
        if isinstance(column, Indicator):
            return pd.Series(column._values[:-1], index=time_index(self.account.open_ms), name=column.name)
        if not isinstance(column, str):
            return column
        if column not in (*COLUMNS, "time_ms"):
            known = ", ".join(COLUMNS)
            raise ValueError(f"There is no column {column!r}; there are {known}. Give other texts by their keyword.")
        key = (i_symbol, column)
        if key not in self._inputs:
            bars = self._feed_bars(i_symbol)
            if i_symbol not in self._indexes:
                self._indexes[i_symbol] = time_index(bars.open_ms)
            values = bars.open_ms if column == "time_ms" else getattr(bars, column)
            self._inputs[key] = pd.Series(values, index=self._indexes[i_symbol], name=column)
        return self._inputs[key]

    def _align(self, bars: Bars, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """From the symbol's own bars to the run's timeline; between its bars the last value stands."""
        timeline = self.account.open_ms
        if len(bars) == len(timeline):
            return values
        at = np.searchsorted(bars.open_ms, timeline, side="right") - 1
        return np.where(at >= 0, values[at], np.nan)


def _is_overridden(strategy: Strategy, name: str) -> bool:
    return getattr(type(strategy), name, None) is not getattr(Strategy, name) or name in vars(strategy)


def _stem(fn: Callable[..., Any], name: str | None) -> str:
    return name or str(getattr(fn, "__name__", type(fn).__name__))
