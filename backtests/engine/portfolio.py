"""Account: the readable face over the kernels' state, which both drivers and the strategy use."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.engine.cursor import Cursor
from backtests.engine.kernels.types import SizeKind
from backtests.engine.request import Feed, RunRequest
from backtests.engine.result import CommandLog, EngineResult, Rows

NAN = float("nan")


class EventKind(IntEnum):
    """What a hook hears about; the row is an index into the table named here."""

    ORDER = 1  # orders: filled, rejected, cancelled or expired
    FILL = 2  # fills
    FUNDING = 3  # funding
    TRADE_CLOSED = 4  # trades
    LIQUIDATION = 5  # trades, too: the trade that was liquidated


class Account:
    """One run's account. Bars count over the union of the symbols' opens, warm-up included; the span starts at `first_bar`.

    Calls that can never be an order raise OrderError; refused orders do not raise: read their fate with `order(id)`.
    `i_symbol` counts in the order of RunRequest.symbols; 0 is the primary.
    """

    def __init__(self, request: RunRequest, feed: Feed) -> None:
        self.request = request
        self.feed = feed
        self.cursor = Cursor()
        self.n_bars: int = 0
        self.first_bar: int = 0
        self.open_ms: NDArray[np.int64] = np.empty(0, np.int64)  # the timeline

    @property
    def i_bar(self) -> int:
        return self.cursor.i_bar

    def bar_columns(self, i_symbol: int = 0) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_] | None]:
        """open, high, low, close, volume over the timeline, and where the symbol has a bar (None: everywhere)."""
        raise NotImplementedError

    # Orders. Each returns the id of the order; under `close` it has filled, or not, on return.
    def submit(
        self,
        *,
        side: int,
        size: float,
        size_kind: SizeKind = SizeKind.QTY,
        i_symbol: int = 0,
        leverage: float | None = None,
        limit_price: float = NAN,
        stop_price: float = NAN,
        stop_loss: float = NAN,
        take_profit: float | Sequence[tuple[float, float]] = NAN,
        trailing_ratio: float = NAN,
        is_reduce_only: bool = False,
        is_post_only: bool = False,
        good_for_bars: int = 0,
        tag: str = "",
    ) -> int:
        """Make an order at the close of this bar: side +1 buys, -1 sells."""
        raise NotImplementedError

    def close_position(self, i_symbol: int = 0, percentage: float = 100.0, tag: str = "") -> int:
        raise NotImplementedError

    def target_ratio(self, ratio: float, i_symbol: int = 0, leverage: float | None = None, tag: str = "") -> int:
        """Trade to a signed notional of ratio x margin balance."""
        raise NotImplementedError

    def cancel(self, order_id: int) -> bool:
        """True when the order waited and is now cancelled."""
        raise NotImplementedError

    def cancel_all(self, i_symbol: int = -1) -> None:
        raise NotImplementedError

    # What has happened so far: rows of kernels.types, valid until the next call.
    def order(self, order_id: int) -> Any:
        """The row (kernels.types.ORDER) of one order as it stands now."""
        raise NotImplementedError

    @property
    def orders(self) -> Rows:
        raise NotImplementedError

    @property
    def fills(self) -> Rows:
        raise NotImplementedError

    @property
    def trades(self) -> Rows:
        raise NotImplementedError

    @property
    def funding(self) -> Rows:
        raise NotImplementedError

    @property
    def liquidations(self) -> Rows:
        raise NotImplementedError

    # The account at the close of this bar.
    @property
    def wallet_balance(self) -> float:
        raise NotImplementedError

    @property
    def cash(self) -> float:
        """Wallet balance not bound as margin."""
        raise NotImplementedError

    @property
    def margin_balance(self) -> float:
        """Equity: wallet balance + unrealised PnL of all positions."""
        raise NotImplementedError

    @property
    def available_balance(self) -> float:
        raise NotImplementedError

    @property
    def margin_ratio(self) -> float:
        """The largest maintenance margin / (isolated wallet + uPnL); 0 when flat, liquidation at 1."""
        raise NotImplementedError

    # One symbol's position at the close of this bar.
    def position_qty(self, i_symbol: int = 0) -> float:
        """Signed; exactly 0.0 when flat."""
        raise NotImplementedError

    def entry_price(self, i_symbol: int = 0) -> float:
        """NaN when flat."""
        raise NotImplementedError

    def unrealised_pnl(self, i_symbol: int = 0) -> float:
        raise NotImplementedError

    def liquidation_price(self, i_symbol: int = 0) -> float | None:
        raise NotImplementedError

    def position_leverage(self, i_symbol: int = 0) -> float:
        """Entry notional / initial margins brought; 0 when flat."""
        raise NotImplementedError

    def initial_margin(self, i_symbol: int = 0) -> float:
        raise NotImplementedError

    # What crosses the jail, and what a run leaves behind.
    @property
    def n_commands(self) -> int:
        raise NotImplementedError

    def commands(self, from_seq: int = 0) -> Rows:
        """Rows (kernels.types.COMMAND) of the calls made so far, from `from_seq` on."""
        raise NotImplementedError

    @property
    def tags(self) -> tuple[str, ...]:
        raise NotImplementedError

    def command_log(self) -> CommandLog:
        raise NotImplementedError

    def result(self) -> EngineResult:
        """After the last bar."""
        raise NotImplementedError
