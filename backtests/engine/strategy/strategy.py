"""Strategy: what a user's class inherits. docs/reference/strategy-api.md is its page for users."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
from numpy.typing import NDArray

from backtests.engine.errors import OrderError
from backtests.engine.indicators import Indicator, Indicators
from backtests.engine.request import ParamValue
from backtests.engine.strategy import words
from backtests.engine.strategy.bar import Bar, BarsBySymbol
from backtests.engine.strategy.candles import Candles
from backtests.engine.strategy.happenings import ClosedTrade, Fill, FundingPayment
from backtests.engine.strategy.history import read_count
from backtests.engine.strategy.order import Order
from backtests.engine.strategy.position import OpenPortfolio, OpenPosition

if TYPE_CHECKING:
    from backtests.engine.strategy.session import Session


class Strategy:
    """Inherit it, write `initialize(self)` and `on_data(self, data)`; or `targets(self, candles)` alone."""

    warmup_bars: ClassVar[int] = 0  # bars before the span that indicators and history may use
    _session: "Session"
    _params: Mapping[str, ParamValue] = MappingProxyType({})

    def initialize(self) -> None:
        """Called once before the first bar: make indicators here. Orders are not possible yet."""

    def on_data(self, data: Bar) -> None:
        """Called at the close of every bar of the span."""

    def targets(self, candles: Candles) -> Any:
        """Instead of on_data: the wanted position at the close of each bar, as Targets or an array, in one call."""
        raise NotImplementedError

    # Hooks, all optional; they are called in the order of events, before on_data of the same bar.
    def on_order(self, order: Order) -> None:
        """An order, an attached one too, was filled, rejected, cancelled, or has expired."""

    def on_fill(self, fill: Fill) -> None:
        """One execution."""

    def on_trade_closed(self, trade: ClosedTrade) -> None:
        """A position has gone flat, or flipped."""

    def on_liquidation(self, trade: ClosedTrade) -> None:
        """The exchange closed the position."""

    def on_funding(self, payment: FundingPayment) -> None:
        """Funding was paid or received."""

    def on_finish(self) -> None:
        """Called once after the last bar."""

    # Where the run stands.
    @property
    def symbol(self) -> str:
        return self._session.symbols[0]

    @property
    def symbols(self) -> tuple[str, ...]:
        return self._session.symbols

    @property
    def current_price(self) -> float:
        """The last close."""
        return self._session.bar.close

    @property
    def timestamp(self) -> pd.Timestamp:
        """The bar's open time in UTC."""
        return pd.Timestamp(self._session.bar.time_ms, unit="ms", tz="UTC")

    @property
    def i_bar(self) -> int:
        """0 at the first bar of the span."""
        account = self._session.account
        return account.cursor.i_bar - account.first_bar

    @property
    def params(self) -> Mapping[str, ParamValue]:
        return self._params

    @property
    def bars(self) -> BarsBySymbol:
        """The bar of each symbol: self.bars["ETHUSDT"].close."""
        return self._session.bars

    def every(self, period: str) -> bool:
        """True on the first bar of each period: "1h", "1d", "1w" (weeks start on Monday), in UTC."""
        return self._session.is_period_start(period)

    # Orders.
    def buy(
        self,
        amount: float | None = None,
        leverage: float | None = None,
        *,
        notional: float | None = None,
        equity_ratio: float | None = None,
        symbol: str | None = None,
        limit: float | None = None,
        stop: float | None = None,
        stop_loss: float | None = None,
        take_profit: Any = None,
        trailing_ratio: float | None = None,
        reduce_only: bool = False,
        post_only: bool = False,
        good_for_bars: int | None = None,
        tag: str | None = None,
    ) -> Order:
        """Buy. Exactly one of amount (base), notional (quote), equity_ratio (share of the equity bound as margin).

        Without a price a market order; limit and stop make it wait for theirs. stop_loss, take_profit (one price or a
        list of (share, price)) and trailing_ratio guard what it opens. The answer is falsy when the exchange's rules
        reject it. Raises OrderError for what can never be an order.
        """
        size = words.read_size(amount, notional, equity_ratio)
        rest = (limit, stop, stop_loss, take_profit, trailing_ratio, reduce_only, post_only, good_for_bars, tag)
        return _submit(self._session, +1, size, symbol, leverage, rest)

    def sell(
        self,
        amount: float | None = None,
        leverage: float | None = None,
        *,
        notional: float | None = None,
        equity_ratio: float | None = None,
        symbol: str | None = None,
        limit: float | None = None,
        stop: float | None = None,
        stop_loss: float | None = None,
        take_profit: Any = None,
        trailing_ratio: float | None = None,
        reduce_only: bool = False,
        post_only: bool = False,
        good_for_bars: int | None = None,
        tag: str | None = None,
    ) -> Order:
        """Sell; on futures beyond what is held it opens a short. The same words as buy."""
        size = words.read_size(amount, notional, equity_ratio)
        rest = (limit, stop, stop_loss, take_profit, trailing_ratio, reduce_only, post_only, good_for_bars, tag)
        return _submit(self._session, -1, size, symbol, leverage, rest)

    def close_position(self, percentage: float = 100.0, symbol: str | None = None) -> Order:
        """Close what is open, or a percentage of it. Rejected with NO_POSITION when flat."""
        share = words.read_positive("percentage", percentage)
        if share > 100:
            raise OrderError(f"percentage must be at most 100, not {share:g}.")
        account = self._session.check_can_trade()
        return Order(self._session, account.close_position(self._session.find_symbol(symbol), share))

    def target_ratio(self, ratio: float, symbol: str | None = None, leverage: float | None = None) -> Order:
        """Trade until the position's notional is ratio x equity; negative is short, 0 is flat."""
        target = words.read_number("ratio", ratio)
        account = self._session.check_can_trade()
        i_symbol = self._session.find_symbol(symbol)
        return Order(self._session, account.target_ratio(target, i_symbol, words.read_leverage(leverage)))

    def set_stop_loss(self, price: float, symbol: str | None = None) -> Order:
        """Guard what is open by a stop at the price; it replaces the stops there are. Rejected when flat."""
        stop_price = words.read_given_price("price", price)
        account = self._session.check_can_trade()
        return Order(self._session, account.set_stop_loss(stop_price, self._session.find_symbol(symbol)))

    def set_take_profit(self, price: float, symbol: str | None = None) -> Order:
        """Close what is open at the price; it replaces the targets there are. Rejected when flat."""
        target_price = words.read_given_price("price", price)
        account = self._session.check_can_trade()
        return Order(self._session, account.set_take_profit(target_price, self._session.find_symbol(symbol)))

    def cancel(self, order: Order) -> bool:
        """True when it waited and is now cancelled."""
        if not isinstance(order, Order):
            raise OrderError(f"cancel takes an order that buy or sell returned, not {order!r:.60}.")
        return self._session.check_can_trade().cancel(order.order_id)

    def cancel_all(self, symbol: str | None = None) -> None:
        """Cancel every waiting order, of one symbol or of all."""
        account = self._session.check_can_trade()
        account.cancel_all(-1 if symbol is None else self._session.find_symbol(symbol))

    # The account.
    def get_cash(self) -> float:
        """Wallet balance that is not bound as margin, in quote currency."""
        return self._session.account.cash

    def get_equity(self) -> float:
        """Wallet balance plus unrealised PnL."""
        return self._session.account.margin_balance

    def get_position_size(self, symbol: str | None = None) -> float:
        """Base quantity: negative when short, exactly 0.0 when flat."""
        return self._session.account.position_qty(self._session.find_symbol(symbol))

    def get_entry_price(self, symbol: str | None = None) -> float:
        """NaN when flat."""
        return self._session.account.entry_price(self._session.find_symbol(symbol))

    def get_unrealized_pnl(self, symbol: str | None = None) -> float:
        return self._session.account.unrealised_pnl(self._session.find_symbol(symbol))

    def get_margin_ratio(self) -> float:
        """Maintenance margin / margin: 0 when flat, liquidation at 1."""
        return self._session.account.margin_ratio

    def get_liquidation_price(self, symbol: str | None = None) -> float | None:
        """None when there is none."""
        return self._session.account.liquidation_price(self._session.find_symbol(symbol))

    def get_leverage(self, symbol: str | None = None) -> float:
        """Of the open position; 0 when flat."""
        return self._session.account.position_leverage(self._session.find_symbol(symbol))

    @property
    def position(self) -> OpenPosition:
        """The primary symbol's position."""
        return self._session.positions[self._session.symbols[0]]

    @property
    def portfolio(self) -> OpenPortfolio:
        return self._session.portfolio

    # The past.
    def history(
        self, n: int, field: str | None = None, symbol: str | None = None, timeframe: str | None = None
    ) -> NDArray[Any] | pd.DataFrame:
        """The last n closed bars (fewer when fewer exist): an array of one field, or a DataFrame of all.

        timeframe="4h" builds UTC-aligned bars; one shows once its end is reached, an incomplete first one never.
        """
        n_bars = read_count(n)
        closed = self._session.find_history(symbol, timeframe)
        return closed.frame(n_bars) if field is None else closed.array(n_bars, field)

    def indicator(
        self,
        fn: Callable[..., Any],
        *columns: Any,
        plot: bool = True,
        name: str | None = None,
        pane: str | None = None,
        symbol: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """self.indicator(ta.sma, "close", length=20): computed once, revealed bar by bar (x[-1], x[-2], x.value).

        Columns are names (open, high, low, close, volume) or indicators. Returns one Indicator, or a tuple of them
        where fn gives several. Drawn on the result chart unless plot=False; pane="price" draws it over the candles.
        """
        if not callable(fn):
            raise TypeError(f"indicator takes a function first, such as ta.sma, not {fn!r:.60}.")
        made: Indicator | Indicators = self._session.make_indicator(
            fn, columns, kwargs, symbol=symbol, name=name, pane=pane, is_drawn=plot
        )
        return made

    # What shows with the result.
    def log(self, text: object, level: str = "info") -> None:
        """Write a line into the run's log, with the bar's time. Levels: debug, info, warning, error."""
        self._session.log(str(text), level)

    def plot(self, name: str, value: float, pane: str | None = None) -> None:
        """Draw a value of your own on the result chart; pane="price" draws it over the candles."""
        self._session.plot(name, value, pane)


def _submit(
    session: "Session",
    side: int,
    size: tuple[Any, float],
    symbol: str | None,
    leverage: float | None,
    rest: tuple[Any, ...],
) -> Order:
    account = session.check_can_trade()
    order_id = account.submit(
        side=side,
        size_kind=size[0],
        size=size[1],
        i_symbol=session.find_symbol(symbol),
        leverage=words.read_leverage(leverage),
        **words.read_terms(*rest),
    )
    return Order(session, order_id)
