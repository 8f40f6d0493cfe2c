"""The child's entry: `python -m backtests.engine --job-fd N --frames-fd N`, or `--warm` to compile the kernels.

Its standard input is a pipe on which the parent says that the job's file is filled.
"""

import argparse
import fcntl
import importlib
import os
import sys

from backtests.engine.confinement import LAYERS, become, die_with_parent
from backtests.engine.confinement.compiled_code import freeze_compiled_code

JOB_FD, FRAMES_FD = 3, 4


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m backtests.engine", description="Run one strategy on one job.")
    parser.add_argument("--job-fd", type=int, help="an open file, to be filled with the job (engine.frames.job)")
    parser.add_argument("--frames-fd", type=int, help="an open pipe for the frames")
    parser.add_argument("--parent-pid", type=int, help="end when this process, our parent, ends")
    parser.add_argument("--user", type=int, help="become this user first")
    parser.add_argument("--may-read-all", action="store_true", help="keep root's right to read any file")
    parser.add_argument("--layer", action="append", default=[], choices=LAYERS, help="confine by this; repeat for more")
    parser.add_argument("--readable", action="append", default=[], help="a path that landlock leaves open")
    parser.add_argument("--warm", action="store_true", help="compile the kernels into NUMBA_CACHE_DIR and stop")
    options = parser.parse_args()
    # Imported late: the kernels for nobody but who asks, the libraries only under the child's own user and with
    # numba's cache frozen.
    if options.warm:
        warm = importlib.import_module("backtests.engine.warm")
        took_s = warm.warm_kernels()
        warm.sweep_old_kernels()
        sys.stdout.write(f"The kernels are compiled ({took_s:.1f} s).\n")
        return 0
    if options.job_fd is None or options.frames_fd is None:
        parser.error("--job-fd and --frames-fd are both needed")
    _place_descriptors(options.job_fd, options.frames_fd)
    if options.user is not None:
        become(options.user, may_read_all=options.may_read_all)
    if options.parent_pid is not None:
        die_with_parent(options.parent_pid)
    freeze_compiled_code()
    child = importlib.import_module("backtests.engine.child")
    return int(child.serve(JOB_FD, FRAMES_FD, options.layer, options.readable))


def _place_descriptors(job_fd: int, frames_fd: int) -> None:
    """The job at 3, the frames at 4, nothing else open beside standard input and output."""
    copies = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FRAMES_FD + 1) for fd in (job_fd, frames_fd)]
    for copy, wanted in zip(copies, (JOB_FD, FRAMES_FD), strict=True):
        os.dup2(copy, wanted, inheritable=False)
    os.closerange(FRAMES_FD + 1, 1024)


if __name__ == "__main__":
    code = main()
    # Threads that a strategy left behind must not keep the process.
    sys.stdout.flush()
    os._exit(code)
