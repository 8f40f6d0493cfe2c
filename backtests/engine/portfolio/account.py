"""Account: the readable face over the kernels' state, which the loop and the strategy use."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.engine.cursor import Cursor
from backtests.engine.errors import OrderError
from backtests.engine.kernels.state import Market
from backtests.engine.kernels.types import COMMAND, CommandKind, EventKind, OrderStatus, Reason, SizeKind
from backtests.engine.portfolio.market import bar_columns, build_market
from backtests.engine.portfolio.order_words import check_change, check_positive, check_words
from backtests.engine.portfolio.simulation import Simulation, build_rules
from backtests.engine.request import Feed, MarginMode, RunRequest, TradingMarket
from backtests.engine.result import CommandLog, EngineResult, Rows

type Prices = tuple[float, float, float, float, float]

NAN = math.nan
_NO_PRICES = (NAN, NAN, NAN, NAN, NAN)  # limit, stop, stop loss, take profit, trailing ratio
_NO_TERMS = (False, 0)  # post only, good for bars


class Account:
    """One run's account, at the close of the bar under the cursor.

    Bars count over the union of the symbols' opens, warm-up included; the span starts at `first_bar`. Calls that
    can never be an order raise OrderError; refused orders do not raise: read their fate with `order(id)`.
    `i_symbol` counts in the order of RunRequest.symbols; 0 is the primary.
    """

    is_sealed = False  # the bars behind the cursor's are not there

    def __init__(self, request: RunRequest, feed: Feed, market: Market | None = None, first_bar: int = 0) -> None:
        """market: the feed's, where it is laid out already, with the index of the first bar of the span."""
        self.request = request
        self.feed = feed
        if market is None:
            market = build_market(request, feed)
            first_bar = int(np.searchsorted(market.step_ms, request.from_ms))
        self.open_ms: NDArray[np.int64] = market.step_ms  # the timeline
        self.n_bars = len(market.step_ms)
        self.first_bar = first_bar
        self.simulation = Simulation(market, build_rules(request, feed, self.first_bar), request.initial_balance)
        self.cursor = Cursor(self.first_bar - 1)
        self.has_acted = False  # since the loop last looked
        self.is_open = False  # the loop opens it for the bars of the span
        self.is_listening = False
        self._is_spot = request.market == TradingMarket.SPOT
        self._is_cross = request.margin_mode == MarginMode.CROSS and not self._is_spot
        self._commands = np.zeros(256, COMMAND)
        self._n_commands = 0
        self._tags: dict[str, int] = {}
        account, positions = self.simulation.account, self.simulation.positions
        # Memoryviews hand out plain numbers several times faster than records do.
        self._wallet = memoryview(account["wallet_balance"])
        self._n_orders = memoryview(account["n_orders"])
        self._ruined = memoryview(account["is_ruined"])
        self._last_refusal = memoryview(account["last_refusal"])
        self._waits_for_open = memoryview(account["waits_for_open"])
        self._qty = memoryview(positions["qty"])
        self._entry = memoryview(positions["entry_price"])
        self._isolated = memoryview(positions["isolated_wallet"])
        self._margin = memoryview(positions["initial_margin"])
        self._level = memoryview(positions["liquidation_level"])
        closes = market.mark.close  # [n_symbols, n_bars], once the last finest bar of each step is taken
        if len(market.fine_ms) != len(market.step_ms):
            closes = closes[:, market.first_fine[1:] - 1]
        self._marks = [memoryview(row) for row in closes]

    @property
    def i_bar(self) -> int:
        return self.cursor.i_bar

    @property
    def is_ruined(self) -> bool:
        return bool(self._ruined[0])

    def bar_columns(self, i_symbol: int = 0) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_] | None]:
        """open, high, low, close, volume over the timeline, and where the symbol has a bar (None: everywhere)."""
        return bar_columns(self.feed.symbols[i_symbol].bars, self.open_ms)

    # What the loop does with it.
    def open(self, *, is_listening: bool) -> None:
        """The bars of the span begin; from here on orders are possible."""
        self.is_open = True
        self.is_listening = is_listening
        self.simulation.listen(is_listening)

    def find_next_event(self, i_from: int, i_to: int) -> int:
        """The first bar from i_from on, before i_to, in which anything can happen; i_to when none."""
        if self._waits_for_open[0] and i_from < i_to:
            return i_from  # what the kernel would find, without asking it
        return self.simulation.find_next_event(i_from, i_to)

    def catch_up(self) -> None:
        """Let happen what happens up to the bar under the cursor."""
        self.simulation.play(self._commands, self._n_commands, self.cursor.i_bar)

    def take_events(self) -> list[tuple[EventKind, int]]:
        """What happened since the last call, in order; empty when no one listens."""
        return self.simulation.take_events() if self.is_listening else []

    def close(self) -> None:
        """After the last bar, or after ruin: no more orders; what waits expires."""
        self.catch_up()
        self.is_open = False
        self.simulation.finish()

    # Orders. Each call returns the id of the order; under `close` it has filled, or not, on return.
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
        """Make an order at the close of this bar: side +1 buys, -1 sells. Raises OrderError."""
        if side not in (1, -1):
            raise OrderError(f"A side is +1 (buy) or -1 (sell), not {side!r}.")
        check_positive("size", size)
        if size_kind == SizeKind.EQUITY_RATIO and size > 1.0:
            raise OrderError(f"equity_ratio is a share of the margin balance: above 0, at most 1; not {size:g}.")
        kind, rest = CommandKind.SUBMIT, (i_symbol, side, size_kind, size, leverage, is_reduce_only, tag)
        # NaN alone is not equal to itself, so this asks in 0.1 us whether any price is given.
        has_price = limit_price == limit_price or stop_price == stop_price or stop_loss == stop_loss
        has_exit = take_profit == take_profit or trailing_ratio == trailing_ratio
        if not (has_price or has_exit or is_post_only or good_for_bars):
            return self._order(kind, *rest)
        targets = check_words(
            (limit_price, stop_price, stop_loss, trailing_ratio),
            take_profit,
            is_reduce_only=is_reduce_only,
            is_post_only=is_post_only,
            good_for_bars=good_for_bars,
        )
        prices = (limit_price, stop_price, stop_loss, NAN, trailing_ratio)
        if len(targets) == 1 and targets[0][0] == 1.0:
            prices = (limit_price, stop_price, stop_loss, targets[0][1], trailing_ratio)
            targets = ()
        return self._order(kind, *rest, prices, (is_post_only, good_for_bars), targets)

    def close_position(self, i_symbol: int = 0, percentage: float = 100.0, tag: str = "") -> int:
        """Reduce the position by a percentage of what is open when the order fills."""
        if not 0.0 < percentage <= 100.0:
            raise OrderError(f"A percentage lies above 0 and is at most 100; {percentage!r} does not.")
        return self._order(CommandKind.CLOSE_POSITION, i_symbol, 0, 0, percentage, None, True, tag)

    def target_ratio(self, ratio: float, i_symbol: int = 0, leverage: float | None = None, tag: str = "") -> int:
        """Trade to a signed notional of ratio x margin balance."""
        if not math.isfinite(ratio):
            raise OrderError(f"A target is a number; {ratio!r} is not.")
        return self._order(CommandKind.TARGET, i_symbol, 0, SizeKind.TARGET_RATIO, ratio, leverage, False, tag)

    def set_stop_loss(self, price: float, i_symbol: int = 0) -> int:
        """A stop for all that the position will be; it takes the place of the stops that the position has."""
        check_positive("stop_loss", price)
        prices = (NAN, price, NAN, NAN, NAN)
        return self._order(CommandKind.SET_STOP_LOSS, i_symbol, 0, 0, NAN, None, True, "", prices)

    def set_take_profit(self, price: float, i_symbol: int = 0) -> int:
        """A target for all that the position will be; it takes the place of the targets that the position has."""
        check_positive("take_profit", price)
        prices = (price, NAN, NAN, NAN, NAN)
        return self._order(CommandKind.SET_TAKE_PROFIT, i_symbol, 0, 0, NAN, None, True, "", prices)

    def modify(self, order_id: int, *, limit_price: float = NAN, stop_price: float = NAN, qty: float = NAN) -> bool:
        """Change what a waiting order asks for; qty is its new total quantity. NaN leaves what is.

        False when the exchange's rules refuse the change: the order stays as it was. Raises OrderError for an order
        whose fate is settled, and for a word that its kind does not have.
        """
        if not 0 <= order_id < self._n_orders[0]:
            raise OrderError(f"There is no order {order_id}.")
        check_change(self.order(order_id), limit_price, stop_price, qty)
        prices = (limit_price, stop_price, NAN, NAN, NAN)
        self._play(CommandKind.MODIFY, -1, 0, SizeKind.QTY, qty, order_id=order_id, prices=prices)
        return bool(self._last_refusal[0] == Reason.NONE)

    def cancel(self, order_id: int) -> bool:
        """True when the order waited and is now cancelled."""
        if not 0 <= order_id < self._n_orders[0]:
            raise OrderError(f"There is no order {order_id}.")
        if self.order(order_id)["status"] > OrderStatus.PARTLY_FILLED:
            return False
        self._play(CommandKind.CANCEL, -1, 0, 0, NAN, order_id=order_id)
        return bool(self.order(order_id)["status"] == OrderStatus.CANCELLED)

    def cancel_all(self, i_symbol: int = -1) -> None:
        """Cancel the waiting orders of one symbol, or of all."""
        if not -1 <= i_symbol < len(self._qty):
            raise OrderError(f"There is no symbol {i_symbol} in this run.")
        self._play(CommandKind.CANCEL_ALL, i_symbol, 0, 0, NAN)

    # What has happened so far: rows of kernels.types, good until the next call.
    def order(self, order_id: int) -> Any:
        """The row (kernels.types.ORDER) of one order as it stands now."""
        return self.simulation.books.orders[order_id]

    @property
    def orders(self) -> Rows:
        return self.simulation.rows("orders")

    @property
    def fills(self) -> Rows:
        return self.simulation.rows("fills")

    @property
    def trades(self) -> Rows:
        return self.simulation.rows("trades")

    @property
    def funding(self) -> Rows:
        return self.simulation.rows("funding")

    @property
    def liquidations(self) -> Rows:
        return self.simulation.rows("liquidations")

    # The account at the close of this bar.
    @property
    def wallet_balance(self) -> float:
        return self._wallet[0]

    @property
    def cash(self) -> float:
        """Wallet balance not bound as margin; at least 0 under cross margin, where margins follow the marks."""
        if self._is_cross:
            return max(0.0, self._wallet[0] - self._bound_margin())
        return self._wallet[0] - sum(self._isolated)

    @property
    def margin_balance(self) -> float:
        """Equity: wallet balance + unrealised PnL of all positions."""
        return self._wallet[0] + sum([self.unrealised_pnl(i) for i in range(len(self._qty))])

    @property
    def available_balance(self) -> float:
        """What new entries may use: cash, and under cross margin unrealised PnL, too."""
        if self._is_cross:
            return max(0.0, self.margin_balance - self._bound_margin())
        return self.cash

    @property
    def margin_ratio(self) -> float:
        """Maintenance margin / margin balance; 0 when flat, liquidation at 1.

        Cross: the account's. Isolated: the largest of the positions', each against isolated wallet + uPnL.
        """
        return self.simulation.margin_ratio(self.cursor.i_bar)

    # One symbol's position at the close of this bar.
    def position_qty(self, i_symbol: int = 0) -> float:
        """Signed; exactly 0.0 when flat."""
        return self._qty[i_symbol]

    def entry_price(self, i_symbol: int = 0) -> float:
        """NaN when flat."""
        return self._entry[i_symbol] if self._qty[i_symbol] else NAN

    def unrealised_pnl(self, i_symbol: int = 0) -> float:
        qty = self._qty[i_symbol]
        return qty * (self._marks[i_symbol][self.cursor.i_bar] - self._entry[i_symbol]) if qty else 0.0

    def liquidation_price(self, i_symbol: int = 0) -> float | None:
        """None when flat, on spot, and for a long that no fall can liquidate.

        Under cross margin with several positions: while the other marks stay where they are.
        """
        if not self._qty[i_symbol] or self._is_spot:
            return None
        has_others = self._is_cross and len(self._qty) > 1
        level = self.simulation.liquidation_level(self.i_bar, i_symbol) if has_others else self._level[i_symbol]
        return level if level > 0.0 else None

    def position_leverage(self, i_symbol: int = 0) -> float:
        """Entry notional / initial margins brought; 0 when flat."""
        qty = self._qty[i_symbol]
        return abs(qty) * self._entry[i_symbol] / self._margin[i_symbol] if qty else 0.0

    def initial_margin(self, i_symbol: int = 0) -> float:
        return self._margin[i_symbol]

    # What crosses the jail, and what a run leaves behind.
    @property
    def n_commands(self) -> int:
        return self._n_commands

    def commands(self, from_seq: int = 0) -> Rows:
        """Rows (kernels.types.COMMAND) of the calls made so far, from `from_seq` on."""
        return self._commands[from_seq : self._n_commands]

    def take_log(self, commands: Rows) -> None:
        """Commands that were made and played without this account's calls: the log from now on."""
        self._commands, self._n_commands = commands, len(commands)

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self._tags)

    def command_log(self) -> CommandLog:
        return CommandLog(self.commands().copy(), self.tags)

    def result(self) -> EngineResult:
        """After `close`."""
        return self.simulation.result(self.tags)

    def _bound_margin(self) -> float:
        """Cross: |qty| x mark / leverage of all positions."""
        i_bar = self.cursor.i_bar
        return sum([self._margin[i] * self._marks[i][i_bar] / self._entry[i] for i, qty in enumerate(self._qty) if qty])

    def _order(
        self,
        kind: CommandKind,
        i_symbol: int,
        side: int,
        size_kind: int,
        size: float,
        leverage: float | None,
        is_reduce_only: bool,
        tag: str,
        prices: Prices = _NO_PRICES,
        terms: tuple[bool, int] = _NO_TERMS,
        targets: Sequence[tuple[float, float]] = (),
    ) -> int:
        if not 0 <= i_symbol < len(self._qty):
            raise OrderError(f"There is no symbol {i_symbol} in this run.")
        if leverage is None:
            leverage = NAN
        elif not 1.0 <= leverage < math.inf:
            raise OrderError(f"Leverage is a number of at least 1; {leverage!r} is not.")
        order_id = self._n_orders[0]
        i_tag = self._tags.setdefault(tag, len(self._tags)) if tag else -1
        for share, price in targets:
            self._log(
                CommandKind.ATTACH_TAKE_PROFIT,
                i_symbol,
                0,
                0,
                share,
                order_id=order_id,
                prices=(price, *_NO_PRICES[1:]),
            )
        self._play(kind, i_symbol, side, size_kind, size, leverage, is_reduce_only, order_id, i_tag, prices, terms)
        return order_id

    def _play(self, *command: Any, **more: Any) -> None:
        """Log the command, then play the log up to it: exactly what a replay does."""
        self._log(*command, **more)
        self.has_acted = True
        self.simulation.play(self._commands, self._n_commands, self.cursor.i_bar)

    def _log(
        self,
        kind: CommandKind,
        i_symbol: int,
        side: int,
        size_kind: int,
        size: float,
        leverage: float = NAN,
        is_reduce_only: bool = False,
        order_id: int = -1,
        i_tag: int = -1,
        prices: Prices = _NO_PRICES,
        terms: tuple[bool, int] = _NO_TERMS,
    ) -> None:
        if not self.is_open:
            raise OrderError("Orders are possible at the bars of the span only.")
        n = self._n_commands
        if n == len(self._commands):
            self._commands = np.concatenate([self._commands, np.zeros(n, COMMAND)])
        self._commands[n] = (  # in the order of kernels.rows.COMMAND
            *(self.cursor.i_bar, n, kind, i_symbol, order_id, side, size_kind, size),
            *prices,
            *(leverage, is_reduce_only, *terms, i_tag),
        )
        self._n_commands = n + 1
