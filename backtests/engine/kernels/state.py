"""What the kernels walk over and change: prices, rules, tables, the account. All arrays have a symbols axis."""

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.compiler import kernel
from backtests.engine.kernels.layout import (
    ACCOUNT,
    EVENT,
    FUNDING_EVENT,
    POSITION,
    RUN_RULES,
    SIZES,
    SYMBOL_RULES,
    TIER,
    WAITING,
)
from backtests.engine.kernels.rows import EQUITY, FILL, FUNDING, LIQUIDATION, ORDER, TRADE
from backtests.engine.kernels.tables import Layout, list_arrays, make_opener, rows_from
from backtests.engine.kernels.tables import Row as Row

type Rows = NDArray[np.void]
type Prices = NDArray[np.float64]


class Plane(NamedTuple):
    """Prices of all symbols: float64 [n_symbols, n_fine] each. Those of a feed itself where it needs no laying out."""

    open: Prices
    high: Prices
    low: Prices
    close: Prices
    volume: Prices


class Market(NamedTuple):
    """Read only. A step is what the strategy sees; it holds one or more finest bars, which the kernels walk.

    A symbol without a bar has its last close as open, high, low and close, and volume 0; NaN before its first bar.
    """

    step_ms: NDArray[np.int64]  # [n_bars] opens of the steps
    first_fine: NDArray[np.int64]  # [n_bars + 1] step t holds the finest bars first_fine[t] to first_fine[t + 1] - 1
    fine_ms: NDArray[np.int64]  # [n_fine]
    last: Plane
    mark: Plane  # the same arrays as `last` where no symbol has mark bars
    funding: Rows  # FUNDING_EVENT, in the order of charging
    mark_close_bits: NDArray[np.int64]  # the closes of `mark`, seen as integers: see kernels/equity.py


class Rules(NamedTuple):
    run: Row  # RUN_RULES
    symbols: Rows  # SYMBOL_RULES [n_symbols]
    tiers: Rows  # TIER [n_symbols, most tiers of any symbol]


class Books(NamedTuple):
    """The tables that grow; how many rows are in use is counted in ACCOUNT. Rows as in kernels.types."""

    orders: Rows
    fills: Rows
    trades: Rows
    funding: Rows
    liquidations: Rows
    equity: Rows
    events: Rows
    waiting: Rows  # WAITING, in the order of their ids


class Scratch(NamedTuple):
    """Room to walk a bar the other way and to come back. As long as the tables whose rows it keeps."""

    positions: Rows
    waiting: Rows
    orders: Rows  # of the waiting ones
    trades: Rows  # of the open positions
    fills: Rows  # of the other way


class Sim(NamedTuple):
    """A simulation: everything that kernels need. Python holds arrays, kernels the first row of each."""

    market: Market
    rules: Rules
    books: Books
    account: Row  # ACCOUNT
    positions: Rows  # POSITION [n_symbols]
    scratch: Scratch
    sizes: Row  # SIZES


_INTEGERS, _PRICES = np.dtype(np.int64), np.dtype(np.float64)
_PLANE = dict.fromkeys(Plane._fields, _PRICES)
LAYOUT: Layout = {  # of a Sim
    "market": {
        **dict.fromkeys(("step_ms", "first_fine", "fine_ms"), _INTEGERS),
        "last": _PLANE,
        "mark": _PLANE,
        "funding": FUNDING_EVENT,
        "mark_close_bits": _INTEGERS,
    },
    "rules": {"run": RUN_RULES, "symbols": SYMBOL_RULES, "tiers": TIER},
    "books": {
        "orders": ORDER,
        "fills": FILL,
        "trades": TRADE,
        "funding": FUNDING,
        "liquidations": LIQUIDATION,
        "equity": EQUITY,
        "events": EVENT,
        "waiting": WAITING,
    },
    "account": ACCOUNT,
    "positions": POSITION,
    "scratch": {"positions": POSITION, "waiting": WAITING, "orders": ORDER, "trades": TRADE, "fills": FILL},
    "sizes": SIZES,
}

type Handle = Any  # what Python hands to an entry kernel: see hand_over

if numba.config.DISABLE_JIT:

    def hand_over(sim: Sim) -> Handle:
        """The simulation as kernels take it: tables walked row by row, and the one row where there is one."""
        flat = _flatten(sim)
        rules = flat.rules._replace(run=sim.rules.run[0])
        return flat._replace(rules=rules, account=sim.account[0], sizes=sim.sizes[0])

    def _flatten(group: Any) -> Any:
        parts = (part.reshape(-1) if isinstance(part, np.ndarray) else _flatten(part) for part in group)
        return type(group)(*parts)

    def open_tables(handle: Handle) -> Sim:
        """What was handed over, as kernels read it."""
        sim: Sim = handle
        return sim

else:

    def hand_over(sim: Sim) -> Handle:
        """The addresses of its arrays. Their rows lie one behind the other, and the caller keeps them."""
        arrays = list_arrays(sim)
        if not all(array.flags.c_contiguous for array in arrays):
            raise ValueError("Kernels walk arrays without holes.")
        return np.array([array.ctypes.data for array in arrays], np.int64)

    open_tables = make_opener("Sim", LAYOUT)


class BarPrices(NamedTuple):
    """One finest bar of one symbol."""

    open: float
    high: float
    low: float
    close: float
    volume: float


@kernel
def last_bar(sim: Sim, i_symbol: int, i_fine: int) -> BarPrices:
    """Last prices."""
    last, i = sim.market.last, i_symbol * sim.sizes["n_fine"] + i_fine
    return BarPrices(last.open[i], last.high[i], last.low[i], last.close[i], last.volume[i])


@kernel
def mark_bar(sim: Sim, i_symbol: int, i_fine: int) -> BarPrices:
    """Mark prices."""
    mark, i = sim.market.mark, i_symbol * sim.sizes["n_fine"] + i_fine
    return BarPrices(mark.open[i], mark.high[i], mark.low[i], mark.close[i], mark.volume[i])


@kernel
def first_fine(sim: Sim, i_bar: int) -> int:
    """The first finest bar of a step; of the step after the last, the end. Where each holds one no table is read."""
    if sim.sizes["n_fine"] == sim.sizes["n_steps"]:
        return i_bar
    return int(sim.market.first_fine[i_bar])


@kernel
def open_of(sim: Sim, i_bar: int) -> int:
    """When a step opens. Where steps are known to be regular no table is read."""
    if sim.sizes["is_regular"] != 0:
        return int(sim.sizes["first_ms"] + i_bar * sim.rules.run["timeframe_ms"])
    return int(sim.market.step_ms[i_bar])


@kernel
def tiers_of(sim: Sim, i_symbol: int) -> Rows:
    """The symbol's margin tiers; SYMBOL_RULES says how many."""
    tiers: Rows = rows_from(sim.rules.tiers, i_symbol * sim.sizes["n_tiers"])
    return tiers


class Moment(NamedTuple):
    """When something happens."""

    i_bar: int
    i_fine: int
    time_ms: int


class Execution(NamedTuple):
    """What an order gets: a positive number of steps at a price."""

    i_order: int  # -1: the exchange's own
    i_symbol: int
    side: int
    steps: int
    price: float
    reference_price: float  # before slippage
    fee_rate: float
    is_maker: bool


class Quote(NamedTuple):
    """At what price an order would trade."""

    price: float
    reference_price: float  # before slippage
    mark: float  # against which the open loss of an entry is measured
    fee_rate: float
    is_maker: bool
