"""Indicators that go on from where they stood: one step for each bar, to the bit what the library gives.

TA-Lib's own recursions, in its order of additions: plain Python numbers round as C's do. A compiler may join a product
and a sum into one rounding, or not, so each recursion takes the way that it multiplies and adds (`fma`); lines.py
watches each beside the function that it stands for, and trusts the one that gives the same.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

import numpy as np
import talib
from numpy.typing import NDArray

from backtests.engine.sealed.listed import LISTED

NAN = math.nan


type Fma = Callable[[float, float, float], float]  # a * b + c


def _round_twice(a: float, b: float, c: float) -> float:
    return a * b + c


_round_once: Fma | None = getattr(math, "fma", None)  # from Python 3.13 on
WAYS: tuple[Fma, ...] = (_round_twice,) if _round_once is None else (_round_once, _round_twice)


class Stepper(Protocol):
    lag: int  # bars before its first value, about

    def step(self, *values: float) -> tuple[float, ...]:
        """The lines' values at this bar, given the columns' values at it."""
        ...


class Sma:
    """TA_SMA: one running sum; the oldest value leaves after the mean is taken."""

    def __init__(self, fma: Fma, length: int) -> None:
        self.lag = length
        self._total, self._past = 0.0, deque[float]()

    def step(self, *values: float) -> tuple[float, ...]:
        self._total += values[0]
        self._past.append(values[0])
        if len(self._past) < self.lag:
            return (NAN,)
        mean = self._total / self.lag
        self._total -= self._past.popleft()
        return (mean,)


class Ema:
    """TA_EMA: begins with the mean of its first values."""

    def __init__(self, fma: Fma, length: int) -> None:
        self.lag = length
        self._fma = fma
        self._k = 2.0 / (length + 1)
        self._n, self._sum, self._last = 0, 0.0, 0.0

    def step(self, *values: float) -> tuple[float, ...]:
        if self._n < self.lag:
            self._n += 1
            self._sum += values[0]
            if self._n < self.lag:
                return (NAN,)
            self._last = self._sum / self.lag
        else:
            self._last = self._fma(values[0] - self._last, self._k, self._last)
        return (self._last,)


class _Lagged:
    """The value so many bars ago; NaN while there is none."""

    def __init__(self, fma: Fma, length: int) -> None:
        self.lag = length
        self._past = deque[float]()

    def step(self, *values: float) -> tuple[float, ...]:
        self._past.append(values[0])
        if len(self._past) <= self.lag:
            return (NAN,)
        return (self._compare(values[0], self._past.popleft()),)

    def _compare(self, now: float, before: float) -> float:
        raise NotImplementedError


class Mom(_Lagged):
    """TA_MOM: the difference."""

    def _compare(self, now: float, before: float) -> float:
        return now - before


class Roc(_Lagged):
    """TA_ROC: the change in percent."""

    def _compare(self, now: float, before: float) -> float:
        return (now / before - 1.0) * 100.0 if before != 0.0 else 0.0


class Macd:
    """TA_MACD: both averages begin at the same bar, and so does the signal. Lines in the order of `order`."""

    def __init__(self, fma: Fma, fast: int, slow: int, signal: int, order: Iterable[int]) -> None:
        if slow < fast:
            fast, slow = slow, fast
        self._order = tuple(order)
        self.lag = slow + signal - 2
        self._n = -1
        self._slow, self._fast, self._signal = (Ema(fma, length) for length in (slow, fast, signal))
        self._skipped = slow - fast

    def step(self, *values: float) -> tuple[float, ...]:
        self._n += 1
        fast = self._fast.step(*values)[0] if self._n >= self._skipped else NAN
        macd = fast - self._slow.step(*values)[0]
        if math.isnan(macd):
            return (NAN, NAN, NAN)
        signal = self._signal.step(macd)[0]
        lines = (macd, signal, macd - signal) if not math.isnan(signal) else (NAN, NAN, NAN)
        return lines[self._order[0]], lines[self._order[1]], lines[self._order[2]]


class Direct:
    """A function of TA-Lib over all values so far, without what pandas_ta lays around it: a tenth of its time.

    For recursions whose roundings nobody has written down. The time grows with the bars: 3 ns for each.
    """

    def __init__(self, _: Fma, length: int, name: str) -> None:
        self.lag = length
        self._fn = getattr(talib, name)
        self._n = 0
        self._columns: list[NDArray[np.float64]] = []

    def step(self, *values: float) -> tuple[float, ...]:
        if not self._columns or self._n == len(self._columns[0]):
            grown = [np.empty(max(2 * self._n, 256)) for _ in values]
            for column, before in zip(grown, self._columns, strict=False):
                column[: self._n] = before
            self._columns = grown
        for column, value in zip(self._columns, values, strict=True):
            column[self._n] = value
        self._n += 1
        if self._n <= 2:  # the wrapper refuses less than a value and the one before it
            return (NAN,)
        return (float(self._fn(*(column[: self._n] for column in self._columns), self.lag)[-1]),)


def find_steppers(fn: Callable[..., Any], n_columns: int, kwargs: dict[str, Any]) -> list[Callable[[], Stepper]]:
    """Makers of those that may stand for this call; none where the function is not listed, or is called otherwise."""
    name, module = getattr(fn, "__name__", ""), getattr(fn, "__module__", "") or ""
    is_talib = module.startswith("talib")
    if not (is_talib or module.startswith("pandas_ta.")) or name.lower() not in LISTED:
        return []
    make, words, expected = (_TALIB if is_talib else _PANDAS_TA)[name.lower()]
    if n_columns != expected or not set(kwargs) <= set(words):
        return []
    numbers = [kwargs.get(word, default) for word, default in words.items()]
    if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 2 for number in numbers):
        return []
    return [partial(make, way, *numbers) for way in WAYS]


type _Maker = tuple[Callable[..., Stepper], dict[str, int], int]

_PANDAS_TA: dict[str, _Maker] = {
    "sma": (Sma, {"length": 10}, 1),
    "ema": (Ema, {"length": 10}, 1),
    "mom": (Mom, {"length": 10}, 1),
    "roc": (Roc, {"length": 10}, 1),
    "rsi": (partial(Direct, name="RSI"), {"length": 14}, 1),
    "atr": (partial(Direct, name="ATR"), {"length": 14}, 3),
    "macd": (partial(Macd, order=(0, 2, 1)), {"fast": 12, "slow": 26, "signal": 9}, 1),
}
_TALIB: dict[str, _Maker] = {
    "sma": (Sma, {"timeperiod": 30}, 1),
    "ema": (Ema, {"timeperiod": 30}, 1),
    "mom": (Mom, {"timeperiod": 10}, 1),
    "roc": (Roc, {"timeperiod": 10}, 1),
    "rsi": (partial(Direct, name="RSI"), {"timeperiod": 14}, 1),
    "atr": (partial(Direct, name="ATR"), {"timeperiod": 14}, 3),
    "macd": (
        partial(Macd, order=(0, 1, 2)),
        {"fastperiod": 12, "slowperiod": 26, "signalperiod": 9},
        1,
    ),
}
