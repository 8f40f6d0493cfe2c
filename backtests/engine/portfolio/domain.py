"""Position, Trade and Portfolio: the engine's account without bars, for tests and notebooks.

A face of the same kernels, not a second engine: each call is a command at a price that the caller names.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np

from backtests.engine.errors import (
    BacktestError,
    DataError,
    LeverageError,
    LiquidationError,
    MarginError,
    OrderError,
    RequestError,
)
from backtests.engine.kernels.layout import FUNDING_EVENT, RUN_RULES
from backtests.engine.kernels.state import Market, Plane
from backtests.engine.kernels.types import COMMAND, CommandKind, OrderKind, OrderStatus, Reason, SizeKind
from backtests.engine.portfolio.formulas import maintenance_margin
from backtests.engine.portfolio.simulation import Simulation, build_symbol_rules
from backtests.engine.request import DEFAULT_FEES, SYMBOL, Instrument, MarginMode, MarginTier, TradingMarket

_ERRORS: dict[Reason, type[BacktestError]] = {
    Reason.INSUFFICIENT_MARGIN: MarginError,
    Reason.LEVERAGE_ABOVE_LIMIT: LeverageError,
    Reason.LEVERAGE_ABOVE_TIER: LeverageError,
    Reason.RUINED: LiquidationError,
}


class Symbol(str):
    """A symbol of the exchange, such as BTCUSDT. Raises RequestError for what cannot be one."""

    __slots__ = ()

    def __new__(cls, name: str) -> "Symbol":
        if not SYMBOL.fullmatch(str(name)):
            raise RequestError("symbol", "unknown_symbol", f"{name!r} is not a symbol.")
        return super().__new__(cls, name)


class TradingMode(StrEnum):
    SPOT = "spot"
    FUTURES = "futures"


class PositionType(StrEnum):
    LONG = "long"
    SHORT = "short"


class ActionType(StrEnum):
    BUY = "buy"
    SELL = "sell"
    LIQUIDATION = "liquidation"


@dataclass(frozen=True, slots=True)
class Position:
    """An open position. size is signed: positive long, negative short."""

    symbol: str
    size: float
    entry_price: float
    leverage: float
    timestamp: datetime | None
    position_type: PositionType
    margin_used: float

    def unrealized_pnl(self, current_price: float) -> float:
        return self.size * (current_price - self.entry_price)

    def is_liquidation_risk(self, current_price: float, maintenance_margin_rate: float) -> bool:
        """Whether margin + unrealised PnL no longer exceed the maintenance margin at this price."""
        tier = MarginTier(0.0, math.inf, maintenance_margin_rate, math.inf, 0.0)
        needed = maintenance_margin(notional=abs(self.size) * current_price, tiers=(tier,))
        return self.margin_used + self.unrealized_pnl(current_price) <= needed


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution. pnl is what it realised before its fee; margin_used what it brought, negative: released."""

    timestamp: datetime | None
    symbol: str
    action: ActionType
    quantity: float
    price: float
    leverage: float
    fee: float
    position_type: PositionType
    pnl: float
    margin_used: float


class Portfolio:
    """An account that trades at the prices it is told. Refused orders answer False: see `last_refusal`.

    Symbols without an entry in `instruments` get one margin tier of `maintenance_margin_rate`, no minimum sizes and
    no liquidation fee. Raises OrderError for what can never be an order.
    """

    def __init__(
        self,
        initial_capital: float,
        trading_mode: TradingMode = TradingMode.FUTURES,
        max_leverage: float = 125.0,
        *,
        taker_fee: float | None = None,
        maintenance_margin_rate: float = 0.005,
        instruments: Mapping[str, Instrument] | None = None,
        margin_mode: MarginMode = MarginMode.ISOLATED,
    ) -> None:
        if not 0.0 < initial_capital < math.inf:
            raise RequestError("initial_capital", "out_of_range", "The capital must be a number above zero.")
        if not 1.0 <= max_leverage < math.inf:
            raise RequestError("max_leverage", "out_of_range", "The maximum leverage is at least 1.")
        self.trading_mode = TradingMode(trading_mode)
        self.max_leverage = 1.0 if self.trading_mode is TradingMode.SPOT else max_leverage
        self.margin_mode = MarginMode(margin_mode)
        self.initial_capital = initial_capital
        self.timestamp: datetime | None = None  # of what happens next
        self.portfolio_history: list[dict[str, Any]] = []
        self.last_refusal = Reason.NONE
        market = TradingMarket.SPOT if self.trading_mode is TradingMode.SPOT else TradingMarket.USDM
        self._taker_fee = DEFAULT_FEES[market][1] if taker_fee is None else taker_fee
        self._maintenance_margin_rate = maintenance_margin_rate
        self._known = dict(instruments or {})
        self._instruments: list[Instrument] = []
        self._opened_at: dict[str, datetime | None] = {}
        self._times: list[datetime | None] = []  # of the fills
        self._simulation = self._build()

    @property
    def cash(self) -> float:
        """Wallet balance not bound as margin; at least 0 under cross margin, where margins follow the prices."""
        wallet = float(self._simulation.account["wallet_balance"][0])
        if not self._simulation.rules.run["is_cross"][0]:
            return wallet - float(self._simulation.positions["isolated_wallet"].sum())
        rows = zip(self._simulation.positions, self._simulation.market.last.close[:, 0], strict=True)
        bound = sum(float(p["initial_margin"] * price / p["entry_price"]) for p, price in rows if p["steps"])
        return max(0.0, wallet - bound)

    @property
    def positions(self) -> dict[str, Position]:
        """The open positions by symbol."""
        rows = zip(self._instruments, self._simulation.positions, strict=True)
        return {i.symbol: self._position(i.symbol, row) for i, row in rows if row["steps"]}

    @property
    def trades(self) -> list[Trade]:
        """Every execution so far."""
        fills = self._simulation.rows("fills")
        return [self._trade(fill, at) for fill, at in zip(fills, self._times, strict=True)]

    def buy(self, symbol: str, amount: float, price: float, leverage: float = 1.0) -> bool:
        """Buy amount (base units) at the price. True when filled."""
        return self._trade_at(1, symbol, amount, price, leverage)

    def sell(self, symbol: str, amount: float, price: float, leverage: float = 1.0) -> bool:
        """Sell amount (base units) at the price; on futures that may open a short. True when filled."""
        return self._trade_at(-1, symbol, amount, price, leverage)

    def close_position(self, symbol: str, percentage: float = 100.0, price: float | None = None) -> bool:
        """Close a share of the position at the price, or at the last price told. True when filled."""
        if not 0.0 < percentage <= 100.0:
            raise OrderError(f"A percentage lies above 0 and is at most 100; {percentage!r} does not.")
        i_symbol = self._seat(symbol)
        if price is not None:
            self._set_price(i_symbol, price)
        return self._command(CommandKind.CLOSE_POSITION, i_symbol, 0, percentage, math.nan)

    def raise_for_refusal(self) -> None:
        """For code that would rather catch than ask: raise what the last refusal means, nothing after a fill.

        MarginError, LeverageError, LiquidationError (the account is ruined), or OrderError for any other reason.
        """
        if self.last_refusal != Reason.NONE:
            error = _ERRORS.get(self.last_refusal, OrderError)
            raise error(f"The order was refused: {self.last_refusal.name}.")

    def check_liquidations(self, current_prices: Mapping[str, float]) -> list[str]:
        """Tell the prices, and liquidate what is due at them. Returns the symbols that were liquidated."""
        self._tell(current_prices)
        before = len(self._simulation.rows("liquidations"))
        self._simulation.account["i_bar"] = -1  # the one bar, whose prices these are, is walked again
        self._play(np.empty(0, COMMAND))
        rows = self._simulation.rows("liquidations")[before:]
        return [self._instruments[i].symbol for i in rows["i_symbol"]]

    def calculate_portfolio_value(self, current_prices: Mapping[str, float]) -> float:
        """Equity at these prices: wallet balance + unrealised PnL."""
        self._tell(current_prices)
        positions = self._simulation.positions
        prices = self._simulation.market.last.close[:, 0]
        unrealised = sum(
            float(p["qty"] * (price - p["entry_price"])) for p, price in zip(positions, prices, strict=True)
        )
        return float(self._simulation.account["wallet_balance"][0]) + unrealised

    def calculate_margin_ratio(self) -> float:
        """Maintenance margin / margin balance; 0 when flat, liquidation at 1.

        Cross: the account's. Isolated: the largest of the positions', each against margin + unrealised PnL.
        """
        return self._simulation.margin_ratio(0)

    def get_position_size(self, symbol: str) -> float:
        """Signed; 0.0 when flat."""
        position = self.positions.get(symbol)
        return position.size if position else 0.0

    def record_snapshot(self, timestamp: datetime, current_prices: Mapping[str, float]) -> None:
        """Append time, cash, equity, unrealised PnL, margin ratio and sizes to `portfolio_history`."""
        self.timestamp = timestamp
        equity = self.calculate_portfolio_value(current_prices)
        self.portfolio_history.append(
            {
                "timestamp": timestamp,
                "cash": self.cash,
                "equity": equity,
                "unrealized_pnl": equity - float(self._simulation.account["wallet_balance"][0]),
                "margin_ratio": self.calculate_margin_ratio(),
                "positions": {symbol: position.size for symbol, position in self.positions.items()},
            }
        )

    def _trade_at(self, side: int, symbol: str, amount: float, price: float, leverage: float) -> bool:
        if not 0.0 < amount < math.inf:
            raise OrderError(f"amount must be a number above zero; {amount!r} is not.")
        if not 1.0 <= leverage < math.inf:
            raise OrderError(f"Leverage is a number of at least 1; {leverage!r} is not.")
        i_symbol = self._seat(symbol)
        self._set_price(i_symbol, price)
        return self._command(CommandKind.SUBMIT, i_symbol, side, amount, leverage)

    def _command(self, kind: CommandKind, i_symbol: int, side: int, size: float, leverage: float) -> bool:
        command = np.zeros(1, COMMAND)
        command["kind"], command["i_symbol"], command["side"] = kind, i_symbol, side
        command["size_kind"], command["size"], command["leverage"] = SizeKind.QTY, size, leverage
        for name in ("limit_price", "stop_price", "stop_loss", "take_profit", "trailing_ratio"):
            command[name] = math.nan
        command["i_tag"] = -1
        self._play(command)
        order = self._simulation.rows("orders")[-1]
        self.last_refusal = Reason(order["reason"])
        return bool(order["status"] == OrderStatus.FILLED)

    def _play(self, commands: Any) -> None:
        self._simulation.account["n_commands"] = 0
        self._simulation.play(commands, len(commands), 0)
        self._times += [self.timestamp] * (len(self._simulation.rows("fills")) - len(self._times))
        for i, row in enumerate(self._simulation.positions):
            symbol = self._instruments[i].symbol if self._instruments else ""
            if row["steps"]:
                self._opened_at.setdefault(symbol, self.timestamp)
            else:
                self._opened_at.pop(symbol, None)

    def _seat(self, symbol: str) -> int:
        """The symbol's index; it gets its own row of everything when it is new."""
        symbol = Symbol(symbol)
        for i, instrument in enumerate(self._instruments):
            if instrument.symbol == symbol:
                return i
        tier = MarginTier(0.0, math.inf, self._maintenance_margin_rate, self.max_leverage, 0.0)
        self._instruments.append(self._known.get(symbol) or Instrument(symbol, tiers=(tier,)))
        before, self._simulation = self._simulation, self._build()
        n_before = len(self._instruments) - 1
        self._simulation.account[:] = before.account
        self._simulation.positions[:n_before] = before.positions[:n_before]
        for prices, known in zip(self._simulation.market.last, before.market.last, strict=True):
            prices[:n_before] = known[:n_before]
        self._simulation.use_books(before.books)
        return n_before

    def _build(self) -> Simulation:
        """A simulation of one bar; the first symbol's row exists before there is a symbol."""
        n_symbols = max(len(self._instruments), 1)
        last = Plane(*(np.zeros((n_symbols, 1)) for _ in Plane._fields))
        one = np.zeros(1, np.int64)
        no_funding = np.empty(0, FUNDING_EVENT)
        market = Market(one, np.array([0, 1]), one.copy(), last, last, no_funding, last.close.view(np.int64))
        run = np.zeros(1, RUN_RULES)
        run["is_spot"] = self.trading_mode is TradingMode.SPOT
        run["is_cross"] = self.margin_mode is MarginMode.CROSS and self.trading_mode is TradingMode.FUTURES
        run["fills_at_close"] = True
        run["participation_cap"] = math.inf
        run["leverage"], run["max_leverage"] = 1.0, self.max_leverage
        run["maker_fee"] = run["taker_fee"] = self._taker_fee
        rules = build_symbol_rules(run, self._instruments or [Instrument("NONE")])
        simulation = Simulation(market, rules, self.initial_capital)
        simulation.account["i_bar"] = 0
        return simulation

    def _tell(self, prices: Mapping[str, float]) -> None:
        for i, instrument in enumerate(self._instruments):
            if instrument.symbol in prices:
                self._set_price(i, prices[instrument.symbol])

    def _set_price(self, i_symbol: int, price: float) -> None:
        if not 0.0 < price < math.inf:
            raise DataError(f"{price!r} is not a price.")
        for prices in self._simulation.market.last:
            prices[i_symbol] = price  # the volume, too, is some

    def _position(self, symbol: str, row: Any) -> Position:
        margin = float(row["initial_margin"])
        return Position(
            symbol=symbol,
            size=float(row["qty"]),
            entry_price=float(row["entry_price"]),
            leverage=abs(float(row["qty"])) * float(row["entry_price"]) / margin,
            timestamp=self._opened_at.get(symbol),
            position_type=PositionType.LONG if row["steps"] > 0 else PositionType.SHORT,
            margin_used=margin,
        )

    def _trade(self, fill: Any, timestamp: datetime | None) -> Trade:
        action = ActionType.BUY if fill["side"] > 0 else ActionType.SELL
        trade = self._simulation.rows("trades")[fill["trade_id"]]
        return Trade(
            timestamp=timestamp,
            symbol=self._instruments[fill["i_symbol"]].symbol,
            action=ActionType.LIQUIDATION if fill["kind"] == OrderKind.LIQUIDATION else action,
            quantity=float(fill["qty"]),
            price=float(fill["price"]),
            leverage=float(fill["leverage"]),
            fee=float(fill["fee"]),
            position_type=PositionType.LONG if trade["side"] > 0 else PositionType.SHORT,
            pnl=float(fill["realised_pnl"]),
            margin_used=float(fill["initial_margin"]),
        )
