"""What the kernel counts for the child: memory, processor time, files, threads."""

import mmap
import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backtests.engine.frames import JobLimits

MB = 1024 * 1024
LAST_WORDS_MB = 64  # between the soft and the hard limit: room to say that memory ran out
MAX_OPEN_FILES = 32
_LARGEST_ADDRESS = 1 << 47


def set_limits(limits: "JobLimits") -> None:
    """For ever. `memory_mb` counts from what the interpreter and its libraries hold, `cpu_s` from what they took."""
    held = find_address_space()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = limits.cpu_s + round(usage.ru_utime + usage.ru_stime)
    _limit(resource.RLIMIT_AS, held + limits.memory_mb * MB, held + (limits.memory_mb + LAST_WORDS_MB) * MB)
    _limit(resource.RLIMIT_CPU, cpu_s, cpu_s)
    _limit(resource.RLIMIT_FSIZE, 0, 0)
    _limit(resource.RLIMIT_CORE, 0, 0)
    _limit(resource.RLIMIT_NOFILE, MAX_OPEN_FILES, MAX_OPEN_FILES)
    _limit(resource.RLIMIT_NPROC, limits.max_tasks, limits.max_tasks)


def release_last_words() -> None:
    """After a MemoryError: lift the soft limit, so that the cause can be written down."""
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def find_address_space() -> int:
    """Bytes of this process's address space, without /proc too: there is none in the jail."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return _probe_address_space()


def _probe_address_space() -> int:
    """The lowest limit at which one more page is given, by halving."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    low, high = 0, _LARGEST_ADDRESS
    while high - low > MB:
        middle = (low + high) // 2
        try:
            resource.setrlimit(resource.RLIMIT_AS, (middle, before[1]))
            mmap.mmap(-1, mmap.PAGESIZE).close()
        except (OSError, MemoryError, ValueError):
            low = middle
        else:
            high = middle
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
    return high


def _limit(kind: int, soft: int, hard: int) -> None:
    _, allowed = resource.getrlimit(kind)
    if allowed != resource.RLIM_INFINITY:
        soft, hard = min(soft, allowed), min(hard, allowed)
    # macOS does not know every limit.
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (soft, hard))


def count_tasks_of(uid: int) -> int:
    """Threads of all processes of a user: where no namespace counts apart, the limit lies above these."""
    n_tasks = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with suppress(OSError):
                if entry.stat().st_uid == uid:
                    n_tasks += len(os.listdir(f"/proc/{entry.name}/task"))
    return n_tasks
