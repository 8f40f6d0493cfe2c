"""The figures of a run: the strip on top, the groups of the Metrics tab, the month table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtests.engine.metrics import METRICS, EquityCurve, MetricValue, monthly_returns
from backtests.presentation.numbers import DASH, NBSP, format_metric, format_number, format_ratio, say_note, tone_of
from backtests.run_report import RunReport

STRIP = ("total_return", "annualized_return", "max_drawdown", "sharpe_ratio", "sortino_ratio", "win_rate",
         "profit_factor", "total_trades")  # fmt: skip
LIST_COLUMNS = ("total_return", "max_drawdown", "sharpe_ratio", "total_trades")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number as shown; `benchmark` is the same number of buy and hold, empty where it has none."""

    name: str
    label: str
    text: str
    tone: str
    note: str
    benchmark: str
    formula: str
    unit: str


@dataclass(frozen=True, slots=True)
class MonthCell:
    text: str = ""
    tone: str = ""
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class YearRow:
    year: int
    months: tuple[MonthCell, ...]
    total: MonthCell


def strip_figures(report: RunReport) -> list[Figure]:
    """What is shown first. Liquidations, when there were any, matter more than the final equity."""
    last = "liquidations" if report.metrics["liquidations"].value else "final_equity"
    return [_figure(name, report) for name in (*STRIP, last)]


def group_figures(report: RunReport) -> list[tuple[str, list[Figure], bool]]:
    """Every metric by its group, in the order of the catalogue; and whether buy and hold has any of them."""
    groups: dict[str, list[Figure]] = {}
    for name, spec in METRICS.items():
        groups.setdefault(spec.group, []).append(_figure(name, report))
    return [(group, rows, any(row.benchmark for row in rows)) for group, rows in groups.items()]


def summary_figures(summary: Mapping[str, Any], names: Sequence[str] = LIST_COLUMNS) -> list[Figure]:
    """The figures of a list row, from the summary that is stored with the run."""
    metrics, notes = summary.get("metrics", {}), summary.get("notes", {})
    return [_of_values(name, MetricValue(metrics.get(name), note=notes.get(name, "")), "", "") for name in names]


def _figure(name: str, report: RunReport) -> Figure:
    held = report.benchmark.get(name)
    quote = quote_asset(report.request.symbol)
    return _of_values(name, report.metrics[name], format_metric(METRICS[name], held.value) if held else "", quote)


def _of_values(name: str, metric: MetricValue, benchmark: str, quote: str) -> Figure:
    spec = METRICS[name]
    note = say_note(metric)
    if metric.standard_error is not None and metric.value is not None:
        note = f"± {format_number(metric.standard_error)} standard error" + (f", {note}" if note else "")
    text = format_metric(spec, metric.value)
    tone = tone_of(spec, metric.value)
    if metric.note == "short_span":
        text, tone = DASH, ""  # +5 % in three days would read as 37,747 %
    unit = quote if spec.unit == "quote" else ""
    return Figure(name, spec.label, text, tone, note, benchmark, spec.formula, unit)


def quote_asset(symbol: str) -> str:
    """USDT for BTCUSDT; empty when the symbol does not end in a quote asset that we know."""
    plain = symbol.split("_")[0]
    return next(
        (asset for asset in ("USDT", "USDC", "FDUSD", "BUSD", "BTC", "ETH", "BNB") if plain.endswith(asset)), ""
    )


def month_table(report: RunReport) -> list[YearRow]:
    """Returns by calendar month; months that the span covers only in part are marked."""
    rows = report.tables["equity"]
    request = report.request
    time_ms, equity = np.ascontiguousarray(rows["time_ms"]), np.ascontiguousarray(rows["margin_balance"])
    curve = EquityCurve(report.initial_balance, request.from_ms, request.to_ms, time_ms, equity)
    years: dict[int, dict[int, MonthCell]] = {}
    totals: dict[int, float] = {}
    for month in monthly_returns(curve):
        cell = _month_cell(month.value, month.is_partial)
        years.setdefault(month.year, {})[month.month] = cell
        totals[month.year] = (1 + totals.get(month.year, 0.0)) * (1 + month.value) - 1
    return [
        YearRow(year, tuple(cells.get(month, MonthCell()) for month in range(1, 13)), _month_cell(totals[year], False))
        for year, cells in sorted(years.items())
    ]


def _month_cell(value: float, is_partial: bool) -> MonthCell:
    tone = "" if abs(value) < 5e-7 else "gain" if value > 0 else "loss"
    return MonthCell(format_ratio(value, is_signed=True).removesuffix(f"{NBSP}%"), tone, is_partial)
