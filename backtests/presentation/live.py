"""Where a run stands: its place in the line, its stage, how far it has come, and why it begins anew."""

from dataclasses import dataclass
from typing import Any

from backtests.models import BacktestRun
from backtests.presentation.numbers import DASH, format_number, format_seconds

# In the order in which a run goes through them.
STAGES = {
    "queued": "Queued",
    "loading": "Loading",
    "warming_up": "Warming up",
    "running": "Running",
    "replaying": "Replaying",
    "metrics": "Metrics",
    "done": "Done",
}
STAGE_WORDS = {
    "queued": "Waiting for a free worker",
    "loading": "Reading the candles",
    "warming_up": "Warming up the strategy",
    "running": "Running the strategy",
    "replaying": "Replaying the orders",
    "metrics": "Computing the metrics and saving the result",
    "done": "Done",
}
GETTING_READY = "Waiting for the workers, which prove their jail first: a minute or two on a new machine"
_FINER_STAGES = {"preparing": "warming_up", "starting": "warming_up", "saving": "metrics"}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage on the way of a run: `state` is done, current or ahead."""

    label: str
    state: str


@dataclass(frozen=True, slots=True)
class LiveState:
    """Where a run stands, in words; numbers that are not known yet are dashes."""

    stage: str
    steps: tuple[Step, ...]
    attempt: str
    percent: int | None
    n_done: str
    n_total: str
    bars_per_s: str
    eta: str
    equity: str
    log: tuple[str, ...]


def stage_of(run: BacktestRun) -> str:
    """One of STAGES."""
    if run.is_finished:
        return "done"
    if run.status == BacktestRun.Status.QUEUED:
        return "queued"
    stage = _FINER_STAGES.get(run.stage, run.stage)
    return stage if stage in STAGES else "loading"


def say_stage(
    run: BacktestRun, place: int | None = None, *, is_held: bool = False, are_getting_ready: bool = False
) -> str:
    """The stage in words; `place`: where a queued run stands in the line; `is_held`: its owner's others come first;
    `are_getting_ready`: there is no worker yet.
    """
    if run.cancel_requested and not run.is_finished:
        return "Cancelling"
    stage = stage_of(run)
    if stage == "queued" and are_getting_ready:
        return GETTING_READY
    if stage == "queued" and is_held and run.dispatched_at is None:
        return "Waiting for another run of yours to end"
    if stage != "queued" or place is None:
        return STAGE_WORDS[stage]
    return "Next in line" if place == 1 else f"Number {place:,} in line"


def say_attempt(run: BacktestRun) -> str:
    """Why this run begins anew; empty for a first attempt."""
    number = run.attempt + (run.status == BacktestRun.Status.QUEUED)
    if run.is_finished or number < 2:
        return ""
    why = "the worker of an earlier one was lost" if run.n_lost else "an earlier one was interrupted"
    return f"Attempt {number}: {why}, so it begins anew."


def percent_done(progress: dict[str, Any]) -> int | None:
    n_done, n_total = progress.get("n_done"), progress.get("n_total")
    return min(100, int(100 * (n_done or 0) / n_total)) if n_total else None


def live_state(
    run: BacktestRun, place: int | None = None, *, is_held: bool = False, are_getting_ready: bool = False
) -> LiveState:
    progress = run.progress
    n_done, n_total = progress.get("n_done") or 0, progress.get("n_total") or 0
    rate = progress.get("bars_per_s")
    return LiveState(
        stage=say_stage(run, place, is_held=is_held, are_getting_ready=are_getting_ready),
        steps=_list_steps(stage_of(run)),
        attempt=say_attempt(run),
        percent=percent_done(progress),
        n_done=f"{n_done:,}" if n_total else DASH,
        n_total=f"{n_total:,} bars" if n_total else "",
        bars_per_s=f"{rate:,.0f}" if rate else DASH,
        eta=format_seconds(progress.get("eta_s")),
        equity=format_number(progress.get("equity")),
        log=tuple(progress.get("log_tail", ())),
    )


def _list_steps(stage: str) -> tuple[Step, ...]:
    current = list(STAGES).index(stage)
    return tuple(
        Step(label, "done" if i < current else "current" if i == current else "ahead")
        for i, label in enumerate(STAGES.values())
    )
