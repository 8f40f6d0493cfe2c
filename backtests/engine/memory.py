"""What the C library does with freed memory."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # mallopt(3)
MOST_KEPT = 256 << 20  # bytes that are free at the end of the heap; more goes back to the system


def keep_freed_memory() -> None:
    """Let this process use freed memory again, where the GNU C library would give it back and ask for new.

    A run makes and drops arrays of some megabytes each. By default each of them is new memory, which the system must
    clear page by page: on a virtual machine that takes as long as the run. For processes that run backtests: call it
    once, at their start. Elsewhere than on Linux with the GNU library it does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, MOST_KEPT)
