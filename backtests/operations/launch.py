"""Starts a program that dies with its supervisor: `-m backtests.operations.launch PARENT_PID PROGRAM ARGUMENT...`

Run in the child between fork and the program, so that the supervisor, which has threads, needs no preexec_fn. Standard
library only: it costs every start.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent_pid: int, with_signal: int = signal.SIGKILL) -> None:
    """Have the kernel end this process when the thread that started it ends. Linux only; elsewhere nothing happens.

    The setting survives exec and is lost by fork: every child has to ask for it anew.
    """
    if sys.platform != "linux":
        return
    _prctl(_PR_SET_PDEATHSIG, with_signal)
    if os.getppid() != parent_pid:  # it died before we asked
        os.kill(os.getpid(), with_signal)


def adopt_orphans() -> None:
    """Become the parent of descendants whose parents die, so that none of them gets out of sight. Linux only."""
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a terminal may be told to stop those who write behind its back
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 -- no shell is what we want
