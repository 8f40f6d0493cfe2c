"""What the trusted child does to itself: at its start, and after its imports, before it compiles a strategy.

docs/concepts/the-jail.md says what each layer is for. Nothing here can be undone by what runs later.
"""

import faulthandler
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backtests.engine.confinement import kernel
from backtests.engine.confinement.landlock import find_landlock_version, restrict_files
from backtests.engine.confinement.limits import count_tasks_of, release_last_words, set_limits
from backtests.engine.confinement.privileges import become, die_with_parent
from backtests.engine.confinement.seccomp import can_filter, install_filter, outer_filter, strategy_filter

if TYPE_CHECKING:
    from backtests.engine.frames import JobLimits

__all__ = [
    "LAYERS",
    "become",
    "can_filter",
    "confine",
    "count_tasks_of",
    "die_with_parent",
    "find_landlock_version",
    "outer_filter",
    "release_last_words",
]

LAYERS = ("limits", "landlock", "seccomp")
_READABLE_DEVICES = ("/dev/urandom",)
_WRITABLE_DEVICES = ("/dev/null",)


def confine(limits: "JobLimits", layers: Sequence[str], readable: Sequence[str]) -> None:
    """By the layers asked for; every run has the limits. Raises OSError where one cannot be had."""
    if "limits" in layers:
        set_limits(limits)
    # A crash, or the parent's question "where are you?", puts the strategy's line into the output.
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=False)
    if sys.platform != "linux":
        return
    kernel.set_process_option(kernel.PR_SET_DUMPABLE, 0)
    kernel.set_process_option(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if "landlock" in layers:
        restrict_files([*readable, *_READABLE_DEVICES], _WRITABLE_DEVICES)
    if "seccomp" in layers:
        install_filter(strategy_filter())
