"""What the metrics read: the rows of record of one run, and an equity curve as a step function of time."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

type Rows = NDArray[np.void]
type FloatArray = NDArray[np.float64]
type IntArray = NDArray[np.int64]

DAY_MS = 86_400_000
DAYS_A_YEAR = 365


class RunRows(Protocol):
    """The part of an EngineResult that the metrics need; rows as declared in kernels.types."""

    @property
    def orders(self) -> Rows: ...
    @property
    def fills(self) -> Rows: ...
    @property
    def trades(self) -> Rows: ...
    @property
    def equity(self) -> Rows: ...
    @property
    def funding(self) -> Rows: ...
    @property
    def liquidations(self) -> Rows: ...
    @property
    def initial_balance(self) -> float: ...
    @property
    def is_ruined(self) -> bool: ...


@dataclass(frozen=True, slots=True, eq=False)
class EquityCurve:
    """Equity at bar closes: time_ms int64 UTC (n,), equity float64 in quote currency (n,), over [from_ms, to_ms]."""

    initial: float
    from_ms: int
    to_ms: int
    time_ms: IntArray
    equity: FloatArray

    @classmethod
    def of_run(cls, result: RunRows, from_ms: int, to_ms: int) -> "EquityCurve":
        time_ms = np.ascontiguousarray(result.equity["time_ms"])
        equity = np.ascontiguousarray(result.equity["margin_balance"])
        return cls(result.initial_balance, from_ms, to_ms, time_ms, equity)

    @property
    def final(self) -> float:
        return float(self.equity[-1]) if len(self.equity) else self.initial

    @property
    def end_ms(self) -> int:
        """The end of the span; later when the last bar reaches beyond it."""
        return max(self.to_ms, int(self.time_ms[-1])) if len(self.time_ms) else self.to_ms

    @property
    def seconds(self) -> float:
        return (self.end_ms - self.from_ms) / 1000

    def at(self, moments_ms: IntArray) -> FloatArray:
        """Equity at the given moments: that of the last bar closed by then, the initial balance before any."""
        values = np.concatenate(([self.initial], self.equity))
        taken: FloatArray = values[np.searchsorted(self.time_ms, moments_ms, side="right")]
        return taken


def midnights_within(from_ms: int, to_ms: int) -> IntArray:
    """Every UTC midnight in [from_ms, to_ms]."""
    first = -(-from_ms // DAY_MS) * DAY_MS
    return np.arange(first, to_ms + 1, DAY_MS, dtype=np.int64)


def daily_returns(curve: EquityCurve) -> FloatArray:
    """r_d = E_d / E_(d-1) - 1 over UTC midnights; part-days at either end are left out.

    Once equity is zero or less nothing is left to earn a return on: the day of ruin counts, later ones do not.
    """
    equity = curve.at(midnights_within(curve.from_ms, curve.end_ms))
    below = np.flatnonzero(equity <= 0)
    if len(below):
        equity = equity[: below[0] + 1]
    if len(equity) < 2 or equity[0] <= 0:
        return np.empty(0)
    returns: FloatArray = equity[1:] / equity[:-1] - 1.0
    return returns


def drawdowns(curve: EquityCurve) -> FloatArray:
    """Fraction below the running peak at each bar close, <= 0; the peak includes the initial balance."""
    if not len(curve.equity):
        return np.empty(0)
    peak = np.maximum(np.maximum.accumulate(curve.equity), curve.initial)
    fractions: FloatArray = curve.equity / peak - 1.0
    return fractions
