"""What a strategy may use, once: the editor completes from it, the source check compares with it, the docs list it.

A test compares the names with the engine's real classes.
"""

from dataclasses import asdict, dataclass
from typing import Literal

type Owner = Literal["global", "self", "data", "order", "position", "portfolio", "indicator", "candles", "ta"]
type Kind = Literal["method", "property", "class", "function", "hook", "attribute", "module"]


@dataclass(frozen=True, slots=True)
class ApiName:
    """One name: where it lives (`self.buy` has the owner "self"), how it is called, one or two sentences about it."""

    owner: Owner
    name: str
    kind: Kind
    signature: str  # "(...)" of what is called; the value's type of what is read
    doc: str


_SIZED = (
    "(amount=None, leverage=None, *, notional=None, equity_ratio=None, symbol=None, limit=None, stop=None, "
    "stop_loss=None, take_profit=None, trailing_ratio=None, reduce_only=False, post_only=False, good_for_bars=None, "
    "tag=None)"
)
_OF_SYMBOL = "(symbol=None)"

GLOBAL_NAMES = (
    ApiName("global", "Strategy", "class", "", "The class that a strategy inherits; one per source."),
    ApiName(
        "global",
        "Param",
        "class",
        "(default, *, min=None, max=None, step=None, choices=None)",
        "A parameter, declared in the class body: fast = Param(20, min=5, max=100). The run form asks for its value; "
        "self.fast reads it.",
    ),
    ApiName(
        "global", "crossed_above", "function", "(a, b)", "True on the bar where a goes from at or below b to above it."
    ),
    ApiName(
        "global", "crossed_below", "function", "(a, b)", "True on the bar where a goes from at or above b to below it."
    ),
    ApiName(
        "global",
        "Targets",
        "class",
        "(values, unit='equity_ratio', leverage=None, stop_loss_ratio=None, take_profit_ratio=None, "
        "rebalance_band=None)",
        "What targets(self, candles) returns: the wanted position at each bar. unit: equity_ratio, qty or notional; "
        "NaN: no change.",
    ),
    ApiName("global", "ta", "module", "pandas_ta", "The indicators of pandas_ta: ta.sma, ta.ema, ta.rsi, ta.atr ..."),
)

HOOKS = (
    ApiName("self", "initialize", "hook", "(self)", "Called once, before the first bar: make indicators. Required."),
    ApiName("self", "on_data", "hook", "(self, data)", "Called after the close of every bar of the span. Required."),
    ApiName(
        "self",
        "targets",
        "hook",
        "(self, candles)",
        "Instead of on_data: returns the wanted position of every bar at once, as an array or Targets. Fast.",
    ),
    ApiName("self", "on_order", "hook", "(self, order)", "Called when an order of yours changes its state."),
    ApiName("self", "on_fill", "hook", "(self, fill)", "Called for each execution."),
    ApiName("self", "on_trade_closed", "hook", "(self, trade)", "Called when a position has gone flat or flipped."),
    ApiName("self", "on_liquidation", "hook", "(self, trade)", "Called when the exchange has closed a position."),
    ApiName("self", "on_funding", "hook", "(self, payment)", "Called for each funding payment, received or paid."),
    ApiName("self", "on_finish", "hook", "(self)", "Called once, after the last bar."),
)

TRADE_NAMES = (
    ApiName(
        "self",
        "buy",
        "method",
        _SIZED,
        "Buys. Give exactly one size: amount (base quantity), notional (quote) or equity_ratio (share of your equity "
        "bound as margin, fee included). limit and stop make it wait for a price; stop_loss, take_profit (a price, or "
        "a list of (share, price)) and trailing_ratio guard what it opens. Returns an order, falsy when rejected.",
    ),
    ApiName(
        "self",
        "sell",
        "method",
        _SIZED,
        "Sells; opens a short on futures when nothing is held. The words are those of buy.",
    ),
    ApiName(
        "self",
        "close_position",
        "method",
        "(percentage=100.0, symbol=None)",
        "Closes the open position, or a part of it.",
    ),
    ApiName(
        "self",
        "target_ratio",
        "method",
        "(ratio, symbol=None, leverage=None)",
        "Buys or sells until the position's notional is ratio x equity; negative is short, 0 is flat.",
    ),
    ApiName(
        "self",
        "set_stop_loss",
        "method",
        "(price, symbol=None)",
        "Guards what is open by a stop at the price, in place of the stops there are; rejected when flat.",
    ),
    ApiName(
        "self",
        "set_take_profit",
        "method",
        "(price, symbol=None)",
        "Closes what is open at the price, in place of the targets there are; rejected when flat.",
    ),
    ApiName("self", "cancel", "method", "(order)", "Cancels an order that still waits; True when it did."),
    ApiName("self", "cancel_all", "method", "(symbol=None)", "Cancels every waiting order, of one symbol or of all."),
)

ACCOUNT_NAMES = (
    ApiName("self", "get_cash", "method", "()", "Wallet balance that is not bound as margin, in quote currency."),
    ApiName("self", "get_equity", "method", "()", "Wallet balance plus unrealised PnL, in quote currency."),
    ApiName("self", "get_position_size", "method", _OF_SYMBOL, "Position quantity: negative when short, 0 when flat."),
    ApiName("self", "get_entry_price", "method", _OF_SYMBOL, "Mean entry price of the open position."),
    ApiName("self", "get_unrealized_pnl", "method", _OF_SYMBOL, "Unrealised PnL of the open position."),
    ApiName("self", "get_margin_ratio", "method", "()", "Maintenance margin / margin: 0 when flat, liquidation at 1."),
    ApiName("self", "get_liquidation_price", "method", _OF_SYMBOL, "Price at which the exchange would close; or None."),
    ApiName("self", "get_leverage", "method", _OF_SYMBOL, "Leverage of the open position."),
    ApiName("self", "position", "property", "Position", "The open position: size, entry_price, leverage, margin_used."),
    ApiName("self", "portfolio", "property", "Portfolio", "The account as an object with the same facts."),
)

CONTEXT_NAMES = (
    ApiName("self", "symbol", "property", "str", "The run's primary symbol, for example BTCUSDT."),
    ApiName("self", "symbols", "property", "tuple[str, ...]", "All symbols of the run, the primary first."),
    ApiName("self", "current_price", "property", "float", "Close of the bar that has just ended."),
    ApiName("self", "timestamp", "property", "pandas.Timestamp", "The bar's open time, in UTC."),
    ApiName("self", "i_bar", "property", "int", "Number of the bar, counting from the start of the span."),
    ApiName("self", "params", "property", "dict", "The run's parameter values by name."),
    ApiName("self", "bars", "property", "dict", "The newest bar of each symbol: self.bars['ETHUSDT'].close."),
    ApiName("self", "warmup_bars", "attribute", "int", "Set in the class body: bars before the span for indicators."),
)

DATA_AND_REPORT_NAMES = (
    ApiName(
        "self",
        "indicator",
        "method",
        "(fn, *columns, plot=True, name=None, pane=None, symbol=None, **kwargs)",
        "An indicator over the whole span, revealed bar by bar: self.indicator(ta.sma, 'close', length=20). Call it in "
        "initialize; read x[-1], x[-2], x.value. NaN before its first value.",
    ),
    ApiName(
        "self",
        "history",
        "method",
        "(n, field=None, symbol=None, timeframe=None)",
        "The last n closed bars: an array of one field, or a DataFrame. timeframe='4h' builds larger bars.",
    ),
    ApiName("self", "every", "method", "(period)", "True on the first bar of each period: self.every('1h')."),
    ApiName("self", "log", "method", "(text, level='info')", "Writes a line into the run's log, with the bar's time."),
    ApiName("self", "plot", "method", "(name, value, pane=None)", "Draws a value of your own on the result chart."),
)

BAR_NAMES = (
    ApiName("data", "open", "property", "float", "First price of the bar."),
    ApiName("data", "high", "property", "float", "Highest price of the bar."),
    ApiName("data", "low", "property", "float", "Lowest price of the bar."),
    ApiName("data", "close", "property", "float", "Last price of the bar."),
    ApiName("data", "volume", "property", "float", "Traded base quantity."),
    ApiName("data", "time_ms", "property", "int", "The bar's open time: milliseconds since 1970, UTC."),
    ApiName("data", "is_fresh", "property", "bool", "False where the primary symbol has no bar at this time."),
    ApiName("data", "symbol", "property", "str", "Whose bar it is."),
    ApiName("data", "to_series", "method", "()", "The bar as a pandas Series."),
)

CANDLES_NAMES = (
    ApiName("candles", "open", "property", "array", "First prices, one for each bar of warm-up and span; read-only."),
    ApiName("candles", "high", "property", "array", "Highest prices."),
    ApiName("candles", "low", "property", "array", "Lowest prices."),
    ApiName("candles", "close", "property", "array", "Last prices. candles['close'] is the same as a pandas Series."),
    ApiName("candles", "volume", "property", "array", "Traded base quantities."),
    ApiName("candles", "time_ms", "property", "array", "Open times: milliseconds since 1970, UTC."),
    ApiName("candles", "first_bar", "property", "int", "Index of the first bar of the span; before it is the warm-up."),
    ApiName("candles", "symbol", "property", "str", "Whose bars they are."),
    ApiName(
        "candles",
        "indicator",
        "method",
        "(fn, *columns, plot=True, name=None, pane=None, **kwargs)",
        "One value for each bar: candles.indicator(ta.sma, 'close', length=20). Several arrays where fn gives several.",
    ),
    ApiName(
        "candles",
        "crossings",
        "method",
        "(line, other)",
        "1 where line comes to be above other, -1 where below, NaN elsewhere: values for Targets.",
    ),
    ApiName("candles", "to_frame", "method", "()", "All columns as a DataFrame, indexed by open time."),
    ApiName("candles", "of", "method", "(symbol)", "The candles of another symbol of the run."),
)

ORDER_NAMES = (
    ApiName("order", "status", "property", "str", "pending, partly_filled, filled, cancelled, rejected or expired."),
    ApiName("order", "reject_reason", "property", "str", "Why it was refused, such as INSUFFICIENT_MARGIN; or empty."),
    ApiName("order", "qty", "property", "float", "The base quantity that its size came to; NaN until known."),
    ApiName("order", "filled_qty", "property", "float", "Base quantity filled so far."),
    ApiName("order", "average_price", "property", "float", "Mean price of the fills; NaN while there is none."),
    ApiName("order", "is_waiting", "property", "bool", "True while something of it can still fill."),
    ApiName("order", "side", "property", "str", "buy or sell."),
    ApiName("order", "symbol", "property", "str", "The symbol that it trades."),
    ApiName("order", "kind", "property", "str", "market, limit, stop, stop_limit, stop_loss, take_profit, ..."),
    ApiName("order", "limit", "property", "float", "Its limit price, on the tick; None where it has none."),
    ApiName("order", "stop", "property", "float", "The price that triggers it, where it stands now; None without one."),
    ApiName("order", "attached", "property", "tuple", "What came with it: its stop, its targets, its trailing stop."),
    ApiName("order", "parent", "property", "Order", "The entry that it is attached to; None where there is none."),
    ApiName("order", "is_reduce_only", "property", "bool", "True where it may only reduce what is held."),
    ApiName("order", "tag", "property", "str", "The text that it was given; empty without one."),
    ApiName(
        "order",
        "modify",
        "method",
        "(limit=None, stop=None, qty=None)",
        "Changes a waiting order; False where the exchange's rules refuse it, and then nothing changes.",
    ),
    ApiName("order", "order_id", "property", "int", "Its number in the run's list of orders."),
    ApiName("order", "cancel", "method", "()", "Cancels what still waits; True when something did."),
)

POSITION_NAMES = (
    ApiName("position", "size", "property", "float", "Base quantity: negative when short, 0.0 when flat."),
    ApiName("position", "entry_price", "property", "float", "Mean entry price; NaN when flat."),
    ApiName("position", "leverage", "property", "float", "Entry notional / margin brought; 0 when flat."),
    ApiName("position", "margin_used", "property", "float", "Margin bound by the position, in quote currency."),
    ApiName("position", "unrealized_pnl", "property", "float", "Unrealised PnL, in quote currency."),
    ApiName("position", "liquidation_price", "property", "float", "Where the exchange would close it; None if never."),
    ApiName("position", "position_type", "property", "str", "long, short or flat."),
    ApiName("position", "is_long", "property", "bool", "True when long."),
    ApiName("position", "is_short", "property", "bool", "True when short."),
    ApiName("position", "is_flat", "property", "bool", "True when nothing is open."),
    ApiName("position", "symbol", "property", "str", "Its symbol."),
)

PORTFOLIO_NAMES = (
    ApiName("portfolio", "equity", "property", "float", "Wallet balance plus unrealised PnL."),
    ApiName("portfolio", "cash", "property", "float", "Wallet balance that is not bound as margin."),
    ApiName("portfolio", "wallet_balance", "property", "float", "Deposit + realised PnL - fees + funding."),
    ApiName("portfolio", "available_balance", "property", "float", "What new orders may bind."),
    ApiName("portfolio", "margin_ratio", "property", "float", "Maintenance margin / margin; liquidation at 1."),
    ApiName("portfolio", "positions", "property", "dict", "The open positions by symbol."),
)

INDICATOR_NAMES = (
    ApiName("indicator", "value", "property", "float", "The newest value; the same as x[-1]."),
    ApiName("indicator", "name", "property", "str", "What the chart calls it."),
)

# The indicators asked for most; pandas_ta has many more.
TA_NAMES = (
    ApiName("ta", "sma", "function", "('close', length=10)", "Simple moving average."),
    ApiName("ta", "ema", "function", "('close', length=10)", "Exponential moving average."),
    ApiName("ta", "wma", "function", "('close', length=10)", "Weighted moving average."),
    ApiName("ta", "hma", "function", "('close', length=10)", "Hull moving average."),
    ApiName("ta", "rsi", "function", "('close', length=14)", "Relative strength index, 0 to 100."),
    ApiName("ta", "roc", "function", "('close', length=10)", "Rate of change in percent."),
    ApiName("ta", "mom", "function", "('close', length=10)", "Momentum: price minus price some bars ago."),
    ApiName("ta", "macd", "function", "('close', fast=12, slow=26, signal=9)", "MACD, histogram and signal."),
    ApiName("ta", "bbands", "function", "('close', length=5)", "Bollinger bands: lower, middle, upper and more."),
    ApiName("ta", "stdev", "function", "('close', length=30)", "Standard deviation."),
    ApiName("ta", "zscore", "function", "('close', length=30)", "Distance from the mean in standard deviations."),
    ApiName("ta", "atr", "function", "('high', 'low', 'close', length=14)", "Average true range."),
    ApiName("ta", "adx", "function", "('high', 'low', 'close', length=14)", "Average directional index; several."),
    ApiName("ta", "stoch", "function", "('high', 'low', 'close', k=14, d=3)", "Stochastic oscillator: K and D."),
    ApiName("ta", "cci", "function", "('high', 'low', 'close', length=14)", "Commodity channel index."),
    ApiName("ta", "willr", "function", "('high', 'low', 'close', length=14)", "Williams %R, -100 to 0."),
    ApiName("ta", "donchian", "function", "('high', 'low', lower_length=20, upper_length=20)", "Donchian channel."),
    ApiName("ta", "supertrend", "function", "('high', 'low', 'close', length=7, multiplier=3.0)", "Supertrend."),
    ApiName("ta", "obv", "function", "('close', 'volume')", "On-balance volume."),
    ApiName("ta", "vwma", "function", "('close', 'volume', length=10)", "Volume-weighted moving average."),
    ApiName("ta", "mfi", "function", "('high', 'low', 'close', 'volume', length=14)", "Money flow index."),
)

API = (
    *GLOBAL_NAMES,
    *HOOKS,
    *TRADE_NAMES,
    *ACCOUNT_NAMES,
    *CONTEXT_NAMES,
    *DATA_AND_REPORT_NAMES,
    *BAR_NAMES,
    *CANDLES_NAMES,
    *ORDER_NAMES,
    *POSITION_NAMES,
    *PORTFOLIO_NAMES,
    *INDICATOR_NAMES,
    *TA_NAMES,
)


def names_of(owner: Owner) -> dict[str, ApiName]:
    return {entry.name: entry for entry in API if entry.owner == owner}


def reference_groups() -> list[tuple[str, tuple[ApiName, ...]]]:
    """The reference as a page shows it: titles and their names."""
    return [
        ("Your class", (*GLOBAL_NAMES, *HOOKS)),
        ("Trade", TRADE_NAMES),
        ("Account", ACCOUNT_NAMES),
        ("Indicators and history", DATA_AND_REPORT_NAMES),
        ("The bar", BAR_NAMES),
        ("The candles that targets gets", CANDLES_NAMES),
        ("Context", CONTEXT_NAMES),
        ("An order", ORDER_NAMES),
        ("self.position and self.portfolio", (*POSITION_NAMES, *PORTFOLIO_NAMES)),
        ("An indicator", INDICATOR_NAMES),
        ("pandas_ta, for self.indicator", TA_NAMES),
    ]


def to_completions() -> list[dict[str, str]]:
    """The reference as plain values, for the editor."""
    return [asdict(entry) for entry in API]
