"""The queue's cluster as one crash-only unit: no process of it outlives its parent, no death in it is patched over."""

import logging
import os
import socket
import sys
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from django_q import cluster
from django_q.signals import post_spawn

from backtests.models import WorkerPool
from backtests.operations.launch import die_with_parent
from backtests.operations.readiness import make_worker_ready

logger = logging.getLogger(__name__)

BEAT_S = 2.0

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
    post_spawn.connect(make_worker_ready, dispatch_uid="make_worker_ready")
    os.register_at_fork(before=_note_parent, after_in_child=lambda: die_with_parent(_forking_pid))


def run_cluster() -> None:
    """Start the cluster and say every two seconds, in the database, that its workers are there. Returns at its end."""
    make_crash_only()
    running = cluster.Cluster()
    running.start()
    name = (
        f"{socket.gethostname()}:{os.getppid()}"  # a cluster that is started again by the same supervisor is the same
    )
    while running.sentinel.is_alive():
        try:
            WorkerPool.objects.beat(name, settings.N_WORKERS)
        except DatabaseError:
            logger.warning("The pool of workers could not say that it is there; trying again.", exc_info=True)
            connections.close_all()
        running.sentinel.join(BEAT_S)
    try:
        WorkerPool.objects.filter(name=name).delete()
    finally:
        connections.close_all()
    sys.exit(running.sentinel.exitcode and 1)


def _note_parent() -> None:
    global _forking_pid
    _forking_pid = os.getpid()
