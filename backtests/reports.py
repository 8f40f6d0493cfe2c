"""From a fresh outcome or from stored files to a RunReport."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from backtests import artifacts
from backtests.engine.metrics import EquityCurve, buy_and_hold, compute_curve_metrics, compute_metrics
from backtests.engine.request import Feed, RunRequest
from backtests.engine.result import EngineResult
from backtests.models import BacktestRun
from backtests.run_report import (
    BENCHMARK,
    POINT,
    RECORD_TABLES,
    DrawnSeries,
    LogLine,
    ReportWarning,
    Rows,
    RunReport,
    StrategyFacts,
)


class FinishedOutcome(Protocol):
    """What build_report needs of a runner.execute.RunOutcome that succeeded."""

    @property
    def result(self) -> EngineResult | None: ...
    @property
    def log(self) -> Sequence[Any]: ...  # level, i_bar, text
    @property
    def plots(self) -> Sequence[Any]: ...  # name, pane, i_bar, value
    @property
    def indicators(self) -> Sequence[Any]: ...  # name, pane, values (one per bar of the feed)
    @property
    def jail_level(self) -> str: ...
    @property
    def timings(self) -> Mapping[str, float]: ...


class StoredRunData(Protocol):
    """What build_report needs of a marketdata RunData."""

    @property
    def warnings(self) -> Sequence[Any]: ...  # code, message
    def to_json(self) -> Any: ...


def build_report(
    outcome: FinishedOutcome, request: RunRequest, run_data: StoredRunData, feed: Feed, *, strategy: StrategyFacts
) -> RunReport:
    """The report of a run that succeeded. Used by the task and by the command, so that both say the same."""
    result = outcome.result
    if result is None:
        raise ValueError("A run without a result has no report.")
    all_bars = [symbol.bars for symbol in feed.symbols]
    curve = buy_and_hold(request, all_bars)
    open_ms = all_bars[0].open_ms
    drawn, indicators, points = _draw(outcome, open_ms, result, request)
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
        benchmark=compute_curve_metrics(curve),
        tables={
            **{name: getattr(result, name) for name in RECORD_TABLES},
            "benchmark": _benchmark_table(curve),
            "indicators": indicators,
            "points": points,
        },
        tags=result.tags,
        counters=dict(result.counters),
        warnings=_warnings(run_data, result),
        log=tuple(_log_line(line, open_ms, request.timeframe_ms) for line in outcome.log),
        drawn=drawn,
        versions=read_versions(),
        timings=dict(outcome.timings),
        jail_level=outcome.jail_level,
        n_orders=len(result.orders),
        n_fills=len(result.fills),
        n_orders_rejected=result.n_orders_rejected,
    )


def load_report(run: BacktestRun) -> RunReport:
    """The stored report of a succeeded run. Raises FileNotFoundError when its files are gone."""
    facts, tables = artifacts.load(Path(settings.HOME) / "artifacts" / run.artifact_dir)
    return RunReport.from_facts(facts, tables)


def read_versions() -> dict[str, str]:
    """What computed the result: shown with it, so that it can be made again."""
    versions = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for package in ("hindsight", "numpy", "numba", "pandas", "pandas-ta", "TA-Lib"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _benchmark_table(curve: EquityCurve) -> Rows:
    table = np.zeros(len(curve.time_ms), BENCHMARK)
    table["time_ms"], table["equity"] = curve.time_ms, curve.equity
    return table


def _warnings(run_data: StoredRunData, result: EngineResult) -> tuple[ReportWarning, ...]:
    found = [ReportWarning(warning.code, warning.message) for warning in run_data.warnings]
    if result.is_ruined:
        found.insert(0, ReportWarning("ruined", "The account was ruined: equity fell to zero and the run ended there."))
    if not len(result.trades):
        found.append(ReportWarning("no_trades", "The strategy opened no trade over the whole span."))
    if result.n_orders_rejected:
        n = result.n_orders_rejected
        found.append(
            ReportWarning("orders_rejected", f"{n} order{'s were' if n > 1 else ' was'} rejected; see Orders for why.")
        )
    return tuple(found)


def _log_line(line: Any, open_ms: NDArray[np.int64], timeframe_ms: int) -> LogLine:
    has_bar = 0 <= line.i_bar < len(open_ms)
    return LogLine(str(line.level), int(open_ms[line.i_bar]) + timeframe_ms if has_bar else 0, str(line.text))


def _draw(
    outcome: FinishedOutcome, open_ms: NDArray[np.int64], result: EngineResult, request: RunRequest
) -> tuple[tuple[DrawnSeries, ...], Rows, Rows]:
    """Indicator columns over the bars of the span, and plot() values as points; both by the close of their bar."""
    span = slice(result.first_bar, result.first_bar + result.n_bars)
    kept = [line for line in outcome.indicators if len(line.values) == len(open_ms)]
    columns = [(f"c{i}", "f8") for i in range(len(kept))]
    table = np.zeros(len(open_ms[span]) if kept else 0, [("time_ms", "i8"), *columns])
    drawn = []
    for i, line in enumerate(kept):
        table["time_ms"] = open_ms[span] + request.timeframe_ms
        table[f"c{i}"] = np.asarray(line.values, np.float64)[span]
        drawn.append(DrawnSeries(str(line.name), str(line.pane or "price"), column=f"c{i}"))
    names = list(dict.fromkeys((str(plot.name), str(plot.pane or "price")) for plot in outcome.plots))
    points = np.zeros(len(outcome.plots), POINT)
    for i, plot in enumerate(outcome.plots):
        i_series = names.index((str(plot.name), str(plot.pane or "price")))
        points[i] = (i_series, int(open_ms[plot.i_bar]) + request.timeframe_ms, float(plot.value))
    drawn += [DrawnSeries(name, pane, i_series=i) for i, (name, pane) in enumerate(names)]
    return tuple(drawn), table, points
