"""A run's child after its imports: it waits for one job, shuts the jail around itself, runs the strategy, and ends."""

import importlib
import io
import os
import random
import select
import sys
from collections.abc import Sequence

import numpy as np

from backtests.engine.confinement import confine, release_last_words
from backtests.engine.confinement.compiled_code import accept_uncached_functions
from backtests.engine.frames import ChildJob, ErrorFrame, FrameReporter, read_job
from backtests.engine.loop import run
from backtests.engine.memory import keep_freed_memory
from backtests.engine.other_clock import shift_clock
from backtests.engine.sealed.account import SealedAccount
from backtests.engine.sealed.loop import run_sealed
from backtests.engine.sealed.session import SealedSession
from backtests.engine.sealed.turns import PipeTurns
from backtests.engine.strategy import Session, describe_error, load_strategy
from backtests.engine.warm import warm_kernels

CONTROL_FD = 0
# What strategies like to import. Loaded while there is nothing else to do, as are the kernels then.
LIBRARIES = ("talib", "zoneinfo", "statistics", "decimal")


def serve(job_fd: int, frames_fd: int, layers: Sequence[str], readable: Sequence[str]) -> int:
    """Wait for the job, run it, and return the exit code. 0 as well when the parent has no job and goes away."""
    accept_uncached_functions()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="replace")
    _prepare()
    if not os.read(CONTROL_FD, 1):
        return 0
    keep_freed_memory()
    job = read_job(job_fd)
    os.close(job_fd)
    bells_fd = os.dup(CONTROL_FD) if job.table is not None else -1
    _close_control()
    limits = job.limits
    reporter = FrameReporter(frames_fd, max_log_bytes=limits.max_log_bytes, max_plot_points=limits.max_plot_points)
    try:
        confine(job.limits, layers, readable)
    except OSError as error:
        reporter.error(ErrorFrame("internal", f"The jail could not be shut: {error}", 0, "", None, ""))
        return 1
    reporter.started()
    return run_job(job, reporter, PipeTurns(bells_fd, frames_fd, reporter))


def _prepare() -> None:
    """Do ahead what a run would wait for, for as long as there is no job."""
    for name in LIBRARIES:
        if _has_job():
            return
        importlib.import_module(name)
    if not _has_job():
        warm_kernels()


def _has_job() -> bool:
    return bool(select.select([CONTROL_FD], [], [], 0)[0])


def run_job(job: ChildJob, reporter: FrameReporter, turns: PipeTurns) -> int:
    """Run the strategy to its end, and say how it ended. `turns` are taken in a sealed run only."""
    shift_clock()
    random.seed(job.request.seed)
    np.random.seed(job.request.seed)
    session: Session | None = None
    try:
        strategy = load_strategy(job.source, job.request.params)
        if job.table is not None:
            session = SealedSession(strategy, reporter, max_orders=job.limits.max_orders)
            account = SealedAccount(job.request, job.feed, job.table)
            result = run_sealed(session, account, turns, reporter)
        else:
            session = Session(strategy, reporter, max_orders=job.limits.max_orders)
            result = run(session, job.request, job.feed, reporter)
            reporter.commands(session.account.command_log())
        digest = result.result_hash()
        sys.stdout.flush()  # after the last word nobody waits for what was printed
        reporter.done(digest, result.n_bars)
    except BaseException as error:  # SystemExit and KeyboardInterrupt are the strategy's, too
        release_last_words()
        reporter.error(describe_error(error, job.source, _bar_time_ms(session)))
        return 1
    return 0


def _close_control() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, CONTROL_FD)
    if nothing != CONTROL_FD:
        os.close(nothing)


def _bar_time_ms(session: Session | None) -> int | None:
    """Open time of the bar that the run stood on; None before the first."""
    if session is None or not session.can_trade:
        return None
    account = session.account
    return int(account.open_ms[account.cursor.i_bar])
