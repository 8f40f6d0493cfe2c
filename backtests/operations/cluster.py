"""The queue's cluster as one crash-only unit: no process of it outlives its parent, no death in it is patched over.

    main process --- sentinel ---+--- workers
                                 +--- pusher, monitor

The main process loads everything, proves the jail, and touches no lock that the others share. So it may start sentinel
and pool anew in the tenth of a second that a fork takes.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from django_q import cluster
from django_q.signals import post_spawn

from backtests.models import WorkerPool
from backtests.operations.launch import die_with_parent
from backtests.operations.readiness import JailState, make_worker_ready, prove_jail

logger = logging.getLogger(__name__)

BEAT_S = 2.0
STEADY_AFTER_S = 5.0  # a sentinel that ends sooner is not started anew: something is wrong with all of it

_forking_pid = 0


class CrashOnlySentinel(cluster.Sentinel):  # type: ignore[misc]
    """Ends with its whole pool where the queue's own sentinel would replace a dead process.

    A worker that was killed may have held the lock of the queue that the others wait for: the cluster would look alive
    and do nothing. Leaving this way sends SIGTERM to the other workers, which give their runs back.
    """

    def reincarnate(self, process: Any) -> None:
        logger.error("Process %s of the cluster died; all of its pool ends, to be started anew.", process.pid)
        sys.exit(1)


def make_crash_only() -> None:
    """Call it in the cluster's main process before anything is forked."""
    cluster.Sentinel = CrashOnlySentinel
    post_spawn.connect(make_worker_ready, dispatch_uid="make_worker_ready")
    os.register_at_fork(before=_note_parent, after_in_child=lambda: die_with_parent(_forking_pid))


def run_cluster() -> None:
    """Prove the jail, then keep workers, and say every two seconds in the database how many there are.

    Returns when it was asked to end; exits with 1 when sentinel and pool keep dying.
    """
    # A cluster that is started again by the same supervisor is the same.
    name = f"{socket.gethostname()}:{os.getppid()}"
    jail = _prove_jail_while_beating(name)
    make_crash_only()
    while True:
        connections.close_all()  # none is shared with what is forked
        began_at = time.monotonic()
        running = cluster.Cluster()
        running.start()
        while running.sentinel.is_alive():
            _beat(name, settings.N_WORKERS, jail)
            running.sentinel.join(BEAT_S)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if not running.sentinel.exitcode:
            break
        if time.monotonic() - began_at < STEADY_AFTER_S:
            sys.exit(1)
    try:
        WorkerPool.objects.filter(name=name).delete()
    finally:
        connections.close_all()


def _prove_jail_while_beating(name: str) -> dict[str, Any]:
    """In a thread, which is gone before anything is forked. A pool without workers is one that gets ready.

    Returns what was found, for the pool's row.
    """
    found: list[JailState] = []
    proof = threading.Thread(target=lambda: found.append(prove_jail()), name="proof of the jail", daemon=True)
    proof.start()
    while proof.is_alive():
        _beat(name, 0, {})
        proof.join(BEAT_S)
    return found[0].to_json() if found else {}


def _beat(name: str, n_workers: int, jail: dict[str, Any]) -> None:
    try:
        WorkerPool.objects.beat(name, n_workers, jail)
    except DatabaseError:
        logger.warning("The pool of workers could not say that it is there; trying again.", exc_info=True)
        connections.close_all()


def _note_parent() -> None:
    global _forking_pid
    _forking_pid = os.getpid()
