"""Follower: an array of targets on its way through a simulation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtests.engine.errors import ResourceLimitError
from backtests.engine.kernels.target_changes import MARKS_PER_WORD, list_changes, mark_changes
from backtests.engine.kernels.targets import PLAN
from backtests.engine.kernels.types import COMMAND, SizeKind
from backtests.engine.portfolio.simulation import Simulation
from backtests.engine.result import Rows

FIRST_ROWS = 256


@dataclass(frozen=True, slots=True, eq=False)
class TargetPlan:
    """The wanted position of the primary symbol at the close of each bar of the timeline, warm-up included.

    values: float64, NaN where nothing changes; in units of size_kind (TARGET_RATIO, TARGET_QTY, TARGET_NOTIONAL).
    changes: their find_changes; changed: the values there. Numbers that are not given are NaN; an infinite band means
    that drift is left alone.
    """

    values: NDArray[np.float64]
    changes: NDArray[np.int64]
    changed: NDArray[np.float64]
    size_kind: SizeKind
    leverage: float
    stop_loss_ratio: float
    take_profit_ratio: float
    band: float
    max_orders: int | None = None  # commands that a run may make

    @property
    def n_exits(self) -> int:
        """Orders that come with each entry."""
        return int(not np.isnan(self.stop_loss_ratio)) + int(not np.isnan(self.take_profit_ratio))

    def to_row(self, first_bar: int) -> Rows:
        """kernels.targets.PLAN as it stands before the first bar of the span: flat."""
        numbers = (self.leverage, self.stop_loss_ratio, self.take_profit_ratio, self.band)
        return np.array([(self.size_kind, *numbers, first_bar, 0, 0.0, -1)], PLAN)


def find_changes(values: NDArray[np.float64], first_bar: int) -> NDArray[np.int64]:
    """The bars whose value is a number and not that of the bar before, in order; first_bar with any number.

    values: float64, contiguous. first_bar: the first of the span.
    """
    marks = make_marks(len(values))
    if first_bar < len(values):
        mark_changes(values, marks, first_bar)
    return list_marked(marks)


def make_marks(n: int) -> NDArray[np.int8]:
    """Room for the marks of n bars, all 0, in whole words."""
    return np.zeros(n // MARKS_PER_WORD + 1, np.int64).view(np.int8)


def list_marked(marks: NDArray[np.int8]) -> NDArray[np.int64]:
    """The bars whose mark (of make_marks) is 1, in order."""
    bars = np.empty(len(marks), np.int64)
    return bars[: list_changes(marks.view(np.int64), marks, bars)].copy()


class Follower:
    """Plays a plan; the log that it makes is the one that a replay takes."""

    def __init__(self, simulation: Simulation, plan: TargetPlan, log: Rows | None = None) -> None:
        """log: the array of an earlier follower, to be written anew."""
        self._simulation = simulation
        self._plan = plan
        self._row = plan.to_row(simulation.first_bar)
        if log is None:
            n_changes = len(plan.changes) + 1
            simulation.reserve(n_changes * (1 + plan.n_exits))
            log = np.zeros(n_changes + FIRST_ROWS, COMMAND)
        self.log = log

    def play(self, i_bar: int) -> int:
        """Up to and with the close of this bar. Returns the bar reached: an earlier one where the account is ruined.

        Raises ResourceLimitError when more orders were made than a run may make.
        """
        plan = self._plan
        self.log = self._simulation.follow(self.log, self._row, plan.values, (plan.changes, plan.changed), i_bar)
        account = self._simulation.account
        n_orders = int(account["n_commands"][0])
        if plan.max_orders is not None and n_orders > plan.max_orders:
            why = f"A run may make at most {plan.max_orders:,} orders."
            raise ResourceLimitError("max_orders", plan.max_orders, n_orders, why)
        return int(account["i_bar"][0]) if account["is_ruined"][0] else i_bar

    @property
    def commands(self) -> Rows:
        """Those made so far (kernels.types.COMMAND); a view that is good until the next call."""
        return self.log[: int(self._simulation.account["n_commands"][0])]
