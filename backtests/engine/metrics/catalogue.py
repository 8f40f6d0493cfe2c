"""Every number that a result shows: its label, group, unit and formula. Pages, API and command read this."""

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    RATIO = "ratio"  # a fraction, shown as percent
    NUMBER = "number"
    COUNT = "count"
    QUOTE = "quote"  # quote currency
    LEVERAGE = "leverage"


class Group(StrEnum):
    RETURN = "Return"
    RISK = "Risk"
    RATIOS = "Ratios"
    BENCHMARK = "Benchmark"
    TRADES = "Trades"
    ACTIVITY = "Activity"
    MARGIN = "Margin"


@dataclass(frozen=True, slots=True)
class MetricSpec:
    name: str
    label: str
    group: Group
    unit: Unit
    formula: str
    is_signed: bool = False  # shown with + or -, and as gain or loss
    is_of_curve: bool = False  # can be said of any equity curve, so also of buy and hold


_R, _K, _Q, _B, _T, _A, _M = Group
_SPECS = (
    MetricSpec("net_profit", "Net profit", _R, Unit.QUOTE, "E_T - E_0", True, True),
    MetricSpec("final_equity", "Final equity", _R, Unit.QUOTE, "E_T: margin balance at the last bar", False, True),
    MetricSpec("total_return", "Total return", _R, Unit.RATIO, "E_T / E_0 - 1", True, True),
    MetricSpec(
        "annualized_return",
        "Annualized return",
        _R,
        Unit.RATIO,
        "(E_T / E_0)^(365 x 86,400 / seconds) - 1 (CAGR)",
        True,
        True,
    ),
    MetricSpec("best_day", "Best day", _R, Unit.RATIO, "max(r), r = E_d / E_(d-1) - 1 at UTC midnights", True, True),
    MetricSpec("worst_day", "Worst day", _R, Unit.RATIO, "min(r)", True, True),
    MetricSpec("positive_days", "Positive days", _R, Unit.RATIO, "share of full UTC days with r > 0", False, True),
    MetricSpec(
        "max_drawdown",
        "Max drawdown",
        _K,
        Unit.RATIO,
        "min(E / running peak - 1) at bar closes; the peak includes E_0",
        True,
        True,
    ),
    MetricSpec("daily_returns_std", "Daily returns std", _K, Unit.RATIO, "std(r), ddof 1", False, True),
    MetricSpec("volatility", "Volatility", _K, Unit.RATIO, "std(r) x sqrt(365)", False, True),
    MetricSpec(
        "sharpe_ratio", "Sharpe ratio", _Q, Unit.NUMBER, "mean(r) / std(r) x sqrt(365), risk-free 0", True, True
    ),
    MetricSpec(
        "sortino_ratio",
        "Sortino ratio",
        _Q,
        Unit.NUMBER,
        "mean(r) / sqrt(sum(min(r, 0)^2) / T) x sqrt(365)",
        True,
        True,
    ),
    MetricSpec("calmar_ratio", "Calmar ratio", _Q, Unit.NUMBER, "annualized return / |max drawdown|", True, True),
    MetricSpec(
        "benchmark_return",
        "Buy and hold",
        _B,
        Unit.RATIO,
        "last close / (first open x (1 + taker fee)) - 1, mean over the symbols, no leverage, no funding",
        True,
    ),
    MetricSpec("excess_return", "Over buy and hold", _B, Unit.RATIO, "total return - buy and hold", True),
    MetricSpec("total_trades", "Closed trades", _T, Unit.COUNT, "round trips from flat to flat, or to a flip"),
    MetricSpec("long_trades", "Long trades", _T, Unit.COUNT, "closed trades with side long"),
    MetricSpec("short_trades", "Short trades", _T, Unit.COUNT, "closed trades with side short"),
    MetricSpec("open_trades", "Open at the end", _T, Unit.COUNT, "trades still open: marked to market, not closed"),
    MetricSpec("win_rate", "Win rate", _T, Unit.RATIO, "closed trades with PnL > 0 / closed trades"),
    MetricSpec(
        "profit_factor", "Profit factor", _T, Unit.NUMBER, "sum of wins / |sum of losses|, after fees and funding"
    ),
    MetricSpec("expectancy", "Expectancy", _T, Unit.QUOTE, "mean PnL of a closed trade", True),
    MetricSpec("avg_win", "Average win", _T, Unit.QUOTE, "mean PnL of trades with PnL > 0", True),
    MetricSpec("avg_loss", "Average loss", _T, Unit.QUOTE, "mean PnL of trades with PnL < 0", True),
    MetricSpec("payoff_ratio", "Payoff ratio", _T, Unit.NUMBER, "average win / |average loss|"),
    MetricSpec("exposure_time", "Time in market", _A, Unit.RATIO, "bars with an open position at the close / bars"),
    MetricSpec("avg_exposure", "Average exposure", _A, Unit.LEVERAGE, "mean of |notional| / margin balance over bars"),
    MetricSpec("fees", "Fees", _A, Unit.QUOTE, "sum of fees over fills"),
    MetricSpec("slippage", "Slippage", _A, Unit.QUOTE, "cash lost to slipped prices, over fills"),
    MetricSpec("funding", "Funding", _A, Unit.QUOTE, "sum of funding payments; positive = received", True),
    MetricSpec("avg_leverage", "Average leverage", _M, Unit.LEVERAGE, "mean leverage at the opening fill of trades"),
    MetricSpec("max_leverage", "Maximum leverage", _M, Unit.LEVERAGE, "max leverage at the opening fill of trades"),
    MetricSpec("liquidations", "Liquidations", _M, Unit.COUNT, "positions closed by the exchange"),
    MetricSpec("liquidation_losses", "Liquidation losses", _M, Unit.QUOTE, "taken from the wallet by liquidations"),
)

METRICS: dict[str, MetricSpec] = {spec.name: spec for spec in _SPECS}
