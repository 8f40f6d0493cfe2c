"""A strategy run in its jail, watched to its end: what came out of it, not yet replayed and not yet believed."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from backtests.engine.errors import BacktestError
from backtests.engine.frames import ChildJob, JobLimits, hide_bars
from backtests.engine.request import RunMode, merge_times
from backtests.runner.dealer import Dealer
from backtests.runner.intake import Intake
from backtests.runner.jail.child import Child, max_tasks_of
from backtests.runner.jail.compiling import warm_up
from backtests.runner.jail.layers import Layers, NoJail, choose_layers
from backtests.runner.jail.spare import replace_spare, take_child
from backtests.runner.jail.usage import Usage
from backtests.runner.outcome import Ending, Failure, LogLine, Progress, RunJob
from backtests.runner.overseer import Overseer
from backtests.runner.turns import Turns

logger = logging.getLogger(__name__)

NO_JAIL = "This machine cannot run strategies safely, so it runs none."

type GoOn = Callable[[Progress | None], bool]


@dataclass(frozen=True, slots=True, eq=False)
class JailedRun:
    """How it ended, and everything it sent: bounded and well-formed, but a hostile child's own words."""

    ending: Ending
    level: str
    intake: Intake  # empty when there was no child
    log: tuple[LogLine, ...] = ()
    is_warm: bool = False  # the child had been waiting for it
    used: Usage = field(default_factory=Usage)


@contextmanager
def run_in_jail(
    job: RunJob, go_on: GoOn = lambda progress: True, *, layers: Layers | None = None
) -> Iterator[JailedRun]:
    """Run the job's source on the job's arrays in a child. Never raises for what the strategy does.

    `go_on` is called often, twice a second with the progress, and ends the run by returning False. `layers`: other
    than the best that this machine gives. Inside the block the child has said its last word, and is being ended; after
    it nothing of it is left: what it held takes the kernel some time to clear.
    """
    limits = job.limits.lowered(job.request.limits)
    timeline = merge_times([symbol.bars.open_ms for symbol in job.feed.symbols])
    intake = Intake(limits, timeline, job.request.timeframe_ms)
    try:
        layers = layers or choose_layers()
    except NoJail as error:
        yield JailedRun(Ending(failure=Failure("no_jail", f"{NO_JAIL} {error}")), "none", intake)
        return
    if not go_on(Progress("preparing")):
        yield JailedRun(Ending(is_cancelled=True), layers.level, intake)
        return
    try:
        dealer = Dealer(job.request, job.feed) if job.request.mode is RunMode.SEALED else None
        warm_up(job.cache_dir)
        child, is_warm = take_child(layers, job.cache_dir)
    except BacktestError as error:  # the market could not be laid out
        yield JailedRun(Ending(failure=Failure(error.code, str(error))), layers.level, intake)
        return
    except (OSError, RuntimeError) as error:
        logger.exception("The child of a run could not be started.")
        failure = Failure("internal", f"The run could not be started: {error}")
        yield JailedRun(Ending(failure=failure), layers.level, intake)
        return
    try:
        run = replace(_watch(replace(job, limits=limits), child, intake, go_on, dealer), is_warm=is_warm)
        replace_spare(replace(layers, is_elsewhere=False), job.cache_dir)
        yield run
    finally:
        child.close()


def _watch(job: RunJob, child: Child, intake: Intake, go_on: GoOn, dealer: Dealer | None) -> JailedRun:
    limits = job.limits
    started_s = time.monotonic()
    child_limits = JobLimits(
        memory_mb=limits.run_memory_mb,
        cpu_s=limits.cpu_s,
        max_orders=limits.max_orders,
        max_log_bytes=limits.max_log_bytes,
        max_plot_points=limits.max_plot_points,
        max_tasks=max_tasks_of(child),
    )
    if dealer is None:
        child.hand_over(ChildJob(job.source, job.request, job.feed, child_limits))
    else:
        blind = ChildJob(job.source, job.request, hide_bars(job.feed), child_limits, dealer.shape)
        child.hand_over_sealed(blind, dealer)
        intake.turns = Turns(dealer)
    overseer = Overseer(child, intake, limits, go_on, started_s)
    ending = overseer.watch()
    log = (*intake.log_lines(), *(LogLine("output", 0, line) for line in overseer.output.splitlines()))
    return JailedRun(ending, child.layers.level, intake, log, used=overseer.used)
