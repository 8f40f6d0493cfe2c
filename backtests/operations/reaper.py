"""What keeps runs from being lost: idempotent, safe to run any number of times, anywhere, at the same time."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched

from django.db import connections

from backtests import artifacts
from backtests.models import BacktestRun
from backtests.operations.dispatcher import dispatch

logger = logging.getLogger(__name__)

PERIOD_S = 1.0
SWEEP_EVERY_S = 600.0
SWEEP_GRACE_S = 3600.0  # far longer than an attempt needs between the first file it writes and its commit


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many runs were put right, and how."""

    n_requeued: int = 0
    n_failed: int = 0
    n_cancelled: int = 0
    n_dispatched: int = 0


def reap() -> Reaped:
    """Put runs right whose worker is gone, and send the messages that are missing."""
    n_requeued = n_failed = n_cancelled = 0
    if BacktestRun.objects.expired().exists():  # a write lock each second would be felt on SQLite
        n_cancelled = BacktestRun.objects.cancel_lost()
        n_failed = BacktestRun.objects.fail_lost()
        n_requeued = BacktestRun.objects.requeue_lost()
    reaped = Reaped(n_requeued, n_failed, n_cancelled, dispatch())
    if reaped != Reaped():
        logger.info("Reaped: %s", reaped)
    return reaped


def sweep_artifacts(grace_s: float = SWEEP_GRACE_S) -> int:
    """Delete result folders that no row names and nobody has written to for `grace_s`. Returns how many."""
    n_swept = 0
    # Folders first, rows second: a folder that becomes a result in between is then seen as one.
    for folders in batched(_find_old_folders(grace_s), 500):
        named = set(BacktestRun.objects.filter(artifact_dir__in=folders).values_list("artifact_dir", flat=True))
        doomed = [folder for folder in folders if folder not in named]
        for folder in doomed:
            artifacts.delete_attempt(folder)
        n_swept += len(doomed)
    return n_swept


def _find_old_folders(grace_s: float) -> Iterator[str]:
    """Folders of attempts, finished or not, that nobody has written to for `grace_s`; as a row would name them."""
    old_before = time.time() - grace_s
    for folder in artifacts.root().glob("*/*/"):
        with suppress(FileNotFoundError):  # another reaper swept it
            if folder.stat().st_mtime < old_before:
                yield f"{folder.parent.name}/{folder.name}"


def reap_until(stop: threading.Event) -> None:
    """Reap each second and sweep now and then, whatever happens, until `stop` is set."""
    n_until_sweep = 0
    while not stop.is_set():
        try:
            reap()
            if n_until_sweep <= 0:
                sweep_artifacts()
                n_until_sweep = round(SWEEP_EVERY_S / PERIOD_S)
            n_until_sweep -= 1
        except Exception:
            logger.exception("The reaper failed; it goes on.")
            connections.close_all()
        stop.wait(PERIOD_S)
    connections.close_all()
