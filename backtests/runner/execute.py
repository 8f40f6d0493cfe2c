"""Request + source + feed -> outcome: the child runs the strategy, this process replays its orders."""

import logging
import time
from collections.abc import Callable

from backtests.engine.errors import IntegrityError
from backtests.engine.frames import ChildJob, JobLimits
from backtests.engine.replay import replay
from backtests.engine.request import merge_times
from backtests.engine.result import CommandLog, EngineResult
from backtests.runner.intake import Intake
from backtests.runner.jail import LEVEL, start_child, warm_up
from backtests.runner.outcome import Ending, Failure, LogLine, OnProgress, Progress, RunJob, RunOutcome, ShouldStop
from backtests.runner.overseer import Overseer, cpu_limit_s

__all__ = ["execute"]

logger = logging.getLogger(__name__)


type GoOn = Callable[[Progress | None], bool]


def execute(job: RunJob, on_progress: OnProgress | None = None, should_stop: ShouldStop | None = None) -> RunOutcome:
    """Run the strategy in a child, replay its orders here, and compare.

    `on_progress` is called about twice a second and ends the run by returning False, as does `should_stop` by
    returning True; the outcome is then "cancelled". Never raises for what the strategy does.
    """
    started_s = time.monotonic()

    def go_on(progress: Progress | None) -> bool:
        if should_stop is not None and should_stop():
            return False
        return progress is None or on_progress is None or on_progress(progress)

    if not go_on(Progress("preparing")):
        return RunOutcome("cancelled", jail_level=LEVEL)
    try:
        warm_up(job.cache_dir)
        intake, overseer, ending = _run_child(job, go_on)
    except (OSError, RuntimeError) as error:
        logger.exception("The child of a run could not be started.")
        return RunOutcome("failed", Failure("internal", f"The run could not be started: {error}"), jail_level=LEVEL)
    log = (*intake.log_lines(), *(LogLine("output", 0, line) for line in overseer.output.splitlines()))
    if ending.is_cancelled or not go_on(Progress("replaying")):
        return RunOutcome("cancelled", log=log, jail_level=LEVEL)
    timings = {"start": ending.start_s, "strategy": ending.strategy_s}
    if ending.failure is not None:
        failure = ending.failure.with_source_line(job.source)
        return RunOutcome("failed", failure, log=log, jail_level=LEVEL, timings=_total(timings, started_s))
    commands, replay_started_s = intake.command_log(), time.monotonic()
    result = _replay(job, commands, intake)
    timings["replay"] = time.monotonic() - replay_started_s
    if isinstance(result, Failure):
        return RunOutcome("failed", result, log=log, jail_level=LEVEL, timings=_total(timings, started_s))
    return RunOutcome(
        "succeeded",
        result=result,
        commands=commands,
        log=log,
        plots=intake.plot_series(),
        indicators=intake.indicator_series(result.first_bar, result.n_bars),
        jail_level=LEVEL,
        timings=_total(timings, started_s),
    )


def _run_child(job: RunJob, go_on: GoOn) -> tuple[Intake, Overseer, Ending]:
    limits = job.limits
    timeline = merge_times([symbol.bars.open_ms for symbol in job.feed.symbols])
    intake = Intake(limits, timeline, job.request.timeframe_ms)
    child_limits = JobLimits(limits.run_memory_mb, cpu_limit_s(limits), limits.max_orders, limits.max_log_bytes)
    started_s = time.monotonic()
    child = start_child(ChildJob(job.source, job.request, job.feed, child_limits), job.cache_dir)
    try:
        overseer = Overseer(child, intake, limits, go_on, started_s)
        return intake, overseer, overseer.watch()
    finally:
        child.close()


def _replay(job: RunJob, commands: CommandLog, intake: Intake) -> EngineResult | Failure:
    """The result of record. A log that cannot be, or another result than the child's, is a failure of integrity."""
    try:
        result = replay(job.request, job.feed, commands)
    except IntegrityError as error:
        return Failure("integrity", f"The run's process sent orders that cannot be. {error}")
    done = intake.done
    if done is None or result.result_hash() != done.ledger_hash:
        return Failure("integrity", "The run's own account and the replay of its orders disagree.")
    return result


def _total(timings: dict[str, float], started_s: float) -> dict[str, float]:
    return {**timings, "total": time.monotonic() - started_s}
