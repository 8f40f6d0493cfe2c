"""RunReport: a finished run as pages, API and command see it; plain facts plus tables, whatever it came from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from backtests.engine.metrics import MetricValue
from backtests.engine.request import RunRequest
from backtests.runner.outcome import LogLine
from marketdata.run_data import name_data

__all__ = [
    "BENCHMARK",
    "POINT",
    "RECORD_TABLES",
    "DrawnSeries",
    "LogLine",
    "ReportWarning",
    "RunReport",
    "StrategyFacts",
]

type Rows = NDArray[np.void]
type Facts = dict[str, Any]

FORMAT = 1
# Rows of record, as declared in engine.kernels.types.
RECORD_TABLES = ("orders", "fills", "trades", "equity", "funding", "liquidations")
BENCHMARK = np.dtype([("time_ms", "i8"), ("equity", "f8")])
POINT = np.dtype([("i_series", "i4"), ("time_ms", "i8"), ("value", "f8")])  # values of plot(), as they came


@dataclass(frozen=True, slots=True)
class ReportWarning:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class DrawnSeries:
    """An indicator or plot() series: `column` of table "indicators", or `i_series` of table "points" (-1: neither)."""

    name: str
    pane: str  # "price": over the candles; anything else: a pane of its own below
    column: str = ""
    i_series: int = -1


@dataclass(frozen=True, slots=True)
class StrategyFacts:
    name: str
    source: str
    sha256: str
    version: int = 0  # 0: a file, not a stored version


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunReport:
    """The result of one run. Tables: RECORD_TABLES, "benchmark" (BENCHMARK), "points" (POINT), and "indicators"
    (time_ms and one float64 column per series). Money in quote currency, times int64 UTC ms."""

    request: RunRequest
    run_data: Facts  # marketdata's RunData.to_json(): series, rules with their dates, segments, gaps
    strategy: StrategyFacts
    initial_balance: float
    final_equity: float
    is_ruined: bool
    n_bars: int
    first_bar: int
    result_hash: str
    metrics: Mapping[str, MetricValue]
    benchmark: Mapping[str, MetricValue]
    tables: Mapping[str, Rows]
    tags: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[ReportWarning, ...] = ()
    log: tuple[LogLine, ...] = ()
    drawn: tuple[DrawnSeries, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    jail_level: str = ""
    n_orders: int = 0
    n_fills: int = 0
    n_orders_rejected: int = 0

    @property
    def is_synthetic(self) -> bool:
        return bool(self.run_data.get("is_synthetic"))

    def summary(self) -> Facts:
        """What lists, API and command show without opening a table; the same object everywhere."""
        return {
            "n_bars": self.n_bars,
            "n_orders": self.n_orders,
            "n_orders_rejected": self.n_orders_rejected,
            "n_fills": self.n_fills,
            "n_ambiguous_bars": self.counters.get("ambiguous_bars"),  # None: nobody counted
            "n_trades": self.metrics["total_trades"].value,
            "initial_balance": self.initial_balance,
            "final_equity": self.final_equity,
            "is_ruined": self.is_ruined,
            "is_synthetic": self.is_synthetic,
            "metrics": {name: metric.value for name, metric in self.metrics.items()},
            "standard_errors": {k: m.standard_error for k, m in self.metrics.items() if m.standard_error is not None},
            "notes": {name: metric.note for name, metric in self.metrics.items() if metric.note},
            "benchmark": {name: metric.value for name, metric in self.benchmark.items()},
            "warnings": [asdict(warning) for warning in self.warnings],
            **name_data(self.run_data),
            "result_hash": self.result_hash,
        }

    def to_facts(self) -> Facts:
        """Everything but the tables, as JSON; `from_facts` reads it back."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("tables", *_TYPED)}
        return {
            "format": FORMAT,
            **{name: dict(value) if isinstance(value, Mapping) else value for name, value in plain.items()},
            "request": self.request.to_json(),
            "strategy": asdict(self.strategy),
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
            "benchmark": {name: asdict(metric) for name, metric in self.benchmark.items()},
            "tags": list(self.tags),
            "warnings": [asdict(warning) for warning in self.warnings],
            "log": [asdict(line) for line in self.log],
            "drawn": [asdict(series) for series in self.drawn],
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], tables: Mapping[str, Rows]) -> Self:
        if facts.get("format") != FORMAT:
            raise ValueError(f"This result has format {facts.get('format')!r}; this version reads format {FORMAT}.")
        plain = {name: value for name, value in facts.items() if name not in ("format", *_TYPED)}
        return cls(
            **plain,
            tables=tables,
            request=RunRequest.parse(facts["request"]),
            strategy=StrategyFacts(**facts["strategy"]),
            metrics={name: MetricValue(**value) for name, value in facts["metrics"].items()},
            benchmark={name: MetricValue(**value) for name, value in facts["benchmark"].items()},
            tags=tuple(facts["tags"]),
            warnings=tuple(ReportWarning(**warning) for warning in facts["warnings"]),
            log=tuple(LogLine(**line) for line in facts["log"]),
            drawn=tuple(DrawnSeries(**series) for series in facts["drawn"]),
        )


_TYPED = ("request", "strategy", "metrics", "benchmark", "tags", "warnings", "log", "drawn")
