"""The queue's cluster as one crash-only unit: no process of it outlives its parent, no death in it is patched over."""

import logging
import os
import sys
from typing import Any

from django_q import cluster

from backtests.operations.launch import die_with_parent

logger = logging.getLogger(__name__)

_forking_pid = 0


class CrashOnlySentinel(cluster.Sentinel):  # type: ignore[misc]
    """Ends the whole cluster where the queue's own sentinel would replace a dead process.

    A worker that was killed may have held the lock of the queue that the others wait for: the cluster would look alive
    and do nothing. Leaving this way sends SIGTERM to the other workers, which give their runs back.
    """

    def reincarnate(self, process: Any) -> None:
        logger.error("Process %s of the cluster died; the cluster ends, to be started anew.", process.pid)
        sys.exit(1)


def make_crash_only() -> None:
    """Call it in the cluster's main process before anything is forked."""
    cluster.Sentinel = CrashOnlySentinel
    os.register_at_fork(before=_note_parent, after_in_child=lambda: die_with_parent(_forking_pid))


def _note_parent() -> None:
    global _forking_pid
    _forking_pid = os.getpid()
