"""Request + source + feed -> outcome: the child runs the strategy, this process replays its orders."""

import time

from backtests.engine.errors import IntegrityError
from backtests.engine.replay import replay
from backtests.engine.result import EngineResult
from backtests.runner.jail.layers import Layers
from backtests.runner.jailed_run import GoOn, JailedRun, run_in_jail
from backtests.runner.outcome import Failure, OnProgress, Progress, RunJob, RunOutcome, ShouldStop

__all__ = ["execute"]


def execute(
    job: RunJob,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    *,
    layers: Layers | None = None,
) -> RunOutcome:
    """Run the strategy in a child, replay its orders here, and compare.

    `on_progress` is called about twice a second and ends the run by returning False, as does `should_stop` by
    returning True; the outcome is then "cancelled". `layers`: other than the best that this machine gives. Never
    raises for what the strategy does.
    """
    started_s = time.monotonic()

    def go_on(progress: Progress | None) -> bool:
        if should_stop is not None and should_stop():
            return False
        return progress is None or on_progress is None or on_progress(progress)

    with run_in_jail(job, go_on, layers=layers) as run:
        return _conclude(job, run, go_on, started_s)


def _conclude(job: RunJob, run: JailedRun, go_on: GoOn, started_s: float) -> RunOutcome:
    if run.ending.is_cancelled or (run.ending.is_done and not go_on(Progress("replaying"))):
        return RunOutcome("cancelled", log=run.log, jail_level=run.level)
    timings = {"handover": run.ending.handover_s, "start": run.ending.start_s, "strategy": run.ending.strategy_s}
    if run.ending.failure is not None:
        return _fail(run, run.ending.failure.with_source_line(job.source), timings, started_s)
    replay_started_s = time.monotonic()
    result = _replay(job, run)
    timings["replay"] = time.monotonic() - replay_started_s
    if isinstance(result, Failure):
        return _fail(run, result, timings, started_s)
    return RunOutcome(
        "succeeded",
        result=result,
        commands=run.intake.command_log(),
        log=run.log,
        plots=run.intake.plot_series(),
        indicators=run.intake.indicator_series(result.first_bar, result.n_bars),
        jail_level=run.level,
        timings=_total(timings, started_s),
    )


def _fail(run: JailedRun, failure: Failure, timings: dict[str, float], started_s: float) -> RunOutcome:
    return RunOutcome("failed", failure, log=run.log, jail_level=run.level, timings=_total(timings, started_s))


def _total(timings: dict[str, float], started_s: float) -> dict[str, float]:
    return {**timings, "total": time.monotonic() - started_s}


def _replay(job: RunJob, run: JailedRun) -> EngineResult | Failure:
    """The result of record. A log that cannot be, or another result than the child's, is a failure of integrity."""
    try:
        result = replay(job.request, job.feed, run.intake.command_log())
    except IntegrityError as error:
        return Failure("integrity", f"The run's process sent orders that cannot be. {error}")
    done = run.intake.done
    if done is None or result.result_hash() != done.ledger_hash:
        return Failure("integrity", "The run's own account and the replay of its orders disagree.")
    return result
