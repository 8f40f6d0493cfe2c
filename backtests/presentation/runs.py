"""Rows of run lists and the state of a live run, from what the row knows; no file is opened."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from backtests.models import BacktestRun, DataCheck
from backtests.presentation.figures import Figure, summary_figures
from backtests.presentation.live import percent_done, say_stage
from backtests.presentation.numbers import format_span, format_time, iso_time
from strategies.params import read_warmup_bars

STATUS_BADGES = {
    BacktestRun.Status.QUEUED: "badge-wait",
    BacktestRun.Status.RUNNING: "badge-run",
    BacktestRun.Status.SUCCEEDED: "badge-ok",
    BacktestRun.Status.FAILED: "badge-bad",
    BacktestRun.Status.CANCELLED: "",
}
FAILURE_WORDS = {
    "strategy_source": "The source cannot be used",
    "strategy_error": "The strategy raised an error",
    "looks_ahead": "The strategy looks ahead",
    "time_limit": "The run took too long",
    "cpu_limit": "The run used too much computing time",
    "memory_limit": "The run used too much memory",
    "output_limit": "The strategy wrote too much output",
    "order_limit": "The strategy made too many orders",
    "log_limit": "The strategy wrote too long a log",
    "plot_limit": "The strategy plotted too much",
    "no_jail": "This site cannot run strategies safely now",
    "killed": "The strategy's process was killed",
    "crashed": "The strategy's process crashed",
    "integrity": "The result could not be confirmed",
    "data_error": "The data cannot be used",
    "lost": "The worker was lost",
    "storage": "The result could not be stored",
    "internal": "Something failed on our side",
}
READ_AS = {"candles": "candles", "finer": "finer candles", "mark": "mark price", "funding": "funding"}
_REPEATED = ("market", "timeframe", "initial_balance", "margin_mode", "leverage", "max_leverage", "fill", "maker_fee",
             "taker_fee", "slippage_bps", "path", "limit_fill", "participation_cap", "intrabar_timeframe", "funding",
             "seed", "mode")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows of one series that are different from what a run has read."""

    name: str
    n_rows: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run in a list."""

    run: BacktestRun
    name: str
    badge: str
    status: str
    span: str
    figures: list[Figure]
    percent: int | None
    stage: str
    failure: str
    is_synthetic: bool
    data_check: DataCheck | None = None

    @property
    def is_revised(self) -> bool:
        return self.data_check is not None and self.data_check.is_revised

    @property
    def revised(self) -> str:
        """What of the data that it has read is different now, in words."""
        return say_revised(self.data_check) if self.data_check is not None else ""

    @property
    def differences(self) -> list[Difference]:
        return list_differences(self.data_check) if self.data_check is not None else []

    @property
    def symbols(self) -> list[str]:
        """All symbols of the run, the primary first."""
        return self.run.request.get("symbols") or [self.run.symbol]

    @property
    def again(self) -> str:
        """The query of the run form that repeats this request."""
        request, version = self.run.request, self.run.strategy_version
        given = {name: request[name] for name in _REPEATED if request.get(name) is not None}
        given |= {"from": iso_time(self.run.from_ms), "to": iso_time(self.run.to_ms), "symbol": self.symbols[0]}
        if len(self.symbols) > 1:
            given["more_symbols"] = ", ".join(self.symbols[1:])
        if request.get("warmup_bars", 0) != read_warmup_bars(version.source):
            given["warmup_bars"] = request["warmup_bars"]
        given |= {f"param_{name}": value for name, value in request.get("params", {}).items()}
        given |= {f"limits_{name}": value for name, value in request.get("limits", {}).items()}
        given |= {"strategy": version.strategy_id, "version": version.number}
        return urlencode(
            {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}
        )

    @property
    def is_running(self) -> bool:
        return self.run.status == BacktestRun.Status.RUNNING


def list_rows(
    runs: Iterable[BacktestRun],
    checks: Mapping[uuid.UUID, DataCheck] | None = None,
    places: Mapping[uuid.UUID, int] | None = None,
) -> list[RunRow]:
    """`places`: where queued runs stand in the line."""
    return [run_row(run, (checks or {}).get(run.pk), (places or {}).get(run.pk)) for run in runs]


def run_row(run: BacktestRun, check: DataCheck | None = None, place: int | None = None) -> RunRow:
    version = run.strategy_version
    is_ruined = run.is_ruined and run.status == BacktestRun.Status.SUCCEEDED
    return RunRow(
        run=run,
        name=f"{version.strategy.name} v{version.number}",
        badge="badge-warn" if is_ruined else STATUS_BADGES[BacktestRun.Status(run.status)],
        status="Ruined" if is_ruined else run.get_status_display(),
        span=format_span(run.from_ms, run.to_ms),
        figures=summary_figures(run.summary),
        percent=percent_done(run.progress),
        stage=say_stage(run, place),
        failure=FAILURE_WORDS.get(run.failure_code, run.failure_code),
        is_synthetic=bool(run.summary.get("is_synthetic") or run.run_data.get("is_synthetic")),
        data_check=check,
    )


def say_revised(check: DataCheck) -> str:
    """1,234 bars and 2 funding events; empty where nothing differs."""
    if not check.is_revised:
        return ""
    if check.n_bars is None:
        return "an unknown number of bars"
    counts = ((check.n_bars, "bar"), (check.n_marks or 0, "mark price candle"), (check.n_funding or 0, "funding event"))
    words = [f"{n:,} {what}{'' if n == 1 else 's'}" for n, what in counts if n]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def list_differences(check: DataCheck) -> list[Difference]:
    return [
        Difference(
            name=f"{found['symbol']} {READ_AS[found['kind']]} {found['timeframe']}".rstrip(),
            n_rows=found["n_rows_that_differ"],
            first=format_time(found["first_ms"]),
            last=format_time(found["last_ms"]),
        )
        for found in check.differences
    ]
