"""From a fresh outcome or from stored files to a RunReport."""

import platform
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from backtests import artifacts
from backtests.engine.kernels.types import EQUITY, FILL, FUNDING, LIQUIDATION, ORDER, TRADE
from backtests.engine.metrics import EquityCurve, buy_and_hold, compute_curve_metrics, compute_metrics
from backtests.engine.request import TIMEFRAME_MS, Bars, Feed, PathRule, RunRequest, timeframe_to_ms
from backtests.engine.result import EngineResult
from backtests.models import BacktestRun
from backtests.run_report import (
    BENCHMARK,
    POINT,
    RECORD_TABLES,
    DrawnSeries,
    ReportWarning,
    Rows,
    RunReport,
    StrategyFacts,
)
from backtests.runner.outcome import RunOutcome
from marketdata.reading import read_timeframe
from marketdata.run_data import RunData
from marketdata.store import CandleStore


def build_report(
    outcome: RunOutcome, request: RunRequest, run_data: RunData, feed: Feed, *, strategy: StrategyFacts
) -> RunReport:
    """The report of a run that succeeded. Used by the task and by the command, so that both say the same."""
    result = outcome.result
    if result is None:
        raise ValueError("A run without a result has no report.")
    all_bars = [symbol.bars for symbol in feed.symbols]
    benchmark = buy_and_hold(request, all_bars)
    drawn, indicators, points = _draw(outcome, result)
    return RunReport(
        request=request,
        run_data=run_data.to_json(),
        strategy=strategy,
        initial_balance=result.initial_balance,
        final_equity=result.final_equity,
        is_ruined=result.is_ruined,
        n_bars=result.n_bars,
        first_bar=result.first_bar,
        result_hash=result.result_hash(),
        metrics=compute_metrics(result, request, *all_bars),
        benchmark=compute_curve_metrics(benchmark),
        tables={
            **{name: getattr(result, name) for name in RECORD_TABLES},
            "benchmark": _benchmark_table(benchmark),
            "indicators": indicators,
            "points": points,
        },
        tags=result.tags,
        counters=dict(result.counters),
        warnings=_warnings(request, run_data, result),
        log=outcome.log,
        drawn=drawn,
        versions=read_versions(),
        timings=dict(outcome.timings),
        jail_level=outcome.jail_level,
        n_orders=len(result.orders),
        n_fills=len(result.fills),
        n_orders_rejected=result.n_orders_rejected,
    )


def load_report(run: BacktestRun) -> RunReport:
    """The stored report of a succeeded run; its tables are read when first asked for.

    Raises artifacts.ArtifactError when the files are missing or damaged.
    """
    return _read_report(run.artifact_dir)


def load_kept_report(run: BacktestRun) -> RunReport:
    """As load_report, but the last few stay in memory: zooming asks for the same one again and again.

    An attempt's folder never changes. Do not write into its tables. Raises artifacts.ArtifactError.
    """
    return _keep_report(run.artifact_dir)


def load_bars(report: RunReport) -> Bars:
    """The primary symbol's bars of the span, from the candle files that the run has pinned.

    Raises marketdata.store.StoreError when a file is missing or damaged.
    """
    request = report.request
    files = RunData.from_json(report.run_data).symbols[0].bar_files
    names = ("open_ms", "open", "high", "low", "close", "volume", "n_trades")
    return Bars(
        **read_timeframe(CandleStore(Path(settings.HOME)), files, names, request.from_ms, request.to_ms).columns
    )


@cache
def read_versions() -> Mapping[str, str]:
    """What computes results here: shown with them, so that they can be made again."""
    versions = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    with (Path(settings.BASE_DIR) / "pyproject.toml").open("rb") as file:
        versions = {"Hindsight": tomllib.load(file)["project"]["version"], **versions}
    for package in ("numpy", "numba", "pandas", "pandas-ta", "TA-Lib"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _read_report(artifact_dir: str) -> RunReport:
    folder = artifacts.folder_of(artifact_dir)
    return RunReport.from_facts(artifacts.load_facts(folder), _StoredTables(folder))


_keep_report = lru_cache(maxsize=2)(_read_report)  # a year of 1m bars is about 60 MB


_DECLARED = {
    "orders": ORDER, "fills": FILL, "trades": TRADE, "equity": EQUITY, "funding": FUNDING, "liquidations": LIQUIDATION
}  # fmt: skip


class _StoredTables(Mapping[str, Rows]):
    """The tables of a result folder, each read once, when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Rows] = {}

    def __getitem__(self, name: str) -> Rows:
        if name not in self._read:
            self._read[name] = _as_declared(name, artifacts.load_table(self._folder, name))
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self._folder.glob("*.parquet")))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _as_declared(name: str, rows: Rows) -> Rows:
    """Rows of record with today's columns: a result of an older version lacks those that came later."""
    declared = _DECLARED.get(name)
    if declared is None or rows.dtype.names == declared.names:
        return rows
    found = np.zeros(len(rows), declared)
    for column in declared.names or ():
        if column in (rows.dtype.names or ()):
            found[column] = rows[column]
        elif declared[column].kind == "f":
            found[column] = np.nan
    return found


def _benchmark_table(curve: EquityCurve) -> Rows:
    table = np.zeros(len(curve.time_ms), BENCHMARK)
    table["time_ms"], table["equity"] = curve.time_ms, curve.equity
    return table


def _warnings(request: RunRequest, run_data: RunData, result: EngineResult) -> tuple[ReportWarning, ...]:
    found = [ReportWarning(warning.code, warning.message) for warning in run_data.warnings]
    if result.is_ruined:
        found.insert(0, ReportWarning("ruined", "The account was ruined: equity fell to zero and the run ended there."))
    if not len(result.trades):
        found.append(ReportWarning("no_trades", "The strategy opened no trade over the whole span."))
    if n := result.n_orders_rejected:
        were = "orders were" if n > 1 else "order was"
        found.append(ReportWarning("orders_rejected", f"{n:,} {were} rejected; the order table says why."))
    if n := result.counters.get("ambiguous_bars", 0):
        found.append(ReportWarning("ambiguous_bars", _say_ambiguous(request, n)))
    return tuple(found)


def _say_ambiguous(request: RunRequest, n: int) -> str:
    took = "adverse" if request.path is PathRule.PESSIMISTIC else "favourable"
    finest = request.intrabar_timeframe or request.timeframe
    text = (
        f"In {n:,} of the {finest} bars the candle does not tell which extreme came first, and the other order would"
        f" have given other fills. The run took the {took} one first; the trades concerned are marked."
    )
    if timeframe_to_ms(finest) > min(TIMEFRAME_MS.values()):
        text += " A run whose path inside a bar comes from finer candles leaves fewer of them."
    return text


def _draw(outcome: RunOutcome, result: EngineResult) -> tuple[tuple[DrawnSeries, ...], Rows, Rows]:
    """Indicator columns by the close of their bar, and plot() values as points.

    A run that was ruined ends before its span; indicators are cut to the bars that it saw.
    """
    closes: NDArray[np.int64] = np.ascontiguousarray(result.equity["time_ms"])
    lines = [line for line in outcome.indicators if len(line.values) >= len(closes)]
    indicators = np.zeros(
        len(closes) if lines else 0, [("time_ms", "i8"), *((f"c{i}", "f8") for i in range(len(lines)))]
    )
    drawn = []
    if lines:
        indicators["time_ms"] = closes
    for i, line in enumerate(lines):
        indicators[f"c{i}"] = line.values[: len(closes)]
        drawn.append(DrawnSeries(line.name, line.pane or "price", column=f"c{i}"))
    points = np.zeros(sum(len(plot.time_ms) for plot in outcome.plots), POINT)
    first = 0
    for i, plot in enumerate(outcome.plots):
        rows = points[first : first + len(plot.time_ms)]
        rows["i_series"], rows["time_ms"], rows["value"] = i, plot.time_ms, plot.values
        drawn.append(DrawnSeries(plot.name, plot.pane or "price", i_series=i))
        first += len(rows)
    return tuple(drawn), indicators, points
