"""What the kernels walk over and change: prices, rules, tables, the account. All arrays have a symbols axis."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtests.engine.kernels.compiler import inlined_kernel

type Rows = NDArray[np.void]
type Row = Any  # one record of Rows; kernels read rec["price"]

BAR = np.dtype([("open", "f8"), ("high", "f8"), ("low", "f8"), ("close", "f8"), ("volume", "f8")])

FUNDING_EVENT = np.dtype(
    [
        ("time_ms", "i8"),
        ("i_fine", "i8"),  # the finest bar at whose open it is charged
        ("is_late", "?"),  # stamped inside that bar: after the orders at its open
        ("i_symbol", "i8"),
        ("rate", "f8"),
        ("mark_price", "f8"),
    ]
)

RUN_RULES = np.dtype(
    [
        ("first_bar", "i8"),
        ("timeframe_ms", "i8"),
        ("is_spot", "?"),
        ("is_cross", "?"),
        ("fills_at_close", "?"),
        ("fills_through", "?"),  # a limit fills only where the price goes beyond it
        ("is_optimistic", "?"),
        ("is_listening", "?"),  # keep a list of events for the hooks
        ("leverage", "f8"),
        ("max_leverage", "f8"),
        ("maker_fee", "f8"),
        ("taker_fee", "f8"),
        ("slippage_ratio", "f8"),
        ("participation_cap", "f8"),  # share of a finest bar's volume; infinite where there is none
    ]
)

SYMBOL_RULES = np.dtype(
    [
        ("tick_size", "f8"),
        ("step_numerator", "f8"),  # step = numerator / denominator, one of them 1 where that is exact:
        ("step_denominator", "f8"),  # 3 / 10 is 0.3, 3 * 0.1 is not
        ("min_qty", "f8"),
        ("min_notional", "f8"),
        ("liquidation_fee_rate", "f8"),
        ("n_tiers", "i8"),
    ]
)

TIER = np.dtype(
    [("floor", "f8"), ("cap", "f8"), ("maintenance_rate", "f8"), ("max_leverage", "f8"), ("cumulative", "f8")]
)

ACCOUNT = np.dtype(
    [
        ("wallet_balance", "f8"),
        ("i_bar", "i8"),  # the step whose events are done; its equity row is not yet written
        ("is_ruined", "?"),
        ("is_finished", "?"),
        ("n_open", "i8"),  # open positions
        ("n_waiting", "i8"),
        ("n_commands", "i8"),  # played so far
        ("n_orders", "i8"),
        ("n_fills", "i8"),
        ("n_trades", "i8"),
        ("n_funding", "i8"),
        ("n_liquidations", "i8"),
        ("n_equity", "i8"),
        ("n_events", "i8"),
        ("i_next_funding", "i8"),
    ],
    align=True,  # so that memoryviews read single fields
)

POSITION = np.dtype(
    [
        ("steps", "i8"),  # signed
        ("qty", "f8"),  # signed, steps as a quantity
        ("entry_price", "f8"),
        ("initial_margin", "f8"),  # brought by the fills, released pro rata
        ("isolated_wallet", "f8"),  # the initial margin, moved by funding
        ("liquidation_level", "f8"),  # a long goes at or below it, a short at or above
        ("mark", "f8"),  # where the mark price stands now
        ("i_trade", "i8"),
        ("is_low_first", "?"),  # the way through the bar that is being walked
    ],
    align=True,  # so that memoryviews read single fields
)

EVENT = np.dtype([("kind", "i8"), ("i_row", "i8")])


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
    waiting: NDArray[np.int64]  # ids of the orders that wait, ascending


class Store(NamedTuple):
    """A simulation as Python holds it: arrays only. `open_store` makes the Sim of it."""

    market: Market
    run: Rows  # RUN_RULES [1]
    symbols: Rows  # SYMBOL_RULES [n_symbols]
    tiers: Rows  # TIER [n_symbols, most tiers of any symbol]
    books: Books
    account: Rows  # ACCOUNT [1]
    positions: Rows  # POSITION [n_symbols]


class Sim(NamedTuple):
    """A simulation as kernels see it: everything they need."""

    market: Market
    rules: Rules
    books: Books
    account: Row  # ACCOUNT
    positions: Rows  # POSITION [n_symbols]


@inlined_kernel
def open_store(store: Store) -> Sim:
    """Records cost 2.5 us each to hand from Python to a kernel, an array of one record 0.1 us."""
    rules = Rules(store.run[0], store.symbols, store.tiers)
    return Sim(store.market, rules, store.books, store.account[0], store.positions)


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
