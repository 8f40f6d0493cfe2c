"""Indicators of a sealed run: one value more at each bar, out of the bars that have come.

A function of the house's list goes on from where it stood (steppers.py), where that gives the function's own values to
the bit. Any other is called again over the prefix at every bar, and the last value is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from backtests.engine.cursor import Cursor
from backtests.engine.errors import LookAheadError, StrategyRunError
from backtests.engine.indicators import NOT_KEPT, FloatArray, Indicator, NoLinesError, compute_lines
from backtests.engine.sealed.bars import Prefix, go_on, length_for, walk
from backtests.engine.sealed.steppers import Stepper, find_steppers
from backtests.engine.strategy.bar import COLUMNS
from backtests.engine.strategy.history import time_index

TOLERANCE = 1e-9  # of a line's largest value: the last digits of a sum may depend on how many bars stand behind it
_N_WITHOUT = 7  # bars of a made-up indicator that have no value yet
MAX_LAG = 1_024  # bars that a stepper is watched for beside its function before it is trusted


class SealedIndicator(Indicator):
    """The same to a strategy; its values are written one by one."""

    __slots__ = ("_written",)

    def __init__(self, name: str, n_bars: int, cursor: Cursor) -> None:
        self.name = name
        self._written = np.full(n_bars + 1, np.nan)
        self._values = self._written.view()
        self._values.flags.writeable = False
        self._view = memoryview(self._values)
        self._cursor = cursor
        self._rises = self._falls = NOT_KEPT

    def write(self, i_bar: int, value: float) -> None:
        self._written[i_bar] = value

    def write_first(self, values: FloatArray) -> None:
        self._written[: len(values)] = values


@dataclass(eq=False)
class Call:
    """One call of an indicator function. `inputs` are columns by name, indicators, or what the function gets as is."""

    fn: Callable[..., Any]
    inputs: Sequence[Any]
    kwargs: dict[str, Any]
    prefix: Prefix
    n_most: int
    line: int = 0  # of the source, where it was made

    def compute(self) -> list[tuple[str, FloatArray]]:
        """The function's lines over the prefix. Raises StrategyRunError."""
        inputs = [self._input(column) for column in self.inputs]
        with np.errstate(all="ignore"):  # what is made up may make 0/0, which no draft would complain of
            return compute_lines(self.fn, inputs, self.kwargs, self.prefix.length)

    def compute_on_walk(self, n: int) -> list[tuple[str, FloatArray]]:
        """Its lines over made-up bars. Raises StrategyRunError."""
        columns, times = walk(n), 60_000 * np.arange(1, n + 1, dtype=np.int64)
        index = time_index(times)
        line = np.append(np.full(min(_N_WITHOUT, n), np.nan), columns["close"][_N_WITHOUT:])

        def given(column: Any) -> Any:
            if isinstance(column, Indicator):
                return pd.Series(line, index=index, name=column.name)
            if not isinstance(column, str):
                return column
            return pd.Series(times if column == "time_ms" else columns[column], index=index, name=column)

        with np.errstate(all="ignore"):
            return compute_lines(self.fn, [given(column) for column in self.inputs], self.kwargs, n)

    def _input(self, column: Any) -> Any:
        if isinstance(column, Indicator):
            n, length = self.prefix.bars.n, self.prefix.length
            values = np.array(column._values[:length])
            values[n:] = go_on(values[n - 1], length - n) if n else np.nan
            return pd.Series(values, index=self.prefix.index, name=column.name, copy=False)
        return self.prefix.series(column) if isinstance(column, str) else column


class Lines:
    """The lines of one call, value by value."""

    def __init__(self, call: Call) -> None:
        self.call = call
        has_come = call.prefix.bars.n > 0
        first = call.compute() if has_come else call.compute_on_walk(length_for(0, call.n_most))
        self.names = [name for name, _ in first]
        self._stepper = _find_trusted(call, len(first))
        self._n_known, self._is_begun = 0, False
        self.first_values = [values[: call.prefix.bars.n] for _, values in first] if has_come else []
        self.last = [float(values[-1]) if len(values) else np.nan for values in self.first_values]
        self.last = self.last or [np.nan] * len(self.names)
        if self._stepper is not None:
            self.last = [np.nan] * len(self.names)
            self._step()
        self._n_known = call.prefix.bars.n

    @property
    def is_stepped(self) -> bool:
        return self._stepper is not None

    def extend(self) -> list[float]:
        """The values at the bar that came last."""
        if self.call.prefix.bars.n > self._n_known:
            if self._stepper is not None:
                self._step()
            else:
                self.last = self._compute()
            self._n_known = self.call.prefix.bars.n
        return self.last

    def _step(self) -> None:
        assert self._stepper is not None
        bars = self.call.prefix.bars
        for i in range(self._n_known, bars.n):
            inputs = [
                float(column._values[i]) if isinstance(column, Indicator) else float(bars.columns[column][i])
                for column in self.call.inputs
            ]
            if self._is_begun or not any(value != value for value in inputs):  # TA-Lib begins at the first number
                self._is_begun = True
                self.last = list(self._stepper.step(*inputs))

    def _compute(self) -> list[float]:
        try:
            lines = self.call.compute()
        except NoLinesError:
            return [np.nan] * len(self.names)
        if len(lines) != len(self.names):
            name = self.names[0]
            raise StrategyRunError(f"{name} gave {len(self.names)} lines at first, {len(lines)} now.")
        i = self.call.prefix.bars.n - 1
        return [float(values[i]) for _, values in lines]


def _find_trusted(call: Call, n_lines: int) -> Stepper | None:
    """A stepper that gives, here and now, what the function gives: another version of a library might round otherwise.

    Watched on made-up bars, to the bit.
    """
    if not call.inputs or not all(column in COLUMNS or isinstance(column, Indicator) for column in call.inputs):
        return None
    makers = find_steppers(call.fn, len(call.inputs), call.kwargs)
    if not makers or makers[0]().lag > MAX_LAG // 4:
        return None
    try:
        expected = [values for _, values in call.compute_on_walk(MAX_LAG)]
    except StrategyRunError:
        return None
    columns = walk(MAX_LAG)
    first = _N_WITHOUT if any(isinstance(column, Indicator) for column in call.inputs) else 0
    inputs = [columns["close" if isinstance(column, Indicator) else column][first:].tolist() for column in call.inputs]
    for make in makers:
        watched = make()
        without = [(np.nan,) * n_lines] * first
        stepped = np.array([*without, *(watched.step(*values) for values in zip(*inputs, strict=True))]).T
        if len(stepped) == n_lines == len(expected) and np.array_equal(stepped, expected, equal_nan=True):
            return make()
    return None


def check_whole(name: str, shown: FloatArray, whole: FloatArray, times_ms: Any, first_bar: int, line: int) -> None:
    """Raise LookAheadError at the first bar of the span whose value is another one in hindsight.

    shown: what the strategy was shown bar by bar; whole: the same bars with all that came after them.
    """
    scale = float(np.nanmax(np.abs(whole), initial=0.0, where=np.isfinite(whole)))
    is_same = np.isclose(shown, whole, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True)
    is_same[:first_bar] = True
    if bool(is_same.all()):
        return
    i = int(np.argmin(is_same))
    time = time_index(times_ms[i : i + 1])[0]
    raise LookAheadError(
        f"{name} looks ahead: at the bar of {time:%Y-%m-%d %H:%M} it was {shown[i]:.8g} with the bars up to then, and "
        f"is {whole[i]:.8g} with those after it. Its draft results cannot be had in life.",
        line=line,
        bar_time_ms=int(times_ms[i]),
    )
