"""What a result rests on: assumptions, data, rules with their dates, versions, and the command that repeats it."""

import shlex
from typing import Any

from backtests.engine.request import (
    DEFAULT_FEES,
    FillPolicy,
    LimitFill,
    MarginMode,
    PathRule,
    RunMode,
    TradingMarket,
    timeframe_to_ms,
)
from backtests.engine.request.run_request import MAX_LEVERAGE
from backtests.presentation.limits import say_limits
from backtests.presentation.numbers import (
    format_leverage,
    format_number,
    format_price,
    format_qty,
    format_rate,
    format_seconds,
    format_span,
    iso_time,
)
from backtests.run_report import RunReport
from strategies.params import read_warmup_bars

type Fact = tuple[str, str]

MARKET_WORDS = {TradingMarket.SPOT: "Spot", TradingMarket.USDM: "USD-M futures"}
PATH_WORDS = {PathRule.PESSIMISTIC: "adverse extreme first", PathRule.OPTIMISTIC: "favourable extreme first"}
LIMIT_WORDS = {LimitFill.TOUCH: "when touched", LimitFill.THROUGH: "when the price goes through"}
MARGIN_WORDS = {
    MarginMode.ISOLATED: "isolated: each position its own",
    MarginMode.CROSS: "cross: one wallet for all positions",
}


MODE_WORDS = {
    RunMode.DRAFT: "draft: the strategy had the whole span at hand",
    RunMode.SEALED: "sealed: the strategy was shown one bar at a time",
}


def list_assumptions(report: RunReport) -> list[Fact]:
    """How orders fill and what they cost, in the order in which a reader asks."""
    request = report.request
    is_close = request.fill is FillPolicy.CLOSE
    cap = request.participation_cap
    facts = [
        ("Mode", MODE_WORDS[request.mode]),
        ("Market orders fill", "at the bar's close" if is_close else "at the next bar's open"),
        ("Limit orders fill", LIMIT_WORDS[request.limit_fill]),
        ("Fees", f"maker {format_rate(request.maker_fee)}, taker {format_rate(request.taker_fee)}"),
        ("Slippage", f"{request.slippage_bps:g} bps" if request.slippage_bps else "none"),
        ("Share of a bar's volume", "no limit" if cap is None else f"at most {format_rate(cap)}"),
    ]
    if request.market is TradingMarket.USDM:
        leverage = f"{format_leverage(request.leverage)} default, {format_leverage(request.max_leverage)} at most"
        facts += [
            ("Margin", MARGIN_WORDS[request.margin_mode]),
            ("Leverage", leverage),
            ("Funding", _say_funding(report)),
        ]
    if request.intrabar_timeframe:
        path = f"from {request.intrabar_timeframe} candles; in each, {PATH_WORDS[request.path]}"
    else:
        path = PATH_WORDS[request.path]
    facts.append(("Path inside a bar", path))
    return facts


def _say_funding(report: RunReport) -> str:
    if not report.request.funding:
        return "off"
    codes = {warning.code for warning in report.warnings}
    if "funding_not_held" in codes:
        return "none: no rates are held"
    return "charged where rates are held" if "funding_partly_held" in codes else "charged"


def list_run_facts(report: RunReport) -> list[Fact]:
    """The request as it ran."""
    request = report.request
    params = ", ".join(f"{name} = {value}" for name, value in request.params.items()) or "none"
    version = f" v{report.strategy.version}" if report.strategy.version else ""
    return [
        ("Strategy", f"{report.strategy.name}{version}"),
        ("Source SHA-256", report.strategy.sha256),
        ("Parameters", params),
        ("Market", MARKET_WORDS[request.market]),
        ("Symbols", ", ".join(request.symbols)),
        ("Timeframe", request.timeframe),
        ("Span (UTC, end excluded)", format_span(request.from_ms, request.to_ms)),
        ("Bars", f"{report.n_bars:,}" + (f" after {report.first_bar:,} of warm-up" if report.first_bar else "")),
        ("Initial balance", format_number(request.initial_balance)),
        ("Seed", str(request.seed)),
        ("Limits asked for", say_limits(request.limits) or "none: those of the account held"),
    ]


def list_data_facts(report: RunReport) -> list[Fact]:
    """Which candles were read, and the exchange's rules with the days from which they hold."""
    facts = [("Data revision", str(report.run_data.get("data_revision", "")))]
    for symbol in report.run_data.get("symbols", []):
        rules = symbol["rules"]
        name = rules["symbol"]
        facts += [
            (f"{name} series", symbol["series_name"]),
            (f"{name} bars", _say_bars(symbol)),
            (f"{name} rows in the span", f"{symbol['n_rows_in_span']:,}, {len(symbol['gaps'])} gaps"),
            (
                f"{name} filters",
                f"tick {format_price(rules['tick_size'])}, step {format_qty(rules['step_size'])}, at least "
                f"{format_qty(rules['min_qty'])} and {format_number(rules['min_notional'], 0)}; "
                f"{_say_source(rules, 'rules')}",
            ),
        ]
        if rules["tiers"]:
            n_tiers, fee = len(rules["tiers"]), format_rate(rules["liquidation_fee_rate"])
            text = f"{n_tiers} tiers, liquidation fee {fee}; {_say_source(rules, 'tiers')}"
            facts.append((f"{name} margin tiers", text))
        if finer := symbol.get("fine_timeframe"):
            source = symbol.get("fine_source_timeframe") or finer
            text = finer if source == finer else f"{finer} built from {source} candles"
            facts.append((f"{name} finer candles", f"{text}, for the path inside a bar"))
        if rules["tiers"]:
            facts.append((f"{name} mark price", _say_mark(symbol, report)))
    return facts


def _say_source(rules: dict[str, Any], name: str) -> str:
    source = rules.get(f"{name}_source", "")  # older runs kept none
    return f"as of {rules[f'{name}_as_of']}" + (f" ({source})" if source else "")


def _say_bars(symbol: dict[str, Any]) -> str:
    timeframe = symbol["timeframe"]
    source = symbol.get("source_timeframe") or timeframe
    return f"{timeframe} candles as held" if source == timeframe else f"{timeframe} bars built from {source} candles"


def _say_mark(symbol: dict[str, Any], report: RunReport) -> str:
    timeframe, request = symbol["mark_timeframe"], report.request
    if not symbol["mark"]:
        return "not held: trade bars stand in"
    if timeframe_to_ms(timeframe) > timeframe_to_ms(request.intrabar_timeframe or request.timeframe):
        return f"{timeframe} mark candles price the funding; trade bars stand in for liquidation"
    name = symbol["rules"]["symbol"]
    is_partial = any(w.code == "mark_partly_held" and f" {name} " in w.message for w in report.warnings)
    return f"{timeframe} mark candles" + (", where they are held" if is_partial else "")


def list_result_facts(report: RunReport) -> list[Fact]:
    """The hash of all rows of record, and what computed them."""
    facts = [("Result hash", report.result_hash)]
    facts += list(report.versions.items())
    facts.append(("Isolation of the strategy", report.jail_level or "none"))
    facts += [(f"Time: {name}", format_seconds(seconds)) for name, seconds in report.timings.items()]
    return facts


def write_command(report: RunReport) -> str:
    """The run_backtest command that gives the same numbers, from the strategy's source in strategy.py."""
    request = report.request
    words = ["python", "manage.py", "run_backtest", "strategy.py", "--market", str(request.market)]
    for symbol in request.symbols:
        words += ["--symbol", symbol]
    words += ["--timeframe", request.timeframe, "--from", iso_time(request.from_ms), "--to", iso_time(request.to_ms)]
    words += [
        "--initial-balance", f"{request.initial_balance:.15g}", "--leverage", f"{request.leverage:.15g}",
        "--fill", str(request.fill),
    ]  # fmt: skip
    defaults = DEFAULT_FEES[request.market]
    for name, value, usual in (
        ("--maker-fee", request.maker_fee, defaults[0]),
        ("--taker-fee", request.taker_fee, defaults[1]),
        ("--slippage-bps", request.slippage_bps, 0.0),
        ("--max-leverage", request.max_leverage, 1.0 if request.market is TradingMarket.SPOT else MAX_LEVERAGE),
        ("--warmup-bars", request.warmup_bars, read_warmup_bars(report.strategy.source)),
        ("--seed", request.seed, 0),
    ):
        if value != usual:
            words += [name, f"{value:.15g}"]
    for name, choice, usual_choice in (
        ("--limit-fill", request.limit_fill, LimitFill.TOUCH),
        ("--path", request.path, PathRule.PESSIMISTIC),
        ("--margin-mode", request.margin_mode, MarginMode.ISOLATED),
        ("--mode", request.mode, RunMode.DRAFT),
        ("--intrabar", request.intrabar_timeframe, None),
        ("--participation-cap", request.participation_cap, None),
    ):
        if choice is not None and choice != usual_choice:
            words += [name, f"{choice:.15g}" if isinstance(choice, float) else str(choice)]
    if not request.funding:
        words.append("--no-funding")
    for name, param in request.params.items():
        words += ["--param", f"{name}={param}"]
    for name, limit in request.limits.items():
        words += ["--limit", f"{name}={limit}"]
    return shlex.join(words)
