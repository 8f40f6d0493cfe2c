"""The child's entry: `python -m backtests.engine --job-fd N --frames-fd N`, or `--warm` to compile the kernels."""

import argparse
import io
import os
import random
import sys

import numpy as np

from backtests.engine.confinement import confine, die_with_parent, release_last_words
from backtests.engine.frames import ChildJob, FrameReporter, read_job
from backtests.engine.loop import run
from backtests.engine.memory import keep_freed_memory
from backtests.engine.strategy import Session, describe_error, load_strategy
from backtests.engine.warm import warm_kernels


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m backtests.engine", description="Run one strategy on one job.")
    parser.add_argument("--job-fd", type=int, help="an open file with the job (engine.frames.job)")
    parser.add_argument("--frames-fd", type=int, help="an open pipe for the frames")
    parser.add_argument("--parent-pid", type=int, help="end when this process, our parent, ends")
    parser.add_argument("--warm", action="store_true", help="compile the kernels into NUMBA_CACHE_DIR and stop")
    options = parser.parse_args()
    if options.warm:
        sys.stdout.write(f"The kernels are compiled ({warm_kernels():.1f} s).\n")
        return 0
    if options.job_fd is None or options.frames_fd is None:
        parser.error("--job-fd and --frames-fd are both needed")
    if options.parent_pid is not None:
        die_with_parent(options.parent_pid)
    keep_freed_memory()
    job = read_job(options.job_fd)
    os.close(options.job_fd)
    reporter = FrameReporter(options.frames_fd, max_log_bytes=job.limits.max_log_bytes)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="replace")
    confine(job.limits)
    return run_job(job, reporter)


def run_job(job: ChildJob, reporter: FrameReporter) -> int:
    """Run the strategy to its end, and say how it ended."""
    random.seed(job.request.seed)
    np.random.seed(job.request.seed)
    session = None
    try:
        session = Session(load_strategy(job.source, job.request.params), reporter, max_orders=job.limits.max_orders)
        result = run(session, job.request, job.feed, reporter)
        reporter.commands(session.account.command_log())
        reporter.done(result.result_hash(), result.n_bars)
    except BaseException as error:  # SystemExit and KeyboardInterrupt are the strategy's, too
        release_last_words()
        reporter.error(describe_error(error, job.source, _bar_time_ms(session)))
        return 1
    return 0


def _bar_time_ms(session: Session | None) -> int | None:
    """Open time of the bar that the run stood on; None before the first."""
    if session is None or not session.can_trade:
        return None
    account = session.account
    return int(account.open_ms[account.cursor.i_bar])


if __name__ == "__main__":
    code = main()
    # Threads that a strategy left behind must not keep the process.
    sys.stdout.flush()
    os._exit(code)
