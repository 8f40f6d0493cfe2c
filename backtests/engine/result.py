"""EngineResult: what a run produced, as arrays, with a hash over all of it."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.types import OrderStatus

type Rows = NDArray[np.void]

_BLOCK = 16_384  # values that are hashed at a time: copies of them stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class CommandLog:
    """Every call that a strategy made, in order (kernels.types.COMMAND), with the texts of the tags."""

    rows: Rows
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class EngineResult:
    """Rows as declared in kernels.types. `equity` has one row per bar of the span, up to ruin."""

    orders: Rows
    fills: Rows
    trades: Rows
    equity: Rows
    funding: Rows
    liquidations: Rows
    tags: tuple[str, ...]
    initial_balance: float
    is_ruined: bool
    n_bars: int
    first_bar: int  # index of the first bar of the span in the feed's bars (= warm-up bars before it)
    counters: dict[str, int] = field(default_factory=dict)  # ambiguous bars, no-trade bars, ...

    @property
    def final_equity(self) -> float:
        return float(self.equity["margin_balance"][-1]) if len(self.equity) else self.initial_balance

    @property
    def n_orders_rejected(self) -> int:
        return int(np.count_nonzero(self.orders["status"] == OrderStatus.REJECTED))

    def result_hash(self) -> str:
        """SHA-256 over orders, fills, trades, equity, funding and liquidations; -0.0 and NaN made canonical."""
        digest = hashlib.sha256()
        for rows in (self.orders, self.fills, self.trades, self.equity, self.funding, self.liquidations):
            for name in rows.dtype.names or ():
                digest.update(name.encode())
                column = rows[name]
                for start in range(0, len(column), _BLOCK):
                    digest.update(_canonical(np.ascontiguousarray(column[start : start + _BLOCK])))
        digest.update("\x00".join(self.tags).encode())
        return digest.hexdigest()


def _canonical(column: NDArray[np.generic]) -> NDArray[np.generic]:
    if column.dtype.kind != "f":
        return column
    numbers = column.astype(np.float64) + 0.0  # -0.0 becomes 0.0
    numbers[np.isnan(numbers)] = np.nan
    return numbers
