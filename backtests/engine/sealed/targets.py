"""targets() in a sealed run: asked again at every bar, over the bars that have come; its value there is kept."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.engine.errors import StrategyRunError
from backtests.engine.indicators import FloatArray
from backtests.engine.portfolio.follower import Follower, TargetPlan
from backtests.engine.sealed.account import SealedAccount
from backtests.engine.sealed.bars import Prefix, StepBars
from backtests.engine.sealed.lines import Call, Lines, check_whole
from backtests.engine.strategy import Candles, Strategy, make_plan
from backtests.engine.strategy.candles import Draw, _key_of
from backtests.engine.strategy.history import time_index

_TERMS = ("size_kind", "leverage", "stop_loss_ratio", "take_profit_ratio", "band")


class Shelf:
    """What lasts from bar to bar while the candles are made anew: prefixes, and indicators that go on."""

    def __init__(self, account: SealedAccount, steps: list[StepBars]) -> None:
        request = account.request
        self.account, self.steps = account, steps
        self.prefixes = [Prefix(bars, account.n_bars, request.timeframe_ms, request.from_ms) for bars in steps]
        self._lines: dict[Any, tuple[Lines, list[FloatArray]] | None] = {}

    def extend(
        self, i_symbol: int, fn: Callable[..., Any], columns: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[tuple[str, FloatArray]] | None:
        """The lines of a listed function up to the bar that came last; None for any other."""
        if (call_key := _key_of(fn, columns, kwargs)) is None:
            return None
        key = (i_symbol, call_key)
        if key not in self._lines:
            lines = Lines(Call(fn, columns, kwargs, self.prefixes[i_symbol], self.account.n_bars))
            arrays = [np.full(self.account.n_bars, np.nan) for _ in lines.names]
            self._lines[key] = (lines, arrays) if lines.is_stepped else None
            for array, values in zip(arrays, lines.first_values, strict=False):
                array[: len(values)] = values
        found = self._lines[key]
        if found is None:
            return None
        lines, arrays = found
        for array, value in zip(arrays, lines.extend(), strict=True):
            array[self.steps[i_symbol].n - 1] = value
        length = self.prefixes[i_symbol].length
        return [(name, array[:length]) for name, array in zip(lines.names, arrays, strict=True)]


class RevealedCandles(Candles):
    """The candles that have come; behind them lies a made-up market (sealed.bars.Prefix)."""

    def __init__(self, shelf: Shelf, i_symbol: int = 0, draw: Draw | None = None) -> None:
        prefix, shape = shelf.prefixes[i_symbol], shelf.account.table.shape
        self._shelf, self._i_symbol, self._prefix, self._draw = shelf, i_symbol, prefix, draw
        self._kept, self._n_kept_bytes, self._series = {}, 0, {}
        self.symbol = shelf.account.request.symbols[i_symbol]
        self.first_bar = shape.first_bar
        self._fresh: NDArray[np.bool_] | None = None
        if shape.has_holes[i_symbol]:
            self._fresh = np.ones(prefix.length, np.bool_)
            n = prefix.bars.n
            self._fresh[:n] = shelf.account.table.fresh[i_symbol][:n]
        self.time_ms = prefix.array("time_ms")
        self.open, self.high, self.low = (prefix.array(name) for name in ("open", "high", "low"))
        self.close, self.volume = prefix.array("close"), prefix.array("volume")

    def __getitem__(self, name: str) -> Any:
        if name not in ("open", "high", "low", "close", "volume", "time_ms"):
            return super().__getitem__(name)  # which says what there is
        return self._prefix.series(name)

    @property
    def _index(self) -> Any:
        return self._prefix.index

    def of(self, symbol: str) -> Candles:
        if symbol not in self._shelf.account.request.symbols:
            names = ", ".join(self._shelf.account.request.symbols)
            raise KeyError(f"{symbol!r} is not in this run; its symbols are: {names}.")
        i_symbol = self._shelf.account.request.symbols.index(symbol)
        return RevealedCandles(self._shelf, i_symbol, self._draw)

    def _compute(self, fn: Any, columns: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, FloatArray]]:
        is_plain = self._fresh is None and self._draw is None and all(isinstance(column, str) for column in columns)
        lines = self._shelf.extend(self._i_symbol, fn, columns, kwargs) if is_plain else None
        if lines is not None:
            return lines
        with np.errstate(all="ignore"):  # as in lines.py
            return super()._compute(fn, columns, kwargs)


class RevealedFollower(Follower):
    """Looks at the value of the bar that came last, whether it has changed or not."""

    def play(self, i_bar: int) -> int:
        plan = self._plan
        plan.changes[0], plan.changed[0] = i_bar, plan.values[i_bar]
        self._row["i_change"] = 0
        return super().play(i_bar)


class TargetTeller:
    """Keeps the plan whose values come one by one."""

    def __init__(
        self,
        account: SealedAccount,
        strategy: Strategy,
        steps: list[StepBars],
        draw: Draw,
        max_orders: int | None,
    ) -> None:
        self._account, self._strategy, self._draw, self._max_orders = account, strategy, draw, max_orders
        self._shelf = Shelf(account, steps)
        self._line = int(getattr(getattr(strategy.targets, "__code__", None), "co_firstlineno", 0))
        self._values = np.full(account.n_bars, np.nan)
        self.plan: TargetPlan | None = None

    def tell(self, i_bar: int) -> None:
        """Ask for the targets, and keep the last one that is meant. Raises StrategyRunError."""
        said = self._ask(RevealedCandles(self._shelf))
        if self.plan is None:
            terms = {name: getattr(said, name) for name in _TERMS}
            self.plan = TargetPlan(
                self._values, np.array([i_bar]), np.full(1, np.nan), **terms, max_orders=self._max_orders
            )
        self._check_terms(said)
        self._values[i_bar] = said.values[i_bar]

    def follow(self) -> RevealedFollower:
        """After the first `tell`."""
        assert self.plan is not None
        return RevealedFollower(self._account.simulation, self.plan)

    def finish(self) -> None:
        """Once more over all that has come: for the chart, and to see whether hindsight changes anything."""
        account, n = self._account, self._shelf.steps[0].n
        said = self._ask(RevealedCandles(self._shelf, draw=self._draw_whole))
        times = account.open_ms[:n]
        check_whole("targets", self._values[:n], said.values[:n], times, account.first_bar, self._line)

    def _ask(self, candles: RevealedCandles) -> TargetPlan:
        return make_plan(self._strategy.targets(candles), candles, line=self._line)

    def _check_terms(self, said: TargetPlan) -> None:
        assert self.plan is not None
        for name in _TERMS:
            first, now = getattr(self.plan, name), getattr(said, name)
            if first != now and not (first != first and now != now):
                i_bar = self._shelf.steps[0].n - 1
                time = time_index(self._account.open_ms[i_bar : i_bar + 1])[0]
                raise StrategyRunError(
                    f"targets gave {name} {first} at first, and {now} at the bar of {time:%Y-%m-%d %H:%M}: "
                    "what goes with the values is the same for the whole run.",
                    line=self._line,
                )

    def _draw_whole(self, name: str, pane: str, values: FloatArray) -> None:
        """One value for each bar of the run, also where it ended before its last."""
        whole, n = np.full(self._account.n_bars, np.nan), self._shelf.steps[0].n
        whole[:n] = values[:n]
        self._draw(name, pane, whole)
