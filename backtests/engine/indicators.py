"""Indicators: computed once over warm-up and span, revealed bar by bar; and the crossings of two of them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, SupportsFloat, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backtests.engine.cursor import Cursor
from backtests.engine.errors import StrategyRunError

type FloatArray = NDArray[np.float64]
type Line = "Indicator | SupportsFloat | Sequence[float] | NDArray[Any]"

MOST_LOOKED_AT = 1_000  # values, to guess the pane of a line
MAX_KEPT_CROSSINGS = 64  # levels that change at every bar are compared there and then
NOT_KEPT: dict[Any, list[bool]] = {}  # the crossings of a line whose values come one by one (sealed runs)


class NoLinesError(StrategyRunError):
    """An indicator function returned nothing."""


class Indicator:
    """One value per bar, of which the strategy sees those up to the bar it stands on.

    x[-1] or x.value is the current one, x[-2] the one before; x[-10:] an array; len(x) counts what is revealed,
    warm-up included. NaN before the first value. It compares and calculates like its current value.
    """

    __slots__ = ("_cursor", "_falls", "_rises", "_values", "_view", "name")

    def __init__(self, name: str, values: FloatArray, cursor: Cursor) -> None:
        self.name = name
        # One NaN more: the cursor's -1, "before the first bar", must not read the last value.
        self._values = np.append(np.asarray(values, np.float64), np.nan)
        self._values.flags.writeable = False
        self._view = memoryview(self._values)
        self._cursor = cursor
        self._rises: dict[Any, list[bool]] = {}  # by the line or level that this one went above
        self._falls: dict[Any, list[bool]] = {}  # or below

    @property
    def value(self) -> float:
        return self._view[self._cursor.i_bar]

    def __len__(self) -> int:
        return self._cursor.i_bar + 1

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> FloatArray: ...

    def __getitem__(self, index: int | slice) -> float | FloatArray:
        n = self._cursor.i_bar + 1
        if isinstance(index, slice):
            return self._values[:n][index].copy()
        if index < 0:
            return self._view[n + index] if n + index >= 0 else math.nan
        if index >= n:
            raise IndexError(f"{self.name}[{index}] is not known yet: {n} values are.")
        return self._view[index]

    def __iter__(self) -> Iterator[float]:
        return iter([float(value) for value in self[:]])

    def __float__(self) -> float:
        return self.value

    def __bool__(self) -> bool:
        value = self.value
        return value != 0 and not math.isnan(value)

    def __lt__(self, other: SupportsFloat) -> bool:
        return self.value < float(other)

    def __le__(self, other: SupportsFloat) -> bool:
        return self.value <= float(other)

    def __gt__(self, other: SupportsFloat) -> bool:
        return self.value > float(other)

    def __ge__(self, other: SupportsFloat) -> bool:
        return self.value >= float(other)

    def __neg__(self) -> float:
        return -self.value

    def __abs__(self) -> float:
        return abs(self.value)

    def __add__(self, other: SupportsFloat) -> float:
        return self.value + float(other)

    def __sub__(self, other: SupportsFloat) -> float:
        return self.value - float(other)

    def __mul__(self, other: SupportsFloat) -> float:
        return self.value * float(other)

    def __truediv__(self, other: SupportsFloat) -> float:
        return self.value / float(other)

    def __rsub__(self, other: SupportsFloat) -> float:
        return float(other) - self.value

    def __rtruediv__(self, other: SupportsFloat) -> float:
        return float(other) / self.value

    __radd__ = __add__
    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"<{self.name} = {self.value:g}>"


class Indicators(tuple[Indicator, ...]):
    """Several lines of one function: unpack them, or ask by column name: bands["BBL_20_2.0"]."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, str):
            return super().__getitem__(index)
        for line in self:
            if line.name == index:
                return line
        raise KeyError(f"There is no line {index!r}; there are: {', '.join(line.name for line in self)}.")


def find_crossings(above: FloatArray | float, below: FloatArray | float) -> NDArray[np.bool_]:
    """[i]: above[i-1] <= below[i-1] and above[i] > below[i]; never at the first value, never where one is NaN."""
    now, before = np.greater(above, below), np.less_equal(above, below)
    flags = np.zeros(len(now), np.bool_)
    flags[1:] = now[1:] & before[:-1]
    return flags


def crossed_above(a: Line, b: Line) -> bool:
    """Whether a went above b at this bar: a[-2] <= b[-2] and a[-1] > b[-1]. Either may be a number."""
    try:  # asked for at every bar: what is found already comes first, in the words that cost least
        return a._rises[b][a._cursor.i_bar]  # type: ignore[union-attr]
    except (AttributeError, KeyError, TypeError):
        if isinstance(a, Indicator) and _is_kept(b, a._rises):
            a._rises[b] = find_crossings(a._values, _values_of(b)).tolist()
            return a._rises[b][a._cursor.i_bar]
        (a_before, a_now), (b_before, b_now) = _last_two(a), _last_two(b)
        return a_before <= b_before and a_now > b_now


def crossed_below(a: Line, b: Line) -> bool:
    """Whether a went below b at this bar: a[-2] >= b[-2] and a[-1] < b[-1]. Either may be a number."""
    try:
        return a._falls[b][a._cursor.i_bar]  # type: ignore[union-attr]
    except (AttributeError, KeyError, TypeError):
        if isinstance(a, Indicator) and _is_kept(b, a._falls):
            a._falls[b] = find_crossings(_values_of(b), a._values).tolist()
            return a._falls[b][a._cursor.i_bar]
        (a_before, a_now), (b_before, b_now) = _last_two(a), _last_two(b)
        return a_before >= b_before and a_now < b_now


def _is_kept(other: Line, kept: dict[Any, list[bool]]) -> bool:
    """Lines are; of levels that change at every bar only the first few are. Values still to come cannot be."""
    if kept is NOT_KEPT:
        return False
    return isinstance(other, Indicator) or (isinstance(other, int | float) and len(kept) < MAX_KEPT_CROSSINGS)


def _values_of(line: Any) -> FloatArray | float:
    return line._values if isinstance(line, Indicator) else line


def _last_two(line: Line) -> tuple[float, float]:
    if isinstance(line, Indicator):
        return line[-2], line[-1]
    if isinstance(line, pd.Series):
        line = line.to_numpy()
    if isinstance(line, str):
        raise TypeError(f"{line!r} is a text; name an indicator or a number.")
    if isinstance(line, SupportsFloat) and not isinstance(line, np.ndarray):
        return float(line), float(line)
    if len(line) < 2:
        return math.nan, math.nan
    return float(line[-2]), float(line[-1])


def compute_lines(
    fn: Callable[..., Any], inputs: Sequence[Any], kwargs: dict[str, Any], n: int
) -> list[tuple[str, FloatArray]]:
    """Call an indicator function over whole columns and take its result apart: (name, n float64 values) per line.

    inputs: pandas Series with a UTC index (numpy arrays for a numba function, which knows no Series). The result may
    be an array, a Series, a DataFrame, or a tuple of these. Raises StrategyRunError for anything else.
    """
    called = _called(fn, kwargs)
    if hasattr(fn, "py_func"):
        inputs = [value.to_numpy() if isinstance(value, pd.Series) else value for value in inputs]
    lines = list(_take_apart(fn(*inputs, **kwargs), called, called))
    if not lines:
        raise NoLinesError(f"{called} returned nothing. It may need more bars than the {n} that there are.")
    for name, values in lines:
        if len(values) != n:
            raise StrategyRunError(
                f"{name} has {len(values)} values for {n} bars. An indicator function returns one value for each bar."
            )
    return lines


def _take_apart(result: Any, called: str, name: str) -> Iterable[tuple[str, FloatArray]]:
    if result is None:
        return
    if isinstance(result, tuple):
        for i, part in enumerate(result):
            yield from _take_apart(part, called, f"{name}[{i}]")
    elif isinstance(result, pd.DataFrame):
        for column in result.columns:
            yield str(column), _as_floats(result[column], called)
    else:
        is_named = isinstance(result, pd.Series) and isinstance(result.name, str) and result.name not in _COLUMNS
        yield (str(result.name) if is_named else name), _as_floats(result, called)


_COLUMNS = ("open", "high", "low", "close", "volume")


def _as_floats(values: Any, called: str) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise StrategyRunError(f"{called} returned {type(values).__name__}, not numbers.") from None
    if array.ndim != 1:
        raise StrategyRunError(f"{called} returned an array of {array.ndim} dimensions, not one value for each bar.")
    return array


def _called(fn: Callable[..., Any], kwargs: dict[str, Any]) -> str:
    name = getattr(fn, "__name__", type(fn).__name__).replace("<lambda>", "indicator")
    values = ", ".join(f"{value:g}" if isinstance(value, float) else str(value)[:20] for value in kwargs.values())
    return f"{name}({values})" if values else name


def guess_pane(name: str, values: FloatArray, low: FloatArray, high: FloatArray) -> str:
    """ "price" for a line that runs along the candles, else a pane named after the line."""
    step = len(values) // MOST_LOOKED_AT + 1
    values, low, high = values[::step], low[::step], high[::step]
    known = np.isfinite(values)
    if not known.any():
        return name
    near = (values[known] > 0.8 * low[known]) & (values[known] < 1.2 * high[known])
    return "price" if near.mean() > 0.9 else name
