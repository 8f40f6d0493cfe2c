"""What the trusted child does to itself after its imports, before it compiles a strategy."""

import ctypes
import faulthandler
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba.core import caching

from backtests.engine.frames import JobLimits

MB = 1024 * 1024
LAST_WORDS_MB = 64  # between the soft and the hard limit: room to say that memory ran out
MAX_OPEN_FILES = 32
_PR_SET_PDEATHSIG = 1


def confine(limits: JobLimits) -> None:
    """Set the limits of this process for ever. `memory_mb` counts from what the interpreter and its libraries hold."""
    _stop_saving_compiled_code()
    held = _address_space()
    _limit(resource.RLIMIT_AS, held + limits.memory_mb * MB, held + (limits.memory_mb + LAST_WORDS_MB) * MB)
    _limit(resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s)
    _limit(resource.RLIMIT_FSIZE, 0, 0)
    _limit(resource.RLIMIT_CORE, 0, 0)
    _limit(resource.RLIMIT_NOFILE, MAX_OPEN_FILES, MAX_OPEN_FILES)
    # A crash, or the parent's question "where are you?", puts the strategy's line into the output.
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=False)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel end this process when its parent ends: a killed worker leaves no strategy running. Linux only."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def release_last_words() -> None:
    """After a MemoryError: lift the soft limit, so that the cause can be written down."""
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _limit(kind: int, soft: int, hard: int) -> None:
    _, allowed = resource.getrlimit(kind)
    if allowed != resource.RLIM_INFINITY:
        soft, hard = min(soft, allowed), min(hard, allowed)
    # macOS does not know every limit.
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (soft, hard))


def _address_space() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 1024 * MB


def _stop_saving_compiled_code() -> None:
    """What runs may write, the next user would execute: compiled code is read from numba's cache, never saved."""

    def keep_nothing(self: Any, sig: Any, data: Any) -> None:
        pass

    caching.Cache.save_overload = keep_nothing
