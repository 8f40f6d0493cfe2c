"""What the kernels walk over and change: prices, rules, tables, the account. All arrays have a symbols axis."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.compiler import inlined_kernel, kernel
from backtests.engine.kernels.tables import Row as Row
from backtests.engine.kernels.tables import first_row, row_of, rows_from

type Rows = NDArray[np.void]


class Market(NamedTuple):
    """Read only. A step is what the strategy sees; it holds one or more finest bars, which the kernels walk.

    A symbol without a bar has its last close as open, high, low and close, and volume 0; NaN before its first bar.
    """

    step_ms: NDArray[np.int64]  # [n_bars] opens of the steps
    first_fine: NDArray[np.int64]  # [n_bars + 1] step t holds the finest bars first_fine[t] to first_fine[t + 1] - 1
    fine_ms: NDArray[np.int64]  # [n_fine]
    last: Rows  # BAR [n_symbols, n_fine]
    mark: Rows  # BAR [n_symbols, n_fine]; the same array as `last` where no symbol has mark bars
    funding: Rows  # FUNDING_EVENT, in the order of charging


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


class Store(NamedTuple):
    """A simulation as Python holds it: arrays only. `open_store` makes the Sim of it."""

    market: Market
    run: Rows  # RUN_RULES [1]
    symbols: Rows  # SYMBOL_RULES [n_symbols]
    tiers: Rows  # TIER [n_symbols, most tiers of any symbol]
    books: Books
    account: Rows  # ACCOUNT [1]
    positions: Rows  # POSITION [n_symbols]
    scratch: Scratch
    sizes: Rows  # SIZES [1]


class Sim(NamedTuple):
    """A simulation as kernels see it: everything they need, every table by its first row (kernels/tables.py)."""

    market: Market
    rules: Rules
    books: Books
    account: Row  # ACCOUNT
    positions: Rows  # POSITION [n_symbols]
    scratch: Scratch
    sizes: Row  # SIZES


@inlined_kernel
def open_store(store: Store) -> Sim:
    """Records cost 2.5 us each to hand from Python to a kernel, an array of one record 0.1 us."""
    market, books, scratch = store.market, store.books, store.scratch
    return Sim(
        Market(
            first_row(market.step_ms),
            first_row(market.first_fine),
            first_row(market.fine_ms),
            first_row(market.last),
            first_row(market.mark),
            first_row(market.funding),
        ),
        Rules(store.run[0], first_row(store.symbols), first_row(store.tiers)),
        Books(
            first_row(books.orders),
            first_row(books.fills),
            first_row(books.trades),
            first_row(books.funding),
            first_row(books.liquidations),
            first_row(books.equity),
            first_row(books.events),
            first_row(books.waiting),
        ),
        store.account[0],
        first_row(store.positions),
        Scratch(
            first_row(scratch.positions),
            first_row(scratch.waiting),
            first_row(scratch.orders),
            first_row(scratch.trades),
            first_row(scratch.fills),
        ),
        store.sizes[0],
    )


@kernel
def last_bar(sim: Sim, i_symbol: int, i_fine: int) -> Row:
    """BAR of last prices."""
    return row_of(sim.market.last, i_symbol * sim.sizes["n_fine"] + i_fine)


@kernel
def mark_bar(sim: Sim, i_symbol: int, i_fine: int) -> Row:
    """BAR of mark prices."""
    return row_of(sim.market.mark, i_symbol * sim.sizes["n_fine"] + i_fine)


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
