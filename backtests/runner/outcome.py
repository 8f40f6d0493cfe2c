"""What goes into the execution of a run and what comes out: plain facts that task, command and reports share."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from accounts.quotas import Limits
from backtests.engine.request import Feed, RunRequest
from backtests.engine.result import CommandLog, EngineResult

type Status = Literal["succeeded", "failed", "cancelled"]
type Stage = Literal["preparing", "starting", "running", "replaying"]

KILLED = "killed"  # the failure of a child that something outside ended; it says nothing about the strategy


@dataclass(frozen=True, slots=True)
class RunJob:
    """One run to execute. `cache_dir` holds numba's compiled kernels (HINDSIGHT_HOME/cache/numba)."""

    request: RunRequest
    source: str
    feed: Feed
    limits: Limits
    cache_dir: Path


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a strategy's log. `time_ms`: close of the bar it was written at, 0 before the first bar."""

    level: str  # debug, info, warning, error; "output" for what was printed
    time_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run failed. `code` is stable; `line` counts from 1, 0 when unknown; `bar_time_ms` is the bar's open."""

    code: str
    message: str
    line: int = 0
    source_line: str = ""
    bar_time_ms: int | None = None
    traceback: str = ""  # the strategy's own frames
    log_tail: tuple[str, ...] = ()

    def with_source_line(self, source: str) -> Self:
        """The line as it stands in our copy of the source, whatever the child says it is."""
        lines = source.splitlines()
        if not 0 < self.line <= len(lines):
            return replace(self, line=0, source_line="")
        return replace(self, source_line=lines[self.line - 1].strip())

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "log_tail": list(self.log_tail)}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended: exactly one of `is_done`, `is_cancelled`, `failure`."""

    is_done: bool = False
    is_cancelled: bool = False
    failure: Failure | None = None
    handover_s: float = 0.0  # from the job to the shut jail: imports too, where the child was not warm
    start_s: float = 0.0  # from the job to its first bar
    strategy_s: float = 0.0  # from there to its last word


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; `n_done` of `n_total` bars of the span."""

    stage: Stage
    n_done: int = 0
    n_total: int = 0
    bars_per_s: float = 0.0
    eta_s: float | None = None
    equity: float | None = None
    log_tail: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "log_tail": list(self.log_tail)}


@dataclass(frozen=True, slots=True, eq=False)
class PlotSeries:
    """What plot(name, value) gave: int64 UTC ms of the bars' closes, and float64 values, in the order of the calls."""

    name: str
    pane: str  # "price": over the candles; anything else: a pane of its own
    time_ms: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class IndicatorSeries:
    """An indicator as drawn: float32, one value per bar of the span (NaN before its first)."""

    name: str
    pane: str
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class RunOutcome:
    """How a run ended. `result` is the replay in this process, the result of record; None unless succeeded."""

    status: Status
    failure: Failure | None = None
    result: EngineResult | None = None
    commands: CommandLog | None = None
    log: tuple[LogLine, ...] = ()
    plots: tuple[PlotSeries, ...] = ()
    indicators: tuple[IndicatorSeries, ...] = ()
    jail_level: str = "none"
    timings: Mapping[str, float] = field(default_factory=dict)  # seconds: handover, start, strategy, replay, total


type OnProgress = Callable[[Progress], bool]  # False: stop, the run is not ours any more
type ShouldStop = Callable[[], bool]
