"""The account as a strategy reads it: self.position and self.portfolio. They only read; orders are the way to act."""

import math
from collections.abc import Mapping
from typing import Protocol


class AccountFacts(Protocol):
    """What these objects read: portfolio.Account, or any account that knows as much. `i_symbol` as in the run."""

    @property
    def cash(self) -> float: ...
    @property
    def wallet_balance(self) -> float: ...
    @property
    def margin_balance(self) -> float: ...
    @property
    def available_balance(self) -> float: ...
    @property
    def margin_ratio(self) -> float: ...
    def position_qty(self, i_symbol: int = 0) -> float: ...
    def entry_price(self, i_symbol: int = 0) -> float: ...
    def position_leverage(self, i_symbol: int = 0) -> float: ...
    def initial_margin(self, i_symbol: int = 0) -> float: ...
    def unrealised_pnl(self, i_symbol: int = 0) -> float: ...
    def liquidation_price(self, i_symbol: int = 0) -> float | None: ...


class OpenPosition:
    """What is open in one symbol now. Falsy when flat."""

    __slots__ = ("_account", "_i_symbol", "symbol")

    def __init__(self, account: AccountFacts, i_symbol: int, symbol: str) -> None:
        self._account = account
        self._i_symbol = i_symbol
        self.symbol = symbol

    @property
    def size(self) -> float:
        """Base quantity: positive long, negative short, 0.0 when flat."""
        return self._account.position_qty(self._i_symbol)

    @property
    def entry_price(self) -> float:
        """NaN when flat."""
        return self._account.entry_price(self._i_symbol)

    @property
    def leverage(self) -> float:
        return self._account.position_leverage(self._i_symbol)

    @property
    def margin_used(self) -> float:
        return self._account.initial_margin(self._i_symbol)

    @property
    def unrealized_pnl(self) -> float:
        return self._account.unrealised_pnl(self._i_symbol)

    @property
    def liquidation_price(self) -> float | None:
        return self._account.liquidation_price(self._i_symbol)

    @property
    def position_type(self) -> str:
        """long, short or flat."""
        return "long" if self.size > 0 else "short" if self.size < 0 else "flat"

    @property
    def is_long(self) -> bool:
        return self.size > 0

    @property
    def is_short(self) -> bool:
        return self.size < 0

    @property
    def is_flat(self) -> bool:
        return self.size == 0

    def __bool__(self) -> bool:
        return self.size != 0

    def __repr__(self) -> str:
        entry = "" if math.isnan(self.entry_price) else f" at {self.entry_price:g}, {self.leverage:g}x"
        return f"<{self.symbol} {self.position_type} {abs(self.size):g}{entry}>"


class OpenPortfolio:
    """The whole account now, in quote currency."""

    __slots__ = ("_account", "_positions")

    def __init__(self, account: AccountFacts, positions: Mapping[str, OpenPosition]) -> None:
        self._account = account
        self._positions = positions

    @property
    def cash(self) -> float:
        """Wallet balance that is not bound as margin."""
        return self._account.cash

    @property
    def wallet_balance(self) -> float:
        return self._account.wallet_balance

    @property
    def equity(self) -> float:
        """Wallet balance plus unrealised PnL."""
        return self._account.margin_balance

    @property
    def available_balance(self) -> float:
        return self._account.available_balance

    @property
    def margin_ratio(self) -> float:
        return self._account.margin_ratio

    @property
    def positions(self) -> dict[str, OpenPosition]:
        """Open positions by symbol."""
        return {symbol: position for symbol, position in self._positions.items() if position}

    def __repr__(self) -> str:
        return f"<equity {self.equity:.2f}, cash {self.cash:.2f}, {len(self.positions)} open>"
